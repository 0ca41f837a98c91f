#!/usr/bin/env python3
"""Judges the bodies the simulator received by the request types that the vendors publish in their own SDKs.

usage: validate.py SIMULATOR

SIMULATOR is the base URL of a simulator that keeps bodies. Of OpenAI and Anthropic these are the typed dictionaries of the
parameters, of Google the models that the SDK writes its REST requests from. All are closed: a field they do not know is a
fault, but for those of EXTENSIONS.
"""

import collections
import json
import sys
import typing
import urllib.request
import warnings

import pydantic
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_params
from anthropic.types.beta import message_create_params as beta_params
from google.genai import types as google
from openai.types.chat import completion_create_params
from openai.types.responses import input_token_count_params, response_compact_params, response_create_params
from pydantic_core import SchemaValidator

# Fields that clones of a service take, that their clients send, and that the service's own types do not know.
EXTENSIONS = {"openai-chat": {"reasoning_content"}, "openai-responses": {"client_metadata"}}

# Models whose clients have words of their own, which go on as they stand to an upstream of their dialect.
OWN_WORDS = {"openai-responses": ("-codex", "-own-words")}

# What Responses gives to be sent back, and takes, though the types of its input do not know it.
GIVEN = {"custom_tool_call": {"status"}, "message": {"id"}}

# How many faults are shown.
SHOWN = 20


def closed(schema):
    """The schema with its dictionaries closed, and lists where it has iterables, which would be judged when they are read."""
    if isinstance(schema, list):
        return [closed(it) for it in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: value if key in ("metadata", "config") else closed(value) for key, value in schema.items()}
    if schema.get("type") == "generator":
        return {"type": "list", "items_schema": schema.get("items_schema", {"type": "any"})}
    if schema.get("type") == "typed-dict":
        schema.pop("extras_schema", None)
        schema["extra_behavior"] = "forbid"
    return schema


def judge_of(*kinds):
    """A function that judges a body by the first of the kinds, or by the second if it asks for a stream."""

    def validator(kind):
        # Handles of files, which the types also allow, cannot be judged and do not travel.
        adapter = pydantic.TypeAdapter(typing.List[kind], config={"arbitrary_types_allowed": True})
        return SchemaValidator(closed(adapter.core_schema), {"strict": True})

    validators = [validator(it) for it in kinds]

    def judge(body):
        which = bool(body.get("stream")) if len(validators) > 1 else 0
        validators[which].validate_json(json.dumps([body]))

    return judge


class GeminiRequest(pydantic.BaseModel):
    """A request as REST has it, in either casing; the SDK has no model of the whole, but of each of its parts."""

    model_config = pydantic.ConfigDict(extra="forbid")

    contents: list[google.Content]
    systemInstruction: google.Content | None = None
    tools: list[google.Tool] | None = None
    toolConfig: google.ToolConfig | None = None
    safetySettings: list[google.SafetySetting] | None = None
    generationConfig: google.GenerationConfig | None = None
    cachedContent: str | None = None
    labels: dict[str, str] | None = None
    serviceTier: google.ServiceTier | None = None
    model: str | None = None


