"""Which gateway the suites talk to, and which upstream dialect each test reaches.

DRAGOMAN_URL     base URL without `/v1`
DRAGOMAN_KEY     a tenant key
MODEL_CHAT       a model name that leads to a Chat Completions upstream; with `-usage`, `-cut`, … added, to its plays
MODEL_RESPONSES, MODEL_MESSAGES, MODEL_GEMINI   the same for upstreams of the other dialects
DRAGOMAN_DIRECT  set when DRAGOMAN_URL is the simulator itself: only pairs of the same dialect can run
"""

import base64
import os

import anthropic
import openai
import pytest
from google import genai

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8317").rstrip("/")
KEY = os.environ.get("DRAGOMAN_KEY", "sk-none")
DIRECT = bool(os.environ.get("DRAGOMAN_DIRECT"))
MODELS = {
    "chat": os.environ.get("MODEL_CHAT", "chat-sim"),
    "responses": os.environ.get("MODEL_RESPONSES", "responses-sim"),
    "messages": os.environ.get("MODEL_MESSAGES", "messages-sim"),
    "gemini": os.environ.get("MODEL_GEMINI", "gemini-sim"),
}
OWN_UPSTREAM = {"test_openai": "chat", "test_responses": "responses", "test_anthropic": "messages", "test_google": "gemini"}

# A red pixel.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8Dwn4EIwDiqkL4KAcT9"
    "GO0U4BxoAAAAAElFTkSuQmCC"
)

# A page without words.
PDF = base64.b64encode(
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
).decode()


class Upstream(str):
    """The upstream's dialect: `chat`, `responses`, `messages` or `gemini`."""

    def model(self, play=None):
        return MODELS[self] + (f"-{play}" if play else "")


def pytest_generate_tests(metafunc):
    if "upstream" in metafunc.fixturenames:
        own = OWN_UPSTREAM[metafunc.module.__name__]
        reached = [own] if DIRECT else list(MODELS)
        metafunc.parametrize("upstream", [Upstream(it) for it in reached], ids=[f"to-{it}" for it in reached])
    if "streamed" in metafunc.fixturenames:
        metafunc.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def pytest_collection_modifyitems(items):
    for item in items:
        if DIRECT and item.get_closest_marker("gateway_only"):
            item.add_marker(pytest.mark.skip(reason="the simulator does not repair what a gateway must"))
        if not DIRECT and item.get_closest_marker("direct_only"):
            item.add_marker(pytest.mark.skip(reason="a judgement of the simulator's"))


def pytest_configure(config):
    config.addinivalue_line("markers", "gateway_only: asks more than an upstream gives")
    config.addinivalue_line("markers", "direct_only: asks the simulator about itself")


@pytest.fixture(scope="session")
def openai_client():
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=60)


@pytest.fixture(scope="session")
def anthropic_client():
    return anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=60)


@pytest.fixture(scope="session")
def google_client():
    return genai.Client(api_key=KEY, http_options={"base_url": URL, "timeout": 60_000})


@pytest.fixture
def anyio_backend():
    return "asyncio"
