"""Google's official SDK, against upstreams of every dialect."""

import base64
import json

import pytest
from conftest import DIRECT, KEY, MODELS, PDF, PNG, URL
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="The weather in a city",
    parameters=types.Schema(
        type="OBJECT",
        properties={"city": types.Schema(type="STRING"), "days": types.Schema(type="INTEGER", nullable=True)},
        required=["city"],
    ),
)
TIME = types.FunctionDeclaration(
    name="get_time", parameters_json_schema={"type": "object", "properties": {"zone": {"type": "string"}}}
)
TOOLS = [types.Tool(function_declarations=[WEATHER, TIME])]
BOTH = 'Please call get_weather {"city": "Oslo", "days": 2} and call get_time {"zone": "CET"}'
THINKING = types.ThinkingConfig(thinking_budget=1024, include_thoughts=True)
MANUAL = types.AutomaticFunctionCallingConfig(disable=True)
PIXEL = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
PAGE = types.Part.from_bytes(data=base64.b64decode(PDF), mime_type="application/pdf")


class Answer:
    """An answer, whole or folded from its chunks."""

    def __init__(self, chunks):
        self.chunks = chunks
        assert chunks and all(it.response_id == chunks[0].response_id for it in chunks)
        candidates = [it.candidates[0] for it in chunks if it.candidates]
        finishes = [it.finish_reason for it in candidates if it.finish_reason]
        assert len(finishes) == 1 and candidates[-1].finish_reason, "the last chunk says how it ended, and no other"
        self.finish = finishes[0].name
        self.usage = chunks[-1].usage_metadata
        self.parts = [part for it in candidates if it.content for part in it.content.parts or []]
        self.text = "".join(it.text for it in self.parts if it.text and not it.thought)
        self.thoughts = "".join(it.text for it in self.parts if it.text and it.thought)
        self.calls = [it.function_call for it in self.parts if it.function_call]
        self.signatures = [it.thought_signature for it in self.parts if it.thought_signature]
        self.turn = types.Content(role="model", parts=[it for it in self.parts if it.text != "" or it.thought_signature])


def ask(client, streamed, model, contents, **config):
    if "tools" in config:
        config.setdefault("automatic_function_calling", MANUAL)
    asked = dict(model=model, contents=contents, config=types.GenerateContentConfig(**config))
    if streamed:
        return Answer(list(client.models.generate_content_stream(**asked)))
    return Answer([client.models.generate_content(**asked)])


def user(*parts):
    return types.Content(role="user", parts=[types.Part(text=it) if isinstance(it, str) else it for it in parts])


def result(call, response, **more):
    return types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response=response, **more))


def test_plain_text(google_client, upstream, streamed):
    answer = ask(google_client, streamed, upstream.model(), "Hello, you")
    assert answer.text == "You wrote 10 characters."
    assert (answer.finish, answer.thoughts, answer.calls) == ("STOP", "", [])
    usage = answer.usage
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count > 0


def test_several_turns_with_a_system_instruction(google_client, upstream, streamed):
    turns = [user("one"), types.Content(role="model", parts=[types.Part(text="1")]), user("two!")]
    answer = ask(google_client, streamed, upstream.model(), turns, system_instruction="Be brief.")
    assert answer.text == "You wrote 4 characters."


@pytest.mark.parametrize("thinking", [None, THINKING], ids=["plain", "thinking"])
def test_a_chat(google_client, upstream, streamed, thinking):
    config = types.GenerateContentConfig(thinking_config=thinking)
    chat = google_client.chats.create(model=upstream.model(), config=config)
    for said, told in (("one", "You wrote 3 characters."), ("three", "You wrote 5 characters.")):
        if streamed:
            assert "".join(it.text or "" for it in chat.send_message_stream(said)) == told
        else:
            assert chat.send_message(said).text == told
    turns = chat.get_history()
    assert [turns[0].role, turns[-1].role] == ["user", "model"] and len(turns) >= 4


def test_parallel_tools_and_their_results(google_client, upstream, streamed):
    turns = [user(BOTH)]
    answer = ask(google_client, streamed, upstream.model(), turns, tools=TOOLS)
    weather, time = answer.calls
    assert (weather.name, weather.args) == ("get_weather", {"city": "Oslo", "days": 2})
    assert (time.name, time.args) == ("get_time", {"zone": "CET"})
    turns += [answer.turn, user(result(weather, {"result": "sunny"}), result(time, {"error": "no clock"}))]
    final = ask(google_client, streamed, upstream.model(), turns, tools=TOOLS)
    assert final.text.startswith("The tools said: ")
    assert final.text.index("sunny") < final.text.index("no clock")


def test_results_without_ids(google_client, upstream, streamed):
    turns = [user(BOTH)]
    answer = ask(google_client, streamed, upstream.model(), turns, tools=TOOLS)
    results = [types.Part.from_function_response(name=it.name, response={"output": it.name}) for it in answer.calls]
    turns += [answer.turn, user(*results)]
    final = ask(google_client, streamed, upstream.model(), turns, tools=TOOLS)
    assert final.text == "The tools said: get_weather | get_time"


