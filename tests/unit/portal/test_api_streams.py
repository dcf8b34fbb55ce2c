"""Streams of events: pulled one at a time, counted, and bounded."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, cast

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import StateUnreadable
from vllm_pkg.portal.api import streams
from vllm_pkg.portal.api.streams import Streams, TooManyStreams
from vllm_pkg.portal.feed import StateFeed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sse_starlette import EventSourceResponse, ServerSentEvent


def _events(response: EventSourceResponse) -> AsyncGenerator[ServerSentEvent]:
    """Return the events of a stream, before they are made to bytes."""
    return cast("AsyncGenerator[ServerSentEvent]", response.body_iterator)


def _feed(tmp_path, states):
    """Return a feed that sees one state after another, and then stays with the last."""

    def collect(_settings):
        state = states.pop(0) if len(states) > 1 else states[0]
        if isinstance(state, Exception):
            raise state
        return state

    return StateFeed(make_settings(tmp_path), collect)


async def _take(response, count):
    """Return the first events of a stream, then leave it."""
    taken = []
    events = _events(response)
    async for event in events:
        taken.append(event)
        if len(taken) == count:
            break
    await events.aclose()
    return [(one.event, json.loads(str(one.data)), one.id) for one in taken]


def test_a_slow_reader_sees_the_newest_state_and_none_in_between(run, tmp_path):
    """Nothing is kept for it: what it missed is gone, and what is true now comes."""
    feed = _feed(tmp_path, [{"n": number} for number in range(1, 50)])

    async def scenario():
        open_streams = Streams()
        events = _events(open_streams.state(feed))
        first = await anext(events)
        for _ in range(40):
            await feed.look()
        second = await anext(events)
        during = open_streams.open
        await events.aclose()
        return first, second, during, open_streams.open

    first, second, during, after = run(scenario())

    assert json.loads(first.data) == {"n": 1}
    assert json.loads(second.data) == {"n": 41}
    assert (during, after) == (1, 0)


def test_a_state_that_cannot_be_read_is_a_problem(run, tmp_path):
    """The stream goes on, and says what is wrong."""
    feed = _feed(tmp_path, [StateUnreadable("cannot read it"), {"n": 2}])

    async def scenario():
        events = _events(Streams().state(feed))
        first = await anext(events)
        await feed.look()
        second = await anext(events)
        await events.aclose()
        return first, second

    problem, state = run(scenario())

    assert problem.event == "problem"
    assert json.loads(problem.data)["error"]["code"] == "state-unreadable"
    assert state.event == "state"


def test_the_text_of_a_look_is_made_once_for_all(run, tmp_path, monkeypatch):
    """A hundred readers cost one serialisation."""
    feed = _feed(tmp_path, [{"n": 1}])
    made = []
    real = streams._json

    def make(value: object) -> str:
        made.append(value)
        return real(value)

    monkeypatch.setattr(streams, "_json", make)

    async def scenario():
        one = Streams()
        return [await _take(one.state(feed), 1) for _ in range(100)]

    assert len(run(scenario())) == 100
    assert len(made) == 1


def test_there_is_an_end_to_the_number_of_streams(tmp_path):
    """So many that they would fill the memory are refused, with a reason."""
    one = Streams()
    one.open = streams.STREAMS_MAX

    with pytest.raises(TooManyStreams) as refused:
        one.state(_feed(tmp_path, [{}]))
    with pytest.raises(TooManyStreams):
        one.log(make_settings(tmp_path), "engine", 10, None)

    assert refused.value.http_status == 429


def test_a_log_that_cannot_be_read_ends_its_stream(run, tmp_path):
    """The reader is told why."""
    settings = make_settings(tmp_path)
    (settings.logs_dir / "engine.log").mkdir(parents=True)

    async def scenario():
        events = _events(Streams().log(settings, "engine", 10, None))
        return [event async for event in events]

    (problem,) = run(scenario())

    assert problem.event == "problem"


def test_an_open_line_comes_again_when_it_changes(run, tmp_path, monkeypatch):
    """A progress bar moves in the stream without a new line."""
    monkeypatch.setattr(streams, "LOG_POLL_S", 0.01)
    settings = make_settings(tmp_path)
    settings.logs_dir.mkdir(parents=True)
    log = settings.logs_dir / "engine.log"
    log.write_text("10%")

    async def scenario():
        events = _events(Streams().log(settings, "engine", 10, None))
        first = await anext(events)
        await asyncio.to_thread(log.write_text, "10%\r20%")
        second = await anext(events)
        await events.aclose()
        return first, second

    first, second = run(scenario())

    assert json.loads(first.data)["open"]["text"] == "10%"
    assert json.loads(second.data)["open"]["text"] == "20%"
    assert json.loads(second.data)["lines"] == []
