"""The official OpenAI SDK's Responses, against upstreams of every dialect."""

import json

import openai
import pytest
from conftest import DIRECT, KEY, MODELS, PDF, PNG, URL
from pydantic import BaseModel

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "number"}},
        "required": ["city"],
    },
    "strict": False,
}
TIME = {
    "type": "function",
    "name": "get_time",
    "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
    "strict": False,
}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Changes files", "format": {"type": "text"}}
BOTH = 'Please call get_weather {"city": "Oslo", "days": 2} and call get_time {"zone": "CET"}'
THINKING = {"effort": "low", "summary": "auto"}
STATELESS = dict(store=False, include=["reasoning.encrypted_content"])
PIXEL = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"}
PAGE = {"type": "input_file", "filename": "page.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}


def user(content):
    return {"role": "user", "content": content}


def ask(client, streamed, model, asked, **more):
    if not streamed:
        return client.responses.create(model=model, input=asked, **more)
    held = Grammar()
    for event in client.responses.create(model=model, input=asked, stream=True, **more):
        held.take(event)
    return held.end()


class Grammar:
    """Holds a stream to its grammar, and adds up what its deltas say."""

    def __init__(self):
        self.number, self.items, self.texts, self.open, self.last = 0, [], {}, {}, None

    def take(self, event):
        assert self.last is None, "nothing follows the end"
        assert event.sequence_number == self.number, "numbers without gaps"
        kind = event.type
        assert (kind == "response.created") == (self.number == 0)
        assert kind != "error", event
        self.number += 1
        if kind == "response.output_item.added":
            assert event.output_index == len(self.items) and event.output_index not in self.open
            self.open[event.output_index] = event.item
            self.items.append(None)
        elif kind == "response.output_item.done":
            begun = self.open.pop(event.output_index)
            assert (begun.id, begun.type) == (event.item.id, event.item.type)
            self.items[event.output_index] = event.item
        elif kind.endswith(".delta"):
            assert self.open[event.output_index].id == event.item_id
            place = (event.output_index, getattr(event, "content_index", getattr(event, "summary_index", None)))
            self.texts[place] = self.texts.get(place, "") + event.delta
        elif kind.endswith(".done"):
            place = (event.output_index, getattr(event, "content_index", getattr(event, "summary_index", None)))
            for name in ("text", "arguments", "input", "refusal"):
                if isinstance(whole := getattr(event, name, None), str):
                    assert self.texts.get(place, "") == whole
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self.last = event.response

    def end(self):
        assert self.last is not None and not self.open
        assert [it.to_dict() for it in self.last.output] == [it.to_dict() for it in self.items]
        return self.last


def calls(response):
    return [it for it in response.output if it.type in ("function_call", "custom_tool_call")]


def refusals(response):
    parts = [part for it in response.output if it.type == "message" for part in it.content]
    return [it.refusal for it in parts if it.type == "refusal"]


def result(call, output):
    return {"type": f"{call.type}_output", "call_id": call.call_id, "output": output}


def test_plain_text(openai_client, upstream, streamed):
    response = ask(openai_client, streamed, upstream.model(), "Hello, you")
    assert response.output_text == "You wrote 10 characters."
    assert (response.object, response.status, response.error) == ("response", "completed", None)
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0


def test_several_turns_with_instructions(openai_client, upstream, streamed):
    turns = [{"role": "developer", "content": "Be kind."}, user("one"), {"role": "assistant", "content": "1"}, user("two!")]
    response = ask(openai_client, streamed, upstream.model(), turns, instructions="Be brief.")
    assert response.output_text == "You wrote 4 characters."
    assert response.instructions == "Be brief."


def test_what_was_said_goes_back(openai_client, upstream, streamed):
    turns = [user("one")]
    first = ask(openai_client, streamed, upstream.model(), turns, **STATELESS)
    turns += [it.to_dict() for it in first.output]
    turns.append(user([{"type": "input_text", "text": "abc"}]))
    assert ask(openai_client, streamed, upstream.model(), turns, **STATELESS).output_text == "You wrote 3 characters."


def test_parallel_tools_and_their_results(openai_client, upstream, streamed):
    turns = [user(BOTH)]
    response = ask(openai_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME])
    weather, time = calls(response)
    assert (weather.name, json.loads(weather.arguments)) == ("get_weather", {"city": "Oslo", "days": 2})
    assert (time.name, json.loads(time.arguments)) == ("get_time", {"zone": "CET"})
    assert response.output_text == ""
    turns += [it.to_dict() for it in response.output] + [result(weather, "sunny"), result(time, "noon")]
    final = ask(openai_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME])
    assert final.output_text == "The tools said: sunny | noon"


