"""
The guard on a real vLLM: every route it has, and keys that change while it serves.

One guarded engine serves everything; on one without the guard the same check must find
open routes. What vLLM can have besides is in test_guard_routes.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from support.guard_checks import (
    WRONG_KEY,
    example_path,
    find_open_routes,
    find_unclassified,
    listed_routes,
    require_engine,
)
from support.live_engine import LiveEngine, SteadyClient
from support.waiting import wait_until
from vllm_pkg.engine.guard.routes import ADMIN_ROUTES, KEY_ROUTES
from vllm_pkg.state import keys, locks
from vllm_pkg.state.secrets import Role, change_secrets

pytestmark = [
    pytest.mark.engine,
    pytest.mark.security,
    pytest.mark.timeout(420),
]

CHAT = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "Hello"}],
    "max_tokens": 1,
}
LEAKING = [
    *(("POST", "/invocations"), ("POST", "/tokenize"), ("POST", "/detokenize")),
    *(("GET", "/metrics"), ("GET", "/version"), ("GET", "/load"), ("GET", "/docs")),
    *(("GET", "/openapi.json"), ("POST", "/scale_elastic_ep")),
]


@pytest.fixture(name="engine", scope="module")
def engine_fixture(tmp_path_factory):
    """A guarded engine."""
    require_engine()
    engine = LiveEngine(tmp_path_factory.mktemp("guarded"))
    yield engine.start()
    engine.stop()


@pytest.fixture(name="key")
def key_fixture(engine):
    """The primary key, as it is now."""
    return engine.service.key()


def test_every_live_route_is_classified(engine, key):
    """The live router and the published list of routes hold nothing unknown."""
    published = [
        (method.upper(), path)
        for path, methods in engine.ask("GET", "/openapi.json", key)
        .json()["paths"]
        .items()
        for method in methods
    ]
    assert len(published) > 20
    assert len(engine.routes()) > 30
    assert find_unclassified([*published, *engine.routes()]) == []


def test_no_live_route_answers_without_a_key(engine, guarantee):
    """T27: every route but health answers 401 without a key, and with a wrong one."""
    found = find_open_routes(engine)
    guarantee(
        "T27",
        "No route of a running vLLM but health answers without a key or with a wrong"
        " one",
        tried=len(engine.routes()),
        violations=len(found),
        unit="routes",
        control="the same vLLM without the guard: open routes found",
    )
    assert found == []


def test_administration_is_refused_to_users(engine, key):
    """Each route of administration, mounted or not, answers 403 to a user's key."""
    for method, path in sorted(listed_routes(ADMIN_ROUTES)):
        assert engine.ask(method, example_path(path)).status == 401
        assert engine.ask(method, example_path(path), WRONG_KEY).status == 401
        assert engine.ask(method, example_path(path), key).status == 403


