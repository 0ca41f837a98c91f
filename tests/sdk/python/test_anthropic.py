"""The official Anthropic SDK, against upstreams of every dialect."""

import anthropic
import pytest
from conftest import DIRECT, KEY, MODELS, PDF, PNG, URL
from pydantic import BaseModel

WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "number"}},
        "required": ["city"],
    },
}
TIME = {"name": "get_time", "input_schema": {"type": "object", "properties": {"zone": {"type": "string"}}}}
BOTH = 'Please call get_weather {"city": "Oslo", "days": 2} and call get_time {"zone": "CET"}'
THINKING = {"type": "enabled", "budget_tokens": 1024}
PIXEL = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


def user(content):
    return {"role": "user", "content": content}


def ask(client, streamed, model, messages, **more):
    more.setdefault("max_tokens", 4096)
    if not streamed:
        return client.messages.create(model=model, messages=messages, **more)
    with client.messages.stream(model=model, messages=messages, **more) as stream:
        held = Grammar()
        for event in stream:
            held.take(event)
        held.end()
        return stream.get_final_message()


class Grammar:
    """Holds a stream to its grammar; the helper's own events (`text`, …) are passed over."""

    def __init__(self):
        self.open, self.next, self.seen = None, 0, []

    def take(self, event):
        kind = event.type
        if kind == "content_block_start":
            assert self.open is None and event.index == self.next, "blocks one after the other, without gaps"
            self.open, self.next = event.index, self.next + 1
        elif kind in ("content_block_delta", "content_block_stop"):
            assert event.index == self.open
            self.open = None if kind == "content_block_stop" else self.open
        elif kind in ("message_start", "message_delta", "message_stop"):
            self.seen.append(kind)

    def end(self):
        assert self.open is None
        assert self.seen == ["message_start", "message_delta", "message_stop"]


def text(message):
    return "".join(it.text for it in message.content if it.type == "text")


def calls(message):
    return [it for it in message.content if it.type == "tool_use"]


def result(call, content, **more):
    return {"type": "tool_result", "tool_use_id": call.id, "content": content, **more}


def test_plain_text(anthropic_client, upstream, streamed):
    message = ask(anthropic_client, streamed, upstream.model(), [user("Hello, you")])
    assert text(message) == "You wrote 10 characters."
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0


def test_several_turns_with_a_system_prompt(anthropic_client, upstream, streamed):
    turns = [user("one"), {"role": "assistant", "content": "1"}, user("two!")]
    for system in ("Be brief.", [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]):
        message = ask(anthropic_client, streamed, upstream.model(), turns, system=system)
        assert text(message) == "You wrote 4 characters."


def test_content_in_blocks(anthropic_client, upstream, streamed):
    blocks = [{"type": "text", "text": "abc"}, {"type": "text", "text": "de"}]
    assert text(ask(anthropic_client, streamed, upstream.model(), [user(blocks)])).startswith("You wrote ")


def test_parallel_tools_and_their_results(anthropic_client, upstream, streamed):
    turns = [user(BOTH)]
    message = ask(anthropic_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME])
    assert message.stop_reason == "tool_use"
    weather, time = calls(message)
    assert (weather.name, weather.input) == ("get_weather", {"city": "Oslo", "days": 2})
    assert (time.name, time.input) == ("get_time", {"zone": "CET"})
    turns.append({"role": "assistant", "content": message.content})
    turns.append(user([result(weather, "sunny"), result(time, [{"type": "text", "text": "noon"}])]))
    final = ask(anthropic_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME])
    assert text(final) == "The tools said: sunny | noon"
    assert final.stop_reason == "end_turn"


def test_tool_arguments_come_in_fragments(anthropic_client, upstream):
    asked = 'call get_weather {"city": "' + "Llanfair" * 20 + '"}'
    with anthropic_client.messages.stream(
        model=upstream.model(), max_tokens=4096, messages=[user(asked)], tools=[WEATHER]
    ) as stream:
        fragments = [it for it in stream if it.type == "input_json"]
        final = stream.get_final_message()
    # Gemini tells the arguments of a call at once.
    assert len(fragments) > (0 if upstream == "gemini" else 5)
    assert calls(final)[0].input == {"city": "Llanfair" * 20}


