"""What pollers are told, out of the last look."""

from __future__ import annotations

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.portal.api.healthz import STALE_AFTER_S, Answer, Healthz, answer_for
from vllm_pkg.portal.feed import Look, StateFeed

READY = {"health": {"result": "success", "message": "The vLLM API is ready"}}
LOADING = {"health": {"result": "loading", "message": "The model is loading."}}
ERROR = {"code": "state-corrupt", "message": "store.json is damaged", "hint": "mend it"}


@pytest.mark.parametrize(
    ("look", "age_s", "status", "is_success"),
    [
        (Look(), float("inf"), "starting", False),
        (Look(1, READY), 1.0, "success", True),
        (Look(1, READY), STALE_AFTER_S + 1, "failure", False),
        (Look(1, LOADING), 1.0, "loading", False),
        (Look(1, None, ERROR), 1.0, "failure", False),
        (Look(1, None, None), 1.0, "failure", False),
    ],
)
def test_only_a_ready_api_that_was_seen_just_now_is_a_success(
    look, age_s, status, is_success
):
    """An old look proves nothing, and a state that cannot be read even less."""
    told = answer_for(look, age_s)

    assert told.status == status
    assert told.is_success is is_success
    assert told.message


def test_the_error_of_the_state_is_told():
    """A poller sees what is damaged."""
    told = answer_for(Look(1, None, ERROR), 0.0)

    assert told == Answer("failure", "store.json is damaged")


async def _poll(app, method="GET", path="/healthz", query=b""):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    scope = {"type": "http", "method": method, "path": path, "query_string": query}
    await app(scope, receive, send)
    return sent


async def _inside(scope, receive, send):
    del scope, receive
    await send({"type": "http.response.start", "status": 299})


def test_the_answer_changes_with_the_look(run, tmp_path):
    """The same bytes go to all until something changes; other paths pass."""
    clock = FakeClock()
    feed = StateFeed(make_settings(tmp_path))
    app = Healthz(_inside, feed, clock)
    feed.latest, feed.looked_s = Look(1, READY), clock.now_s()
    start, body = run(_poll(app))
    _, same = run(_poll(app))
    feed.latest = Look(2, LOADING)
    loading, _ = run(_poll(app))
    always, text = run(_poll(app, query=b"always=200"))
    head, nothing = run(_poll(app, "HEAD"))
    (other,) = run(_poll(app, path="/"))

    assert start["status"] == 200
    assert body["body"] is same["body"]
    assert (loading["status"], always["status"], head["status"]) == (503, 200, 503)
    assert b"loading" in text["body"]
    assert nothing["body"] == b""
    assert other["status"] == 299
    assert run(_poll(app, "POST"))[0]["status"] == 405