# `budget`: Gemini takes images in results from its third generation on.
def test_tool_results_with_images(google_client, upstream, streamed):
    turns = [user(BOTH)]
    answer = ask(google_client, streamed, upstream.model("budget"), turns, tools=TOOLS)
    blob = types.FunctionResponseBlob(mime_type="image/png", data=base64.b64decode(PNG))
    picture = result(answer.calls[0], {"result": "a picture"}, parts=[types.FunctionResponsePart(inline_data=blob)])
    turns += [answer.turn, user(picture, result(answer.calls[1], {"error": "no clock"}))]
    assert "I saw 1 image." in ask(google_client, streamed, upstream.model("budget"), turns, tools=TOOLS).text


def test_functions_are_called_by_the_sdk(google_client, upstream, streamed):
    called = []

    def get_weather(city: str, days: int) -> str:
        """The weather in a city."""
        called.append((city, days))
        return "sunny"

    asked = dict(
        model=upstream.model(),
        contents='call get_weather {"city": "Oslo", "days": 2}',
        config=types.GenerateContentConfig(tools=[get_weather]),
    )
    if streamed:
        text = "".join(it.text or "" for it in google_client.models.generate_content_stream(**asked))
    else:
        text = google_client.models.generate_content(**asked).text
    assert called == [("Oslo", 2)]
    assert text == "The tool said: sunny"


def test_a_tool_without_arguments(google_client, upstream, streamed):
    answer = ask(google_client, streamed, upstream.model(), "call get_time", tools=TOOLS)
    assert (answer.calls[0].args or {}) == {}


def test_function_calling_modes(google_client, upstream, streamed):
    def named(**calling):
        calling = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(**calling))
        answer = ask(google_client, streamed, upstream.model(), BOTH, tools=TOOLS, tool_config=calling)
        return [it.name for it in answer.calls]

    assert named(mode="NONE") == []
    assert named(mode="AUTO") == ["get_weather", "get_time"]
    assert named(mode="ANY", allowed_function_names=["get_time"]) == ["get_time"]
    assert named(mode="ANY") == ["get_weather", "get_time"]


def test_images(google_client, upstream, streamed):
    by_url = types.Part.from_uri(file_uri="https://example.com/a.png", mime_type="image/png")
    for image in (PIXEL, by_url):
        assert "I saw 1 image." in ask(google_client, streamed, upstream.model(), [user(image, "Look")]).text


def test_a_pdf(google_client, upstream, streamed):
    assert "I read 1 document." in ask(google_client, streamed, upstream.model(), [user(PAGE, "Read")]).text


class City(BaseModel):
    name: str
    people: int
    rivers: list[str]


def test_structured_output(google_client, upstream, streamed):
    json_type = dict(response_mime_type="application/json")
    for config in (
        dict(response_schema=City, **json_type),
        dict(response_json_schema=City.model_json_schema(), **json_type),
    ):
        answer = ask(google_client, streamed, upstream.model(), "A city as JSON", **config)
        assert City.model_validate_json(answer.text)
        if not streamed and "response_schema" in config:
            assert isinstance(answer.chunks[0].parsed, City)


def test_any_json(google_client, upstream, streamed):
    answer = ask(google_client, streamed, upstream.model(), "Some JSON", response_mime_type="application/json")
    # Messages has no such mode: the prompt asks for it, and the echo does not read that.
    if upstream != "messages":
        assert json.loads(answer.text) == {"length": 9}


# `budget`: models that want their signed thoughts back in a tool loop.
@pytest.mark.parametrize("play", [None, "budget"])
def test_thoughts_are_kept_over_turns(google_client, upstream, streamed, play):
    turns = [user(BOTH)]
    more = dict(tools=TOOLS, thinking_config=THINKING)
    answer = ask(google_client, streamed, upstream.model(play), turns, **more)
    assert answer.thoughts == f"The user wrote {len(BOTH)} characters. A short answer will do."
    # What a Chat upstream thinks nobody signs.
    assert bool(answer.signatures) == (upstream != "chat")
    turns += [answer.turn, user(*[result(it, {"result": "fine"}) for it in answer.calls])]
    final = ask(google_client, streamed, upstream.model(play), turns, **more)
    assert final.text == "The tools said: fine | fine"
    turns += [final.turn, user("And now?")]
    assert ask(google_client, streamed, upstream.model(play), turns, **more).text == "You wrote 8 characters."


def test_stop_sequences(google_client, upstream, streamed):
    answer = ask(google_client, streamed, upstream.model("stop"), "count", stop_sequences=[" nowhere", " three"])
    # Responses has no stop sequences.
    assert answer.text == ("one two three four five" if upstream == "responses" else "one two")
    assert answer.finish == "STOP"


def test_the_token_limit(google_client, upstream, streamed):
    answer = ask(google_client, streamed, upstream.model("long"), "count", max_output_tokens=16)
    assert (answer.text, answer.finish) == (("0123456789" * 7)[:64], "MAX_TOKENS")


def test_usage_is_what_the_upstream_reported(google_client, upstream, streamed):
    usage = ask(google_client, streamed, upstream.model("usage"), "count").usage
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (130, 20)
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (35, 15)
    assert usage.total_token_count == 180