def test_a_tool_without_arguments(anthropic_client, upstream, streamed):
    message = ask(anthropic_client, streamed, upstream.model(), [user("call get_time")], tools=[TIME])
    assert calls(message)[0].input == {}


def test_tool_choice(anthropic_client, upstream, streamed):
    def named(choice):
        asked = dict(tools=[WEATHER, TIME], tool_choice=choice)
        return [it.name for it in calls(ask(anthropic_client, streamed, upstream.model(), [user(BOTH)], **asked))]

    assert named({"type": "none"}) == []
    assert named({"type": "auto"}) == ["get_weather", "get_time"]
    assert named({"type": "tool", "name": "get_time"}) == ["get_time"]
    # Gemini has no word for one call at a time.
    one = ["get_weather", "get_time"] if upstream == "gemini" else ["get_weather"]
    assert named({"type": "any", "disable_parallel_tool_use": True}) == one


def test_tool_results_with_images_and_errors(anthropic_client, upstream, streamed):
    turns = [user(BOTH)]
    message = ask(anthropic_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME])
    weather, time = calls(message)
    turns.append({"role": "assistant", "content": message.content})
    picture = [{"type": "text", "text": "a picture"}, PIXEL]
    turns.append(user([result(weather, picture), result(time, "no clock", is_error=True)]))
    assert "I saw 1 image." in text(ask(anthropic_client, streamed, upstream.model(), turns, tools=[WEATHER, TIME]))


def test_an_error_result_keeps_its_text(anthropic_client, upstream, streamed):
    turns = [user("call get_time")]
    message = ask(anthropic_client, streamed, upstream.model(), turns, tools=[TIME])
    turns.append({"role": "assistant", "content": message.content})
    turns.append(user([result(calls(message)[0], "no clock", is_error=True)]))
    assert "no clock" in text(ask(anthropic_client, streamed, upstream.model(), turns, tools=[TIME]))


def test_words_after_results(anthropic_client, upstream, streamed):
    turns = [user("call get_time")]
    message = ask(anthropic_client, streamed, upstream.model(), turns, tools=[TIME])
    turns.append({"role": "assistant", "content": message.content})
    turns.append(user([result(calls(message)[0], "noon"), {"type": "text", "text": "Thanks!"}]))
    assert ask(anthropic_client, streamed, upstream.model(), turns, tools=[TIME]).stop_reason == "end_turn"


def test_images(anthropic_client, upstream, streamed):
    by_url = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    for image in (PIXEL, by_url):
        asked = [user([image, {"type": "text", "text": "Look"}])]
        assert "I saw 1 image." in text(ask(anthropic_client, streamed, upstream.model(), asked))


def test_a_pdf(anthropic_client, upstream, streamed):
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
    asked = [user([pdf, {"type": "text", "text": "Read"}])]
    assert "I read 1 document." in text(ask(anthropic_client, streamed, upstream.model(), asked))


class City(BaseModel):
    name: str
    people: int
    rivers: list[str]


def test_structured_output(anthropic_client, upstream):
    asked = dict(model=upstream.model(), max_tokens=4096, messages=[user("A city as JSON")])
    parsed = anthropic_client.messages.parse(**asked, output_format=City)
    assert isinstance(parsed.parsed_output, City)
    with anthropic_client.messages.stream(**asked, output_format=City) as stream:
        assert isinstance(stream.get_final_message().parsed_output, City)


# `budget`: models that want their signed thoughts back in a tool loop.
@pytest.mark.parametrize("play", [None, "budget"])
def test_thinking_is_kept_over_turns(anthropic_client, upstream, streamed, play):
    turns = [user(BOTH)]
    more = dict(tools=[WEATHER, TIME], thinking=THINKING)
    message = ask(anthropic_client, streamed, upstream.model(play), turns, **more)
    thought = message.content[0]
    assert thought.type == "thinking"
    assert thought.thinking == f"The user wrote {len(BOTH)} characters. A short answer will do."
    # What a Chat upstream thinks nobody signs. The state of the others travels in an envelope: Gemini's rides on the call.
    signatures = [it.signature for it in message.content if it.type == "thinking"]
    if upstream == "messages":
        assert signatures[0].startswith("sim-signature-")
    else:
        assert bool(signatures[-1]) == (upstream != "chat")
    turns.append({"role": "assistant", "content": message.content})
    turns.append(user([result(it, "fine") for it in calls(message)]))
    final = ask(anthropic_client, streamed, upstream.model(play), turns, **more)
    assert text(final) == "The tools said: fine | fine"
    turns.append({"role": "assistant", "content": final.content})
    turns.append(user("And now?"))
    assert text(ask(anthropic_client, streamed, upstream.model(play), turns, **more)) == "You wrote 8 characters."