@pytest.mark.parametrize(("method", "path"), sorted(listed_routes(KEY_ROUTES)))
def test_no_listed_route_answers_without_a_key(engine, method, path):
    """Also where this engine has no such route, nobody learns that without a key."""
    if method != "WEBSOCKET":
        assert engine.ask(method, example_path(path)).status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *LEAKING,
        *(("GET", "/nothing"), ("GET", "//v1/models"), ("GET", "/%761/models")),
        *(("GET", "/v1/models/"), ("GET", "/health/"), ("OPTIONS", "/v1/models")),
        *(("DELETE", "/health"), ("GET", "/health%0A"), ("GET", "/metricsx")),
        *(("GET", "/v1/../health"), ("POST", "/score"), ("POST", "/rerank")),
    ],
)
def test_known_leaks_are_closed(engine, method, path):
    """What vLLM answers without a key by itself is refused, in OpenAI's shape."""
    answer = engine.ask(method, path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["code"] == "missing_api_key"
    assert engine.ask(method, path, WRONG_KEY).status == 401


def test_health_is_open(engine):
    """Monitoring needs no key."""
    assert engine.ask("GET", "/health").status == 200
    assert engine.ask("GET", "/ping").status == 200
    assert engine.ask("POST", "/ping").status == 200


def test_websockets_are_refused_with_401(engine, key):
    """A websocket is answered before it is accepted; with a key it reaches vLLM."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/v1/realtime", "/health", "/nothing"):
        assert engine.ask("GET", path, headers=headers).status == 401
        assert engine.ask("GET", path, WRONG_KEY, headers=headers).status == 401
    assert engine.ask("GET", "/nothing", key, headers=headers).status == 404
    # This model has no such route, and says so in its own way.
    assert engine.ask("GET", "/v1/realtime", key, headers=headers).status == 403


def test_the_key_opens_what_it_should(engine, key):
    """With the key inference, models, tokenize, metrics, version and docs answer."""
    chat = engine.ask("POST", "/v1/chat/completions", key, body=CHAT)
    assert chat.status == 200
    assert chat.json()["usage"]["completion_tokens"] == 1
    assert engine.ask("POST", "/invocations", key, body=CHAT).status == 200
    tokens = {"model": "tiny", "prompt": "Hello"}
    assert engine.ask("POST", "/tokenize", key, body=tokens).status == 200
    for path in ("/v1/models", "/metrics", "/version", "/docs", "/load"):
        assert engine.ask("GET", path, key).status == 200
    assert engine.ask("GET", "/v1/models/", key).status == 307


def test_clients_of_anthropics_api_work(engine, key):
    """Their key in ``x-api-key`` opens that API."""
    answer = engine.ask("POST", "/v1/messages", body=CHAT, headers={"x-api-key": key})
    assert answer.status == 200
    assert answer.json()["type"] == "message"


def test_unknown_paths_and_methods_end_at_the_guard(engine, key):
    """With a key they are 404 and 405, in the guard's words."""
    assert engine.ask("GET", "/nothing", key).json()["error"]["code"] == "not_found"
    answer = engine.ask("DELETE", "/v1/models", key)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET"


def test_rotation_drops_no_request(engine, key, guarantee):
    """
    T28: while clients send all the time, the old key is kept for an hour and a new one
    made: the new one works within a second, and no request of the old one fails.
    """
    with SteadyClient(engine, key) as old:
        at = time.monotonic()
        rotation = keys.rotate_key(engine.settings, 1, keys.now_utc())
        with SteadyClient(engine, rotation.key) as new:
            wait_until(lambda: new.first(200), 5, "the new key")
            count = len(old.seen)
            wait_until(lambda: len(old.seen) > count + 200, 30, "more requests")
    accepted = new.first(200)
    assert accepted is not None
    assert accepted - at < 1
    later = [status for when, status in new.seen if when >= accepted]
    guarantee(
        "T28",
        "Rotating the key of a running engine drops no request of a valid key",
        tried=len(old.seen) + len(later),
        violations=sum(status != 200 for status in (*later, *_of(old))),
        unit="requests",
    )
    assert set(later) == {200}
    assert old.statuses() == {200}


def test_rotation_without_keeping_refuses_the_old_key(engine, key, guarantee):
    """T28: the old key is refused within a second, the new one never after that."""
    with SteadyClient(engine, key) as old:
        at = time.monotonic()
        rotation = keys.rotate_key(engine.settings, 0, keys.now_utc())
        wait_until(lambda: old.first(401), 5, "the refusal")
        with SteadyClient(engine, rotation.key) as new:
            wait_until(lambda: len(new.seen) > 50, 30, "requests")
    refused = old.first(401)
    assert refused is not None
    after = [status for when, status in old.seen if when >= refused]
    guarantee(
        "T28",
        "A key that was rotated away is refused by the running engine within 1 s",
        tried=len(after),
        violations=sum(status != 401 for status in after) + (refused - at >= 1),
        unit="requests",
    )
    assert refused - at < 1
    assert set(after) == {401}
    assert new.statuses() == {200}


def test_revoking_one_key_leaves_the_others_alone(engine, key, guarantee):
    """T28: the revoked key is refused within a second; no other request is lost."""
    now = keys.now_utc()
    named = keys.add_key(engine.settings, "laptop", Role.USER, None, now)
    wait_until(lambda: _status(engine, named.key) == 200, 5, "the new key")
    with SteadyClient(engine, key) as other, SteadyClient(engine, named.key) as client:
        at = time.monotonic()
        keys.revoke_key(engine.settings, "laptop", now)
        wait_until(lambda: client.first(401), 5, "the refusal")
        count = len(other.seen)
        wait_until(lambda: len(other.seen) > count + 50, 30, "more requests")
    refused = client.first(401)
    assert refused is not None
    after = [status for when, status in client.seen if when >= refused]
    wrong = [status for status in after if status != 401]
    dropped = [status for status in _of(other) if status != 200]
    guarantee(
        "T28",
        "A revoked key is refused within 1 s, and no request of another key is lost",
        tried=len(after) + len(other.seen),
        violations=len(wrong) + len(dropped) + (refused - at >= 1),
        unit="requests",
    )
    assert refused - at < 1
    assert wrong == []
    assert dropped == []


def test_a_key_ends_by_itself(engine):
    """A key is refused from the second on in which it expires."""
    now = keys.now_utc()
    named = keys.add_key(engine.settings, "guest", Role.USER, 1, now)
    wait_until(lambda: _status(engine, named.key) == 200, 5, "the new key")
    end = keys.now_utc() + timedelta(seconds=2)

    def shorten(present):
        return present.with_keys(
            tuple(
                replace(item, expires=end) if item.id == named.entry.id else item
                for item in present.keys
            )
        )

    with locks.locked(engine.settings.lock_file):
        change_secrets(engine.settings, shorten)
    wait_until(lambda: _status(engine, named.key) == 401, 5, "its end")
    assert time.time() >= end.timestamp()


def test_an_administrators_key_reaches_administration(engine):
    """What a user is refused reaches vLLM with an administrator's key."""
    admin = keys.add_key(engine.settings, "ops", Role.ADMIN, None, keys.now_utc())
    wait_until(lambda: _status(engine, admin.key) == 200, 5, "the new key")
    answer = engine.ask("POST", "/is_scaling_elastic_ep", admin.key)
    assert answer.status == 200
    assert answer.json() == {"is_scaling_elastic_ep": False}


def test_requests_are_counted(engine, key):
    """Each key's requests and the time of the last one appear in the list."""

    def listed():
        return {
            item["name"]: item
            for item in engine.run_json("key", "list", "--json")["keys"]
        }

    named = keys.add_key(engine.settings, "counted", Role.USER, None, keys.now_utc())
    wait_until(lambda: _status(engine, named.key) == 200, 5, "the new key")
    for _ in range(4):
        assert _status(engine, named.key) == 200
    wait_until(lambda: listed()["counted"]["requests"] == 5, 15, "the count")
    assert listed()["counted"]["lastUsed"] is not None
    assert listed()["primary"]["requests"] > 0
    assert key not in str(listed())


def test_the_end_writes_the_counts_and_no_key_is_in_the_log(engine, key):
    """Ending the engine writes what was counted last; its log holds no key."""
    named = keys.add_key(engine.settings, "last", Role.USER, None, keys.now_utc())
    wait_until(lambda: _status(engine, named.key) == 200, 5, "the new key")
    engine.stop()
    listed = engine.run_json("key", "list", "--json")["keys"]
    assert {item["name"]: item["requests"] for item in listed}["last"] == 1
    log = (engine.folder / "engine.log").read_text()
    assert "GET /v1/models" in log
    assert key not in log
    assert named.key not in log


def test_without_the_guard_the_same_check_finds_open_routes(tmp_path):
    """The positive control: the very check above fails on an unguarded engine."""
    engine = LiveEngine(tmp_path, is_guarded=False)
    try:
        engine.start()
        found = find_open_routes(engine)
    finally:
        engine.stop()
    assert set(LEAKING) - {("GET", "/metrics")} <= set(found)
    assert len(found) > 10


def _of(client):
    return [status for _, status in client.seen]


def _status(engine, key):
    return engine.ask("GET", "/v1/models", key).status