def test_tool_results_with_images(openai_client, upstream, streamed):
    turns = [user(BOTH)]
    response = ask(openai_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME])
    weather, time = calls(response)
    turns += [it.to_dict() for it in response.output]
    turns += [result(weather, [{"type": "input_text", "text": "a picture"}, PIXEL]), result(time, "error: no clock")]
    final = ask(openai_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME])
    assert "I saw 1 image." in final.output_text


def test_the_stream_helper_understands_tools(openai_client, upstream):
    with openai_client.responses.stream(model=upstream.model(), input=BOTH, tools=[WEATHER, TIME]) as stream:
        kinds = {it.type for it in stream}
        final = stream.get_final_response()
    assert "response.function_call_arguments.delta" in kinds
    assert [it.name for it in calls(final)] == ["get_weather", "get_time"]


def test_a_custom_tool(openai_client, upstream, streamed):
    # Who knows only functions is asked for the text as their one argument.
    asked = "*** Begin Patch" if upstream == "responses" else '{"input": "*** Begin Patch"}'
    turns = [user(f"call apply_patch {asked}")]
    response = ask(openai_client, streamed, upstream.model(), turns, tools=[PATCH])
    (call,) = calls(response)
    assert (call.type, call.name) == ("custom_tool_call", "apply_patch")
    assert call.input == "*** Begin Patch"
    turns += [it.to_dict() for it in response.output] + [result(call, "done")]
    assert ask(openai_client, streamed, upstream.model(), turns, tools=[PATCH]).output_text == "The tool said: done"


def test_tool_choice(openai_client, upstream, streamed):
    def named(choice, **more):
        asked = dict(tools=[WEATHER, TIME], tool_choice=choice, **more)
        return [it.name for it in calls(ask(openai_client, streamed, upstream.model(), BOTH, **asked))]

    assert named("none") == []
    assert named("auto") == ["get_weather", "get_time"]
    assert named({"type": "function", "name": "get_time"}) == ["get_time"]
    # Gemini has no word for one call at a time.
    one = ["get_weather", "get_time"] if upstream == "gemini" else ["get_weather"]
    assert named("required", parallel_tool_calls=False) == one


def test_images(openai_client, upstream, streamed):
    by_url = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}
    for image in (PIXEL, by_url):
        asked = [user([image, {"type": "input_text", "text": "Look"}])]
        assert "I saw 1 image." in ask(openai_client, streamed, upstream.model(), asked).output_text


def test_a_pdf(openai_client, upstream, streamed):
    asked = [user([PAGE, {"type": "input_text", "text": "Read"}])]
    assert "I read 1 document." in ask(openai_client, streamed, upstream.model(), asked).output_text


class City(BaseModel):
    name: str
    people: int
    rivers: list[str]


def test_structured_output(openai_client, upstream):
    parsed = openai_client.responses.parse(model=upstream.model(), input="A city as JSON", text_format=City)
    assert isinstance(parsed.output_parsed, City)
    with openai_client.responses.stream(model=upstream.model(), input="A city as JSON", text_format=City) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_response().output_parsed, City)


# `budget`: models that want their signed thoughts back in a tool loop.
@pytest.mark.parametrize("play", [None, "budget"])
def test_reasoning_is_kept_over_turns(openai_client, upstream, streamed, play):
    turns = [user(BOTH)]
    more = dict(tools=[WEATHER, TIME], reasoning=THINKING, **STATELESS)
    response = ask(openai_client, streamed, upstream.model(play), turns, **more)
    thoughts = [it for it in response.output if it.type == "reasoning"]
    told = "".join(part.text for it in thoughts for part in it.summary)
    assert told == f"The user wrote {len(BOTH)} characters. A short answer will do."
    # What a Chat upstream thinks nobody signs.
    assert any(it.encrypted_content for it in thoughts) == (upstream != "chat")
    turns += [it.to_dict() for it in response.output] + [result(it, "fine") for it in calls(response)]
    final = ask(openai_client, streamed, upstream.model(play), turns, **more)
    assert final.output_text == "The tools said: fine | fine"
    turns += [it.to_dict() for it in final.output] + [user("And now?")]
    assert ask(openai_client, streamed, upstream.model(play), turns, **more).output_text == "You wrote 8 characters."