class GeminiCount(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    contents: list[google.Content] | None = None
    generateContentRequest: GeminiRequest | None = None


def gemini_of(model):
    def judge(body):
        with warnings.catch_warnings():
            # A word that is not one of an enumeration is only a warning to the SDK.
            warnings.simplefilter("error")
            model.model_validate_json(json.dumps(body))

    return judge


JUDGES = {
    ("openai-chat", "answer"): judge_of(
        completion_create_params.CompletionCreateParamsNonStreaming, completion_create_params.CompletionCreateParamsStreaming
    ),
    ("openai-responses", "answer"): judge_of(
        response_create_params.ResponseCreateParamsNonStreaming, response_create_params.ResponseCreateParamsStreaming
    ),
    ("openai-responses", "count"): judge_of(input_token_count_params.InputTokenCountParams),
    ("openai-responses", "compact"): judge_of(response_compact_params.ResponseCompactParams),
    ("anthropic-messages", "answer"): judge_of(
        message_create_params.MessageCreateParamsNonStreaming, message_create_params.MessageCreateParamsStreaming
    ),
    ("anthropic-messages", "count"): judge_of(message_count_tokens_params.MessageCountTokensParams),
    # The headers carry the names of the betas, the body does not.
    ("anthropic-messages", "answer, beta"): judge_of(
        beta_params.MessageCreateParamsNonStreaming, beta_params.MessageCreateParamsStreaming
    ),
    ("anthropic-messages", "count, beta"): judge_of(beta_count_params.MessageCountTokensParams),
    ("gemini", "answer"): gemini_of(GeminiRequest),
    ("gemini", "count"): gemini_of(GeminiCount),
}


def task(entry):
    path = entry["path"]
    beta = ", beta" if any(name == "anthropic-beta" for name, _ in entry["headers"]) else ""
    if path.endswith(("/count_tokens", "/input_tokens", ":countTokens")):
        return "count" + beta
    return "compact" if path.endswith("/compact") else "answer" + beta


def without(body, names):
    """The body without these fields, wherever they are."""
    if isinstance(body, list):
        return [without(it, names) for it in body]
    if isinstance(body, dict):
        return {key: without(value, names) for key, value in body.items() if key not in names}
    return body


def in_short(fault):
    """The faults in one line: of the kinds of a union those that came furthest, for they were meant."""
    if not isinstance(fault, pydantic.ValidationError):
        return str(fault)
    errors = fault.errors(include_url=False, include_context=False, include_input=False)
    depth = max(len(it["loc"]) for it in errors)
    deepest = [it for it in errors if len(it["loc"]) == depth][:3]
    # The names of unions and lists are as long as the types they are made of.
    places = ((".".join(part for it in each["loc"][1:] if len(part := str(it)) < 60), each["msg"]) for each in deepest)
    return "; ".join(f"{place}: {message}" for place, message in places)


def as_typed(entry, body):
    """The body without what the service is known to take beside its types."""
    body = without(body, EXTENSIONS.get(entry["dialect"], ()))
    if entry["dialect"] != "openai-responses" or not isinstance(body.get("input"), list):
        return body
    items = []
    for item in body["input"]:
        beside = GIVEN.get(item.get("type"), set())
        if item.get("role") != "assistant":
            item = {key: value for key, value in item.items() if key not in beside}
        # With its encrypted content it needs no id, and one that does not fit is refused.
        if item.get("type") == "reasoning" and item.get("encrypted_content"):
            item = {"id": "rs_1", **item}
        items.append(item)
    return {**body, "input": items}


def fetch(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def main():
    simulator = sys.argv[1].rstrip("/")
    counts, wrong = collections.Counter(), collections.Counter()
    for entry in fetch(f"{simulator}/_sim/log"):
        if entry["model"].endswith(OWN_WORDS.get(entry["dialect"], ())):
            continue
        kind = (entry["dialect"], task(entry))
        if kind not in JUDGES:
            wrong[f"{entry['path']}: nothing judges {kind}"] += 1
            continue
        body = as_typed(entry, fetch(f"{simulator}/_sim/requests/{entry['seq']}"))
        try:
            JUDGES[kind](body)
            counts[kind] += 1
        except (pydantic.ValidationError, ValueError, UserWarning) as fault:
            wrong[f"{entry['model']} {kind[1]}: {in_short(fault)}"] += 1
    for (dialect, what), count in sorted(counts.items()):
        print(f"{dialect}, {what}: {count} bodies are valid")
    for fault, count in wrong.most_common(SHOWN):
        print(f"{count} × {fault}")
    if wrong:
        print(f"{wrong.total()} bodies are not valid")
    sys.exit(bool(wrong) or not counts)


main()