def test_adaptive_thinking_with_an_effort(anthropic_client, upstream, streamed):
    more = dict(thinking={"type": "adaptive"}, output_config={"effort": "medium"})
    message = ask(anthropic_client, streamed, upstream.model(), [user("Hello")], **more)
    kinds = [it.type for it in message.content]
    # Gemini signs the text after it was told: the signature gets a block of its own.
    assert kinds == ["thinking", "text"] + ["thinking"] * (upstream == "gemini")
    if upstream == "gemini":
        assert message.content[2].thinking == "" and message.content[2].signature


def test_no_thinking_unless_asked(anthropic_client, upstream, streamed):
    for play in (None, "budget"):
        message = ask(anthropic_client, streamed, upstream.model(play), [user("Hello")])
        assert text(message) == "You wrote 5 characters."
        assert not any(it.thinking for it in message.content if it.type == "thinking")


@pytest.mark.direct_only
def test_changed_thinking_is_refused(anthropic_client, upstream):
    message = ask(anthropic_client, False, upstream.model(), [user("Hello")], thinking=THINKING)
    content = [it.model_dump(exclude_none=True) for it in message.content]
    content[0]["thinking"] += " "
    with pytest.raises(anthropic.BadRequestError):
        turns = [user("Hello"), {"role": "assistant", "content": content}, user("And?")]
        ask(anthropic_client, False, upstream.model(), turns, thinking=THINKING)


def test_stop_sequences(anthropic_client, upstream, streamed):
    more = dict(stop_sequences=[" nowhere", " three"])
    message = ask(anthropic_client, streamed, upstream.model("stop"), [user("count")], **more)
    # Responses has no stop sequences.
    assert text(message) == ("one two three four five" if upstream == "responses" else "one two")
    if upstream == "messages":
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", " three")
    else:
        assert message.stop_reason in ("end_turn", "stop_sequence")


def test_the_token_limit(anthropic_client, upstream, streamed):
    # Responses takes no less than 16.
    message = ask(anthropic_client, streamed, upstream.model("long"), [user("count")], max_tokens=16)
    assert (text(message), message.stop_reason) == (("0123456789" * 7)[:64], "max_tokens")


def test_usage_is_what_the_upstream_reported(anthropic_client, upstream, streamed):
    usage = ask(anthropic_client, streamed, upstream.model("usage"), [user("count")]).usage
    # Gemini does not tell what was written to its cache.
    written = 0 if upstream == "gemini" else 10
    assert (usage.input_tokens, usage.output_tokens) == (110 - written, 50)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens or 0) == (20, written)


def test_a_refusal(anthropic_client, upstream, streamed):
    message = ask(anthropic_client, streamed, upstream.model("refusal"), [user("do evil")])
    assert message.stop_reason == "refusal"


def test_a_long_stream(anthropic_client, upstream):
    asked = dict(model=upstream.model("long"), max_tokens=50_000, messages=[user("go on")])
    with anthropic_client.messages.stream(**asked) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert text(final) == "".join(pieces) == "0123456789" * 2000
    assert len(pieces) >= 2000


def test_bytes_cut_anywhere(anthropic_client, upstream):
    message = ask(anthropic_client, True, upstream.model("shredded"), [user("hello")])
    assert text(message) == "Grüße aus Zürich, 世界 🌍, " * 4


def test_a_cut_stream_raises(anthropic_client, upstream, streamed):
    with pytest.raises(Exception) as raised:
        ask(anthropic_client, streamed, upstream.model("cut"), [user("hello")])
    assert not isinstance(raised.value, AssertionError), "it ended like a whole one"