def test_no_reasoning_unless_asked(openai_client, upstream, streamed):
    response = ask(openai_client, streamed, upstream.model(), "Hello")
    assert [it.type for it in response.output] == ["message"]


def test_the_token_limit(openai_client, upstream, streamed):
    response = ask(openai_client, streamed, upstream.model("long"), "count", max_output_tokens=16)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output_text == ("0123456789" * 7)[:64]


def test_fields_are_told_back(openai_client, upstream, streamed):
    more = dict(temperature=0.5, metadata={"a": "b"}, max_output_tokens=999)
    response = ask(openai_client, streamed, upstream.model(), "Hi", **more)
    assert (response.temperature, response.metadata, response.max_output_tokens) == (0.5, {"a": "b"}, 999)


def test_usage_is_what_the_upstream_reported(openai_client, upstream, streamed):
    usage = ask(openai_client, streamed, upstream.model("usage"), "count").usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (130, 50, 180)
    assert usage.input_tokens_details.cached_tokens == 20
    assert usage.output_tokens_details.reasoning_tokens == 15


def test_a_refusal(openai_client, upstream, streamed):
    response = ask(openai_client, streamed, upstream.model("refusal"), "do evil")
    if upstream in ("responses", "chat"):
        assert refusals(response) == ["I cannot help with that."]
    incomplete = response.incomplete_details and response.incomplete_details.reason
    assert refusals(response) or incomplete == "content_filter"


