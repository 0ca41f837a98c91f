"""The official OpenAI SDK's Chat Completions, against upstreams of every dialect."""

import json

import openai
import pytest
from conftest import DIRECT, KEY, MODELS, PDF, PNG, URL
from pydantic import BaseModel

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "number"}},
            "required": ["city"],
        },
    },
}
TIME = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}},
}
BOTH = 'Please call get_weather {"city": "Oslo", "days": 2} and call get_time {"zone": "CET"}'


def user(text):
    return {"role": "user", "content": text}


class Folded:
    """A stream, put together by hand and held to its grammar on the way."""

    def __init__(self, chunks):
        self.content, self.refusal, self.reasoning = "", "", ""
        self.calls, self.finish, self.usage, self.count = {}, None, None, 0
        ids, roles = set(), 0
        for chunk in chunks:
            self.count += 1
            ids.add(chunk.id)
            assert chunk.object == "chat.completion.chunk"
            if chunk.usage:
                self.usage = chunk.usage
            for choice in chunk.choices:
                assert choice.index == 0
                delta = choice.delta
                roles += delta.role is not None
                self.content += delta.content or ""
                self.refusal += delta.refusal or ""
                self.reasoning += getattr(delta, "reasoning_content", None) or ""
                for call in delta.tool_calls or []:
                    self._call(call)
                if choice.finish_reason:
                    assert self.finish is None, "one finish reason"
                    self.finish = choice.finish_reason
        assert len(ids) == 1, "one id for the whole stream"
        assert roles == 1, "the role is told once"
        assert self.finish, "a finish reason came"

    def _call(self, call):
        if call.index not in self.calls:
            assert call.index == len(self.calls), "indices are contiguous"
            assert call.id and call.function.name
            self.calls[call.index] = {"id": call.id, "name": call.function.name, "arguments": ""}
        else:
            assert call.id is None and call.function.name is None, "id and name are told once"
        self.calls[call.index]["arguments"] += call.function.arguments or ""


class Whole:
    """A whole answer, in the same words as a folded stream."""

    def __init__(self, completion):
        assert completion.object == "chat.completion"
        choice = completion.choices[0]
        message = choice.message
        self.content, self.refusal, self.finish = message.content or "", message.refusal or "", choice.finish_reason
        self.reasoning = getattr(message, "reasoning_content", None) or ""
        self.usage = completion.usage
        self.calls = {
            place: {"id": it.id, "name": it.function.name, "arguments": it.function.arguments}
            for place, it in enumerate(message.tool_calls or [])
        }


def ask(client, streamed, model, messages, **more):
    if not streamed:
        return Whole(client.chat.completions.create(model=model, messages=messages, **more))
    more.setdefault("stream_options", {"include_usage": True})
    return Folded(client.chat.completions.create(model=model, messages=messages, stream=True, **more))


def assistant_turn(answer):
    calls = [
        {"id": it["id"], "type": "function", "function": {"name": it["name"], "arguments": it["arguments"]}}
        for it in answer.calls.values()
    ]
    return {"role": "assistant", "content": answer.content or None, "tool_calls": calls}


def test_plain_text(openai_client, upstream, streamed):
    answer = ask(openai_client, streamed, upstream.model(), [user("Hello, you")])
    assert answer.content == "You wrote 10 characters."
    assert answer.finish == "stop"
    assert answer.calls == {}
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_several_turns_with_a_system_prompt(openai_client, upstream, streamed):
    for role in ("system", "developer"):
        turns = [{"role": role, "content": "Be brief."}, user("one"), {"role": "assistant", "content": "1"}, user("two!")]
        assert ask(openai_client, streamed, upstream.model(), turns).content == "You wrote 4 characters."


def test_content_in_parts(openai_client, upstream, streamed):
    parts = [{"type": "text", "text": "abc"}, {"type": "text", "text": "de"}]
    assert ask(openai_client, streamed, upstream.model(), [user(parts)]).content.startswith("You wrote ")


def test_parallel_tools_and_their_results(openai_client, upstream, streamed):
    turns = [user(BOTH)]
    answer = ask(openai_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME])
    assert answer.finish == "tool_calls"
    assert [it["name"] for it in answer.calls.values()] == ["get_weather", "get_time"]
    assert json.loads(answer.calls[0]["arguments"]) == {"city": "Oslo", "days": 2}
    assert json.loads(answer.calls[1]["arguments"]) == {"zone": "CET"}
    turns.append(assistant_turn(answer))
    for call, result in zip(answer.calls.values(), ["sunny", "noon"]):
        turns.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    final = ask(openai_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME])
    assert final.content == "The tools said: sunny | noon"
    assert final.finish == "stop"


def test_tool_arguments_come_in_fragments(openai_client, upstream):
    text = 'call get_weather {"city": "' + "Llanfair" * 20 + '"}'
    chunks = list(
        openai_client.chat.completions.create(
            model=upstream.model(), messages=[user(text)], tools=[WEATHER], stream=True
        )
    )
    told = [it for it in chunks if it.choices and it.choices[0].delta.tool_calls]
    # Gemini tells the arguments of a call at once.
    assert len(told) > (0 if upstream == "gemini" else 5)
    assert json.loads(Folded(chunks).calls[0]["arguments"]) == {"city": "Llanfair" * 20}


