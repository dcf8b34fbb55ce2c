"""Requests that wait for the first word of the engine, as the guard counts them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.guarded import PRIMARY, bearer
from vllm_pkg.engine.guard.routes import Access, classify
from vllm_pkg.engine.guard.waiting import CORE_PATHS, WaitingRequests

BODY = {"type": "http.request", "body": b"{}", "more_body": False}
PART = {"type": "http.request", "body": b"{", "more_body": True}
GONE = {"type": "http.disconnect"}
HEADERS = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}
NOTHING = {"type": "http.response.body", "body": b"", "more_body": True}
WORD = {"type": "http.response.body", "body": b"x", "more_body": True}


@dataclass
class Desk:
    """A request in the hands of a test: each step is looked at from outside."""

    now_s: float = 100.0
    incoming: list[dict[str, Any]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self):
        """Make the counter."""
        self.waiting = WaitingRequests(lambda: self.now_s)

    async def receive(self):
        """Hand the next message in."""
        return self.incoming.pop(0)

    async def send(self, message):
        """Note what goes out."""
        self.sent.append(message)

    def seen(self):
        """Return what an answer to /metrics tells now."""
        sent = []

        async def note(message):
            sent.append(message)

        async def metrics(_scope, _receive, send):
            await send(HEADERS)
            await send(WORD)

        asyncio.run(self.waiting.tell(metrics, {}, self.receive, note))
        assert sent[1] == WORD
        assert sent[0]["headers"][0] == (b"a", b"b")
        name, value = sent[0]["headers"][1]
        assert name == b"x-vllm-pkg-waiting"
        return value.decode()

    def steps(self, *messages):
        """Serve one request step by step; return what is told after each."""
        told = []

        async def inside(_scope, receive, send):
            for message in messages:
                if message in (BODY, PART, GONE):
                    self.incoming.append(message)
                    assert await receive() == message
                else:
                    await send(message)
                self.now_s += 1.0
                told.append(self.waiting._header()[1].decode())

        asyncio.run(self.waiting.serve(inside, {}, self.receive, self.send))
        return told


def test_nobody_waits_at_first():
    """Without a request the header says so, and the headers there were stay."""
    assert Desk().seen() == "0 0.000"
    assert HEADERS["headers"] == [(b"a", b"b")]


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ((BODY, HEADERS, WORD, WORD), ["1 1.000", "1 2.000", "0 0.000", "0 0.000"]),
        ((PART, PART, BODY), ["0 0.000", "0 0.000", "1 1.000"]),
        ((BODY, HEADERS, NOTHING, NOTHING), ["1 1.000", "1 2.000", "1 3.000"]),
        ((BODY, WORD, GONE), ["1 1.000", "0 0.000", "0 0.000"]),
        ((BODY, GONE, GONE), ["1 1.000", "1 2.000", "1 3.000"]),
        ((HEADERS, WORD, BODY), ["0 0.000", "0 0.000", "0 0.000"]),
    ],
    ids=["a stream", "a slow body", "no token", "read", "gone", "early answer"],
)
def test_it_waits_from_the_end_of_its_body_to_the_first_byte(messages, told):
    """Neither a client that sends slowly nor one that reads slowly waits."""
    desk = Desk()

    assert desk.steps(*messages)[: len(told)] == told
    # However it ended, it waits no more.
    assert desk.seen() == "0 0.000"
    assert desk.sent == [one for one in messages if one not in (BODY, PART, GONE)]


def test_a_request_that_fails_waits_no_more():
    """An error inside ends the waiting, and goes on as it was."""
    desk = Desk()
    desk.incoming.append(BODY)

    async def inside(_scope, receive, _send):
        await receive()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(desk.waiting.serve(inside, {}, desk.receive, desk.send))
    assert desk.seen() == "0 0.000"


def test_the_oldest_of_several_is_told():
    """The age is that of the first that still waits."""
    desk = Desk()
    told = []

    async def run():
        ends = [asyncio.Event() for _ in range(3)]

        async def serve(end):
            async def inside(_scope, receive, _send):
                await receive()
                await end.wait()

            await desk.waiting.serve(inside, {}, desk.receive, desk.send)

        tasks = []
        for end in ends:
            desk.incoming.append(BODY)
            tasks.append(asyncio.ensure_future(serve(end)))
            while desk.incoming:
                await asyncio.wait(tasks, timeout=0)
            desk.now_s += 10.0
        for end, task in zip(ends, tasks, strict=True):
            told.append(desk.waiting._header()[1].decode())
            end.set()
            await task

    asyncio.run(run())
    assert told == ["3 30.000", "2 20.000", "1 10.000"]


def test_every_path_that_is_watched_is_one_of_the_engine():
    """No path of the list is misspelt, and each needs a key."""
    assert {classify("POST", path) for path in CORE_PATHS} == {Access.KEY}
    assert "/v1/responses" not in CORE_PATHS


def test_the_guard_tells_it_with_the_metrics_and_nowhere_else(service):
    """Who may read the metrics reads it; no other answer has the header."""
    name = b"x-vllm-pkg-waiting"

    assert service.ask("GET", "/metrics", bearer(PRIMARY)) == 200
    assert dict(service.sent[0]["headers"])[name] == b"0 0.000"
    assert service.ask("GET", "/metrics") == 401
    assert name not in dict(service.sent[0]["headers"])
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/completions")):
        assert service.ask(method, path, bearer(PRIMARY)) == 200
        assert name not in dict(service.sent[0]["headers"])


def test_the_guard_counts_what_the_core_has_to_answer(service):
    """A completion is counted while the engine has it, and has its own key there."""
    told = []

    async def inside(scope, receive, send):
        service.reached.append(scope)
        await receive()
        told.append(service.guard._waiting._header()[1].decode().split()[0])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def call(path):
        async def receive():
            return BODY

        async def send(_message):
            pass

        scope = {"type": "http", "method": "POST", "path": path}
        await service.guard({**scope, "headers": [bearer(PRIMARY)]}, receive, send)

    service.guard._app = inside
    for path in ("/v1/completions", "/tokenize"):
        asyncio.run(call(path))

    assert told == ["1", "0"]
    assert len(service.reached) == 2