def test_a_long_stream(openai_client, upstream):
    with openai_client.responses.stream(model=upstream.model("long"), input="go on") as stream:
        pieces = [it.delta for it in stream if it.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert final.output_text == "".join(pieces) == "0123456789" * 2000
    assert len(pieces) >= 2000


def test_bytes_cut_anywhere(openai_client, upstream):
    response = ask(openai_client, True, upstream.model("shredded"), "hello")
    assert response.output_text == "Grüße aus Zürich, 世界 🌍, " * 4


def ends(client, model):
    """How a stream ends: the error raised, or the last event."""
    last = None
    try:
        for last in client.responses.create(model=model, input="hello", stream=True):
            pass
    except Exception as raised:
        return raised
    return last


def test_a_cut_stream_is_not_a_whole_one(openai_client, upstream):
    ended = ends(openai_client, upstream.model("cut"))
    assert isinstance(ended, Exception) or ended.type in ("response.failed", "error")


def test_a_cut_answer_raises(openai_client, upstream):
    with pytest.raises(openai.APIError):
        ask(openai_client, False, upstream.model("cut"), "hello")


@pytest.mark.gateway_only
def test_a_stream_that_ends_early_is_not_a_whole_one(openai_client, upstream):
    ended = ends(openai_client, upstream.model("early"))
    assert isinstance(ended, openai.APIError) or ended.type in ("response.failed", "error")


def test_an_error_in_the_stream_is_told(openai_client, upstream):
    ended = ends(openai_client, upstream.model("midstream"))
    assert isinstance(ended, openai.APIError) or ended.type in ("response.failed", "error")


def test_errors_before_the_stream(openai_client, upstream, streamed):
    with pytest.raises(openai.BadRequestError) as raised:
        ask(openai_client, streamed, upstream.model("400"), "hello")
    assert "does not like" in raised.value.message
    assert raised.value.type == "invalid_request_error"
    with pytest.raises(openai.RateLimitError) as raised:
        ask(openai_client, streamed, upstream.model("429"), "hello")
    assert 1 <= int(raised.value.response.headers["retry-after"])
    with pytest.raises(openai.InternalServerError):
        ask(openai_client, streamed, upstream.model("overloaded"), "hello")


def test_a_prompt_that_is_too_long(openai_client, upstream, streamed):
    with pytest.raises(openai.BadRequestError) as raised:
        ask(openai_client, streamed, upstream.model("overflow"), "hello")
    assert raised.value.code == "context_length_exceeded"


@pytest.mark.gateway_only
def test_what_cannot_be_said_is_reported(openai_client, upstream):
    asked = dict(model=upstream.model(), input="Hi", truncation="auto", max_tool_calls=3)
    told = openai_client.responses.with_raw_response.create(**asked).headers.get("x-dragoman-translation", "")
    assert ("max_tool_calls" in told) == (upstream != "responses")


@pytest.mark.gateway_only
def test_what_only_openai_can_do_is_refused_elsewhere(openai_client, upstream):
    asked = dict(model=upstream.model(), input="Hi", tools=[{"type": "file_search", "vector_store_ids": ["vs_1"]}])
    if upstream == "responses":
        assert openai_client.responses.create(**asked).status == "completed"
    else:
        with pytest.raises(openai.BadRequestError) as raised:
            openai_client.responses.create(**asked)
        assert raised.value.code == "unsupported_parameter"


def test_a_request_the_dialect_forbids(openai_client, upstream):
    with pytest.raises(openai.BadRequestError):
        openai_client.responses.create(model=upstream.model())


@pytest.mark.gateway_only
def test_an_unknown_model(openai_client):
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.create(model="no-such-model", input="hello")


def test_a_wrong_key():
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key="sk-wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.responses.create(model=MODELS["responses"], input="hello")
    if not DIRECT:
        with pytest.raises(openai.AuthenticationError):
            client.responses.retrieve("resp_1")


def test_a_conversation_is_gone_on_from(openai_client, upstream, streamed):
    first = ask(openai_client, streamed, upstream.model(), BOTH, tools=[WEATHER, TIME])
    results = [result(it, "fine") for it in calls(first)]
    second = ask(
        openai_client, streamed, upstream.model(), results, tools=[WEATHER, TIME], previous_response_id=first.id
    )
    assert second.output_text == "The tools said: fine | fine"
    # What a Responses upstream answers goes by untouched, and it was asked with the whole conversation.
    assert second.previous_response_id == (None if upstream == "responses" else first.id)
    third = ask(openai_client, streamed, upstream.model(), "And?", previous_response_id=second.id)
    assert third.output_text == "You wrote 4 characters."
    items = openai_client.responses.input_items.list(third.id)
    assert [it.type for it in items][0] == "message"
    assert len(list(items)) >= 6


def test_a_stored_response(openai_client, upstream, streamed):
    response = ask(openai_client, streamed, upstream.model(), "Hello", metadata={"a": "b"})
    found = openai_client.responses.retrieve(response.id)
    assert (found.id, found.output_text, found.metadata) == (response.id, response.output_text, {"a": "b"})
    (item,) = openai_client.responses.input_items.list(response.id)
    assert (item.type, item.role) == ("message", "user")
    openai_client.responses.delete(response.id)
    for gone in (
        lambda: openai_client.responses.retrieve(response.id),
        lambda: openai_client.responses.input_items.list(response.id),
    ):
        with pytest.raises(openai.NotFoundError):
            gone()
    # A Responses upstream keeps its answers itself, and may know what we do not.
    if upstream != "responses":
        with pytest.raises(openai.BadRequestError) as raised:
            ask(openai_client, streamed, upstream.model(), "And?", previous_response_id=response.id)
        assert raised.value.code == "previous_response_not_found"


def test_what_is_not_to_be_stored_is_not(openai_client, upstream, streamed):
    response = ask(openai_client, streamed, upstream.model(), "Hello", store=False)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve(response.id)


def test_tokens_are_counted(openai_client, upstream):
    def count(asked, **more):
        counted = openai_client.responses.input_tokens.count(model=upstream.model(), input=asked, **more)
        assert counted.object == "response.input_tokens"
        return counted.input_tokens

    little = count("Hello")
    assert 0 < little < count("Hello " * 200)
    assert little < count("Hello", tools=[WEATHER, TIME])


def test_a_conversation_is_compacted(openai_client, upstream, streamed):
    turns = [user("one"), {"role": "assistant", "content": "1"}, user("two!")]
    compacted = openai_client.responses.compact(model=upstream.model(), input=turns)
    assert compacted.object == "response.compaction"
    kept = [it.to_dict() for it in compacted.output]
    assert [it["type"] for it in kept].count("compaction") == 1
    response = ask(openai_client, streamed, upstream.model(), kept + [user("three")], store=False)
    assert response.output_text == "You wrote 5 characters."


def test_leaving_in_the_middle(openai_client, upstream):
    stream = openai_client.responses.create(model=upstream.model("slow"), input="hi", stream=True)
    for count, _ in enumerate(stream):
        if count == 8:
            break
    stream.close()
    assert ask(openai_client, False, upstream.model(), "still there?").status == "completed"


@pytest.mark.anyio
async def test_the_async_client(upstream):
    async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0) as client:
        stream = await client.responses.create(model=upstream.model(), input="Hi", stream=True)
        text = "".join([it.delta async for it in stream if it.type == "response.output_text.delta"])
    assert text == "You wrote 2 characters."