def test_the_stream_helper_understands_tools(openai_client, upstream):
    asked = dict(model=upstream.model(), messages=[user(BOTH)], tools=[WEATHER, TIME])
    with openai_client.chat.completions.stream(**asked) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert [it.function.name for it in final.choices[0].message.tool_calls] == ["get_weather", "get_time"]


def test_a_tool_without_arguments(openai_client, upstream, streamed):
    answer = ask(openai_client, streamed, upstream.model(), [user("call get_time")], tools=[TIME])
    assert json.loads(answer.calls[0]["arguments"]) == {}


def test_tool_choice(openai_client, upstream, streamed):
    def calls(choice, **more):
        asked = dict(tools=[WEATHER, TIME], tool_choice=choice, **more)
        return [it["name"] for it in ask(openai_client, streamed, upstream.model(), [user(BOTH)], **asked).calls.values()]

    assert calls("none") == []
    assert calls("auto") == ["get_weather", "get_time"]
    assert calls({"type": "function", "function": {"name": "get_time"}}) == ["get_time"]
    # Gemini has no word for one call at a time.
    one = ["get_weather", "get_time"] if upstream == "gemini" else ["get_weather"]
    assert calls("required", parallel_tool_calls=False) == one


def test_images(openai_client, upstream, streamed):
    url = f"data:image/png;base64,{PNG}"
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    assert "I saw 1 image." in ask(openai_client, streamed, upstream.model(), [user(parts)]).content


def test_an_image_by_url(openai_client, upstream, streamed):
    parts = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, {"type": "text", "text": "Look"}]
    assert "I saw 1 image." in ask(openai_client, streamed, upstream.model(), [user(parts)]).content