def test_a_refusal(google_client, upstream, streamed):
    answer = ask(google_client, streamed, upstream.model("refusal"), "do evil")
    assert answer.finish == "SAFETY"


def test_a_long_stream(google_client, upstream):
    answer = ask(google_client, True, upstream.model("long"), "go on")
    assert answer.text == "0123456789" * 2000
    assert len(answer.chunks) >= 2000


def test_bytes_cut_anywhere(google_client, upstream):
    assert ask(google_client, True, upstream.model("shredded"), "hello").text == "Grüße aus Zürich, 世界 🌍, " * 4


@pytest.mark.parametrize("play", ["cut", pytest.param("early", marks=pytest.mark.gateway_only), "midstream"])
def test_a_broken_stream_is_not_a_whole_one(google_client, upstream, play):
    chunks = []
    try:
        for chunk in google_client.models.generate_content_stream(model=upstream.model(play), contents="hello"):
            chunks.append(chunk)
    except Exception:
        return
    assert not any(it.candidates and it.candidates[0].finish_reason for it in chunks), "it ended like a whole one"


def test_a_cut_answer_raises(google_client, upstream):
    with pytest.raises(Exception) as raised:
        ask(google_client, False, upstream.model("cut"), "hello")
    assert not isinstance(raised.value, AssertionError), "it ended like a whole one"


def test_errors_before_the_stream(google_client, upstream, streamed):
    with pytest.raises(errors.ClientError) as raised:
        ask(google_client, streamed, upstream.model("400"), "hello")
    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")
    assert "does not like" in raised.value.message
    with pytest.raises(errors.ClientError) as raised:
        ask(google_client, streamed, upstream.model("429"), "hello")
    assert (raised.value.code, raised.value.status) == (429, "RESOURCE_EXHAUSTED")
    with pytest.raises(errors.ServerError) as raised:
        ask(google_client, streamed, upstream.model("overloaded"), "hello")
    # The code the scenario plays is Anthropic's; the status is Google's.
    assert raised.value.code == (529 if upstream == "gemini" else 503)
    assert raised.value.status == "UNAVAILABLE"


def test_a_prompt_that_is_too_long(google_client, upstream, streamed):
    with pytest.raises(errors.ClientError) as raised:
        ask(google_client, streamed, upstream.model("overflow"), "hello")
    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")
    assert any(it in raised.value.message for it in ("number of tokens", "context", "too long"))


@pytest.mark.gateway_only
def test_what_cannot_be_said_is_reported(google_client, upstream):
    safety = types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")
    answer = ask(google_client, False, upstream.model(), "Hi", safety_settings=[safety], stop_sequences=["x"])
    headers = {name.lower(): it for name, it in answer.chunks[0].sdk_http_response.headers.items()}
    told = headers.get("x-dragoman-translation", "")
    assert ("safetySettings" in told) == (upstream != "gemini")
    assert ("stop" in told) == (upstream == "responses")


@pytest.mark.gateway_only
def test_a_request_the_dialect_forbids(google_client):
    with pytest.raises(errors.ClientError) as raised:
        ask(google_client, False, MODELS["chat"], [types.Content(role="narrator", parts=[types.Part(text="Once")])])
    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")


@pytest.mark.gateway_only
def test_an_unknown_model(google_client):
    with pytest.raises(errors.ClientError) as raised:
        ask(google_client, False, "no-such-model", "hello")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


def test_a_wrong_key():
    client = genai.Client(api_key="sk-wrong", http_options={"base_url": URL})
    with pytest.raises(errors.ClientError) as raised:
        ask(client, False, MODELS["gemini"], "hello")
    # Google calls a wrong key a bad request.
    assert raised.value.code in (400, 401)
    if not DIRECT:
        with pytest.raises(errors.ClientError):
            list(client.models.list())


def test_models(google_client, upstream):
    assert f"models/{upstream.model()}" in [it.name for it in google_client.models.list()]
    model = google_client.models.get(model=upstream.model())
    assert model.name == f"models/{upstream.model()}"
    assert "generateContent" in model.supported_actions


def test_tokens_are_counted(google_client, upstream):
    def count(contents):
        return google_client.models.count_tokens(model=upstream.model(), contents=contents).total_tokens

    little = count("Hello")
    assert 0 < little < count("Hello " * 200)
    assert little < count([user("Hello", PIXEL)])


def test_leaving_in_the_middle(google_client, upstream):
    stream = google_client.models.generate_content_stream(model=upstream.model("slow"), contents="hi")
    for count, _ in enumerate(stream):
        if count == 3:
            break
    stream.close()
    assert ask(google_client, False, upstream.model(), "still there?").finish == "STOP"


@pytest.mark.anyio
async def test_the_async_client(upstream):
    client = genai.Client(api_key=KEY, http_options={"base_url": URL}).aio
    stream = await client.models.generate_content_stream(model=upstream.model(), contents="Hi")
    text = "".join([it.text or "" async for it in stream])
    assert text == "You wrote 2 characters."