@pytest.mark.gateway_only
def test_a_stream_that_ends_early_raises(anthropic_client, upstream):
    with pytest.raises(anthropic.APIError):
        ask(anthropic_client, True, upstream.model("early"), [user("hello")])


def test_an_error_in_the_stream_raises(anthropic_client, upstream):
    with pytest.raises(anthropic.APIError):
        ask(anthropic_client, True, upstream.model("midstream"), [user("hello")])


def test_errors_before_the_stream(anthropic_client, upstream, streamed):
    with pytest.raises(anthropic.BadRequestError) as raised:
        ask(anthropic_client, streamed, upstream.model("400"), [user("hello")])
    assert raised.value.body["error"]["type"] == "invalid_request_error"
    assert "does not like" in raised.value.body["error"]["message"]
    with pytest.raises(anthropic.RateLimitError) as raised:
        ask(anthropic_client, streamed, upstream.model("429"), [user("hello")])
    assert raised.value.body["error"]["type"] == "rate_limit_error"
    assert 1 <= int(raised.value.response.headers["retry-after"])
    with pytest.raises(anthropic.InternalServerError):
        ask(anthropic_client, streamed, upstream.model("overloaded"), [user("hello")])


def test_a_prompt_that_is_too_long(anthropic_client, upstream, streamed):
    with pytest.raises(anthropic.BadRequestError) as raised:
        ask(anthropic_client, streamed, upstream.model("overflow"), [user("hello")])
    assert raised.value.body["error"]["type"] == "invalid_request_error"
    # Clients make their conversation shorter when they read these words.
    assert "prompt is too long" in raised.value.body["error"]["message"]


@pytest.mark.gateway_only
def test_what_cannot_be_said_is_reported(anthropic_client, upstream):
    asked = dict(model=upstream.model(), max_tokens=100, messages=[user("Hi")], stop_sequences=["x"])
    told = anthropic_client.messages.with_raw_response.create(**asked).headers.get("x-dragoman-translation", "")
    assert ("stop" in told) == (upstream == "responses")


def test_a_request_the_dialect_forbids(anthropic_client, upstream):
    with pytest.raises(anthropic.BadRequestError) as raised:
        anthropic_client.messages.create(model=upstream.model(), max_tokens=10, messages=[])
    assert raised.value.body["type"] == "error"


@pytest.mark.gateway_only
def test_an_unknown_model(anthropic_client):
    with pytest.raises(anthropic.NotFoundError):
        anthropic_client.messages.create(model="no-such-model", max_tokens=10, messages=[user("hello")])


def test_a_wrong_key():
    client = anthropic.Anthropic(base_url=URL, api_key="sk-wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model=MODELS["messages"], max_tokens=10, messages=[user("hello")])
    if not DIRECT:
        with pytest.raises(anthropic.AuthenticationError):
            client.models.list()


def test_models(anthropic_client, upstream):
    assert upstream.model() in [it.id for it in anthropic_client.models.list()]
    model = anthropic_client.models.retrieve(upstream.model())
    assert (model.id, model.type) == (upstream.model(), "model")


def test_tokens_are_counted(anthropic_client, upstream):
    def count(content, **more):
        return anthropic_client.messages.count_tokens(model=upstream.model(), messages=[user(content)], **more).input_tokens

    little = count("Hello")
    assert 0 < little < count("Hello " * 200)
    assert little < count("Hello", tools=[WEATHER, TIME])


def test_leaving_in_the_middle(anthropic_client, upstream):
    with anthropic_client.messages.stream(
        model=upstream.model("slow"), max_tokens=50_000, messages=[user("hi")]
    ) as stream:
        for count, _ in enumerate(stream.text_stream):
            if count == 3:
                break
    assert ask(anthropic_client, False, upstream.model(), [user("still there?")]).stop_reason == "end_turn"


@pytest.mark.anyio
async def test_the_async_client(upstream):
    async with anthropic.AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0) as client:
        async with client.messages.stream(
            model=upstream.model(), max_tokens=100, messages=[user("Hi")]
        ) as stream:
            message = await stream.get_final_message()
    assert text(message) == "You wrote 2 characters."