def test_a_pdf(openai_client, upstream, streamed):
    pdf = {"type": "file", "file": {"filename": "page.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
    asked = [user([pdf, {"type": "text", "text": "Read"}])]
    assert "I read 1 document." in ask(openai_client, streamed, upstream.model(), asked).content


class City(BaseModel):
    name: str
    people: int
    rivers: list[str]


def test_structured_output(openai_client, upstream):
    parsed = openai_client.chat.completions.parse(
        model=upstream.model(), messages=[user("A city as JSON")], response_format=City
    )
    assert isinstance(parsed.choices[0].message.parsed, City)
    with openai_client.chat.completions.stream(
        model=upstream.model(), messages=[user("A city as JSON")], response_format=City
    ) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, City)


# `budget`: a Messages model that thinks by budget and a Gemini model of the third generation want their signed thoughts back
# in a tool loop, and Chat cannot carry them.
@pytest.mark.parametrize("play", [None, "budget"])
def test_reasoning_is_told_and_turns_go_on(openai_client, upstream, streamed, play):
    turns = [user(BOTH)]
    more = dict(tools=[WEATHER, TIME], reasoning_effort="low")
    answer = ask(openai_client, streamed, upstream.model(play), turns, **more)
    if upstream == "responses":
        # Words of it must be asked for there, and Chat cannot ask.
        assert answer.reasoning == "" and answer.usage.completion_tokens_details.reasoning_tokens > 0
    else:
        assert answer.reasoning == f"The user wrote {len(BOTH)} characters. A short answer will do."
    turn = assistant_turn(answer)
    turn["reasoning_content"] = answer.reasoning
    turns.append(turn)
    for call in answer.calls.values():
        turns.append({"role": "tool", "tool_call_id": call["id"], "content": "fine"})
    assert ask(openai_client, streamed, upstream.model(play), turns, **more).content == "The tools said: fine | fine"


def test_no_reasoning_unless_asked(openai_client, upstream, streamed):
    assert ask(openai_client, streamed, upstream.model(), [user("Hello")]).reasoning == ""


def test_stop_sequences(openai_client, upstream, streamed):
    for stop in (" three", [" nowhere", " three"]):
        answer = ask(openai_client, streamed, upstream.model("stop"), [user("count")], stop=stop)
        # Responses has no stop sequences.
        said = "one two three four five" if upstream == "responses" else "one two"
        assert (answer.content, answer.finish) == (said, "stop")


def test_the_token_limit(openai_client, upstream, streamed):
    # Responses takes no less than 16.
    for limit in ({"max_tokens": 16}, {"max_completion_tokens": 16}):
        answer = ask(openai_client, streamed, upstream.model("long"), [user("count")], **limit)
        assert (answer.content, answer.finish) == (("0123456789" * 7)[:64], "length")


def test_sampling_parameters_are_taken(openai_client, upstream, streamed):
    more = dict(temperature=0.7, seed=1, user="someone", presence_penalty=0.1, metadata={"a": "b"})
    if upstream == "messages":
        more = dict(temperature=0.7)
    assert ask(openai_client, streamed, upstream.model(), [user("Hi")], **more).finish == "stop"


def test_usage_is_what_the_upstream_reported(openai_client, upstream, streamed):
    usage = ask(openai_client, streamed, upstream.model("usage"), [user("count")]).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (130, 50, 180)
    assert usage.prompt_tokens_details.cached_tokens == 20
    assert usage.completion_tokens_details.reasoning_tokens == 15


def test_usage_in_a_stream_comes_only_when_asked_for(openai_client, upstream):
    asked = dict(model=upstream.model("usage"), messages=[user("count")], stream=True)
    assert all(it.usage is None and it.choices for it in openai_client.chat.completions.create(**asked))
    chunks = list(openai_client.chat.completions.create(**asked, stream_options={"include_usage": True}))
    assert [bool(it.usage) for it in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []


def test_a_refusal(openai_client, upstream, streamed):
    answer = ask(openai_client, streamed, upstream.model("refusal"), [user("do evil")])
    if upstream == "chat":
        assert answer.refusal == "I cannot help with that."
    assert answer.refusal or answer.finish == "content_filter"


def test_a_long_stream(openai_client, upstream):
    answer = ask(openai_client, True, upstream.model("long"), [user("go on")], max_tokens=50_000)
    assert answer.content == "0123456789" * 2000
    assert answer.count >= 2000


def test_bytes_cut_anywhere(openai_client, upstream):
    answer = ask(openai_client, True, upstream.model("shredded"), [user("hello")])
    assert answer.content == "Grüße aus Zürich, 世界 🌍, " * 4


def test_a_cut_stream_raises(openai_client, upstream, streamed):
    with pytest.raises(Exception) as raised:
        ask(openai_client, streamed, upstream.model("cut"), [user("hello")])
    assert not isinstance(raised.value, AssertionError), "it ended like a whole one"


@pytest.mark.gateway_only
def test_a_stream_that_ends_early_raises(openai_client, upstream):
    with pytest.raises(openai.APIError):
        ask(openai_client, True, upstream.model("early"), [user("hello")])


def test_an_error_in_the_stream_raises(openai_client, upstream):
    with pytest.raises(openai.APIError):
        ask(openai_client, True, upstream.model("midstream"), [user("hello")])


def test_errors_before_the_stream(openai_client, upstream, streamed):
    with pytest.raises(openai.BadRequestError) as raised:
        ask(openai_client, streamed, upstream.model("400"), [user("hello")])
    assert "does not like" in raised.value.message
    assert raised.value.type == "invalid_request_error"
    with pytest.raises(openai.RateLimitError) as raised:
        ask(openai_client, streamed, upstream.model("429"), [user("hello")])
    assert 1 <= int(raised.value.response.headers["retry-after"])
    with pytest.raises(openai.InternalServerError):
        ask(openai_client, streamed, upstream.model("overloaded"), [user("hello")])


def test_a_prompt_that_is_too_long(openai_client, upstream, streamed):
    with pytest.raises(openai.BadRequestError) as raised:
        ask(openai_client, streamed, upstream.model("overflow"), [user("hello")])
    assert raised.value.code == "context_length_exceeded"


@pytest.mark.gateway_only
def test_what_cannot_be_said_is_reported(openai_client, upstream):
    asked = dict(model=upstream.model(), messages=[user("Hi")], logit_bias={"50256": -100}, stop=["x"])
    told = openai_client.chat.completions.with_raw_response.create(**asked).headers.get("x-dragoman-translation", "")
    assert ("logit_bias" in told) == (upstream != "chat")
    assert ("stop" in told) == (upstream == "responses")


def test_a_request_the_dialect_forbids(openai_client, upstream):
    with pytest.raises(openai.BadRequestError):
        openai_client.chat.completions.create(model=upstream.model(), messages=[])


@pytest.mark.gateway_only
def test_an_unknown_model(openai_client):
    with pytest.raises(openai.NotFoundError):
        openai_client.chat.completions.create(model="no-such-model", messages=[user("hello")])


def test_a_wrong_key():
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key="sk-wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model=MODELS["chat"], messages=[user("hello")])
    if not DIRECT:
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


def test_models(openai_client, upstream):
    names = [it.id for it in openai_client.models.list()]
    assert upstream.model() in names
    model = openai_client.models.retrieve(upstream.model())
    assert (model.id, model.object) == (upstream.model(), "model")


def test_leaving_in_the_middle(openai_client, upstream):
    stream = openai_client.chat.completions.create(model=upstream.model("slow"), messages=[user("hi")], stream=True)
    for count, _ in enumerate(stream):
        if count == 3:
            break
    stream.close()
    assert ask(openai_client, False, upstream.model(), [user("still there?")]).finish == "stop"


@pytest.mark.anyio
async def test_the_async_client(upstream):
    async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0) as client:
        stream = await client.chat.completions.create(model=upstream.model(), messages=[user("Hi")], stream=True)
        text = "".join([it.choices[0].delta.content or "" async for it in stream if it.choices])
    assert text == "You wrote 2 characters."
