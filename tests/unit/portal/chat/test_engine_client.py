"""Tests for asking an engine, over a server that answers on command."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from support.openai_server import EMBEDDING, OpenAIServer
from vllm_pkg.portal.chat.engine_client import EngineClient
from vllm_pkg.portal.chat.kinds import AnswerSettings, Kind, Served, question
from vllm_pkg.portal.chat.problems import EngineProblem, Problem

CHAT = Served("test-model", Kind.CHAT)


@pytest.fixture(name="server")
def server_fixture():
    """A server with a chat model."""
    with OpenAIServer() as server:
        yield server


def _client(server: OpenAIServer, key: str | None = None) -> EngineClient:
    return EngineClient(server.base_url, key or server.key)


def _served(server: OpenAIServer) -> Served:
    return asyncio.run(_client(server).served())


async def _answer(client: EngineClient, text: str, pieces: int | None = None):
    path, body = question(CHAT, AnswerSettings(), [("user", text)])
    answer = None
    async with contextlib.aclosing(client.answer(path, body)) as stream:
        async for answer in stream:
            if pieces is not None and len(answer.text.split()) >= pieces:
                break
    return answer


@pytest.mark.parametrize("has_description", [True, False])
@pytest.mark.parametrize(
    ("paths", "has_template", "kind"),
    [
        (("/v1/chat/completions", "/v1/completions"), True, Kind.CHAT),
        (("/v1/chat/completions", "/v1/completions"), False, Kind.COMPLETION),
        (EMBEDDING, True, Kind.EMBEDDING),
        (("/classify",), True, Kind.OTHER),
    ],
)
def test_the_engine_tells_what_is_served(
    server, has_description, paths, has_template, kind
):
    """With its published paths or by asking for them; nothing is generated for it."""
    server.has_description = has_description
    server.paths, server.has_template = paths, has_template

    assert _served(server) == Served("test-model", kind, 512)
    assert server.requests == []


def test_an_answer_comes_as_it_is_written(server):
    """The answer is put together, with the engine's own count of tokens."""
    answer = asyncio.run(_answer(_client(server), "say THINKhm one two"))

    assert answer is not None
    assert (answer.reasoning, answer.text) == ("hm", "one two ")
    assert answer.tokens == 3
    assert answer.finish_reason == "stop"


def test_closing_the_answer_ends_the_engines_work(server):
    """Who does not want the rest gives up the request, and the engine notices."""
    asyncio.run(_answer(_client(server), "say one PAUSE two", pieces=1))

    assert server.given_up.wait(10)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("too long", Problem.TOO_LONG),
        ("refuse", Problem.REFUSED),
        ("busy", Problem.BUSY),
        ("say one BREAK", Problem.BROKEN_OFF),
        ("say one FAIL", Problem.FAILED),
    ],
)
def test_what_goes_wrong_has_a_name(server, text, problem):
    """Refused, overloaded, lost and failed are told apart."""
    with pytest.raises(EngineProblem) as caught:
        asyncio.run(_answer(_client(server), text))

    assert caught.value.problem is problem


def test_a_wrong_key_and_nobody_there_are_told(server):
    """Both come before there is an answer."""
    with pytest.raises(EngineProblem) as wrong:
        asyncio.run(_client(server, "x").served())
    gone = EngineClient("http://127.0.0.1:9/v1", "x")
    with pytest.raises(EngineProblem) as unreachable:
        asyncio.run(gone.served())

    assert wrong.value.problem is Problem.WRONG_KEY
    assert unreachable.value.problem is Problem.UNREACHABLE


def test_texts_become_vectors_in_their_order(server):
    """The order of the answer may be another one."""
    server.paths = EMBEDDING

    vectors = asyncio.run(_client(server).embed("test-model", ["a", "bb", "abc"]))

    assert vectors == [[1, 0, 0], [0, 2, 0], [1, 1, 1]]
