"""The guard around a stub of the engine: who passes, and what all others are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from support.guarded import ENGINE, PRIMARY, bearer
from vllm_pkg.engine.guard.cors import CorsPolicy
from vllm_pkg.state import keys
from vllm_pkg.state.secrets import Role

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MISSING = "This needs one API key, in the header 'Authorization: Bearer <key>'."


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health"), ("GET", "/ping"), ("POST", "/ping")]
)
def test_open_routes_need_nothing(service, method, path):
    """Health is answered without a key, and its request is passed on as it came."""
    headers = ((b"host", b"h"), bearer("anything"))
    assert service.ask(method, path) == 200
    assert service.ask(method, path, *headers) == 200
    assert service.reached[0]["headers"] == list(headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/invocations"),
        ("POST", "/tokenize"),
        ("POST", "/score"),
        ("GET", "/metrics"),
        ("GET", "/version"),
        ("GET", "/docs"),
        ("POST", "/scale_elastic_ep"),
        ("POST", "/collective_rpc"),
        ("GET", "/nothing"),
        ("DELETE", "/health"),
        ("OPTIONS", "/v1/models"),
        ("OPTIONS", "/health"),
        ("GET", "//health"),
        ("GET", "/health/"),
    ],
)
def test_nothing_else_passes_without_a_key(service, method, path):
    """Everything but health answers 401 without a key and with a wrong one."""
    assert service.ask(method, path) == 401
    assert service.body() == {
        "message": MISSING,
        "type": "invalid_request_error",
        "param": None,
        "code": "missing_api_key",
    }
    assert dict(service.sent[0]["headers"])[b"www-authenticate"] == b"Bearer"
    assert service.ask(method, path, bearer("wrong")) == 401
    assert service.body()["code"] == "invalid_api_key"
    assert dict(service.sent[0]["headers"])[b"www-authenticate"] == b"Bearer"


@pytest.mark.parametrize(
    "value",
    [
        *(b"\xff\xfe\xfd", "schlüssel".encode(), b"\0", b"", b" ", b"None", b"null"),
        *(ENGINE.encode(), PRIMARY[1:].encode(), PRIMARY.lower().encode()),
        b"x" * 1024 * 1024,
    ],
)
def test_strange_keys_are_refused(service, value):
    """No bytes of any kind or length open the port, the engine's own key included."""
    assert service.ask("GET", "/v1/models", bearer(value)) == 401


def test_two_keys_in_one_request_are_refused(service):
    """Even if both are right: the engine must not be able to see another one."""
    twice = (bearer(PRIMARY), bearer(PRIMARY))
    assert service.ask("GET", "/v1/models", *twice) == 401


def test_the_engine_gets_its_own_key(service):
    """A client's key opens the port and never reaches the engine."""
    headers = ((b"host", b"h"), (b"x-api-key", b"x"), bearer(PRIMARY))
    scope_headers = list(headers)
    assert service.ask("POST", "/v1/chat/completions", *headers) == 200
    assert service.reached[0]["headers"] == [(b"host", b"h"), bearer(ENGINE)]
    assert scope_headers == list(headers)


def test_anthropics_header_is_accepted_on_its_paths(service):
    """There and nowhere else."""
    header = (b"x-api-key", PRIMARY.encode())
    assert service.ask("POST", "/v1/messages", header) == 200
    assert service.reached[0]["headers"] == [bearer(ENGINE)]
    assert service.ask("GET", "/v1/models", header) == 401


def test_administration_needs_an_administrators_key(service):
    """A user's key is told 403; an administrator's opens these and all others."""
    admin = keys.add_key(service.settings, "ops", Role.ADMIN, None, NOW)
    service.start()
    assert service.ask("POST", "/sleep", bearer(PRIMARY)) == 403
    assert service.body()["code"] == "admin_key_needed"
    assert service.ask("POST", "/sleep", bearer(admin.key)) == 200
    assert service.ask("GET", "/v1/models", bearer(admin.key)) == 200


@pytest.mark.parametrize("path", ["/nothing", "//v1/models", "/V1/models", "/", ""])
def test_unknown_paths_are_not_found_with_a_key(service, path):
    """They never reach the engine, and the answer does not repeat them."""
    assert service.ask("GET", path, bearer(PRIMARY)) == 404
    assert service.body()["message"] == "There is nothing at this address."


def test_a_wrong_method_is_told_the_right_ones(service):
    """With a key the answer to a wrong method names those that exist."""
    assert service.ask("DELETE", "/health", bearer(PRIMARY)) == 405
    assert dict(service.sent[0]["headers"])[b"allow"] == b"GET, HEAD"
    assert service.ask("GET", "/v1/realtime", bearer(PRIMARY)) == 404
    assert service.ask("GET", "/sleep", bearer(PRIMARY)) == 403


@pytest.mark.parametrize("root", ["/", "/v1", "/v1/responses", "x"])
def test_a_root_path_opens_nothing(service, root):
    """With a root path paths mean something else, so none is known any more."""
    assert service.ask("GET", "/health", root_path=root) == 401
    path = "/v1/responses/sleep"
    assert service.ask("GET", path, bearer(PRIMARY), root_path=root) == 404
    assert service.ask("GET", path, bearer(PRIMARY), root_path="") == 200


ALLOWING_A = CorsPolicy(["https://a"], credentials=False).as_text()
PREFLIGHT = ((b"origin", b"https://a"), (b"access-control-request-method", b"POST"))


def test_a_preflight_passes_only_where_cors_is_configured(fresh):
    """OPTIONS is a method like any other, unless the engine was given origins."""
    fresh.start()
    assert fresh.ask("OPTIONS", "/v1/models", *PREFLIGHT) == 401
    assert fresh.ask("OPTIONS", "/v1/models", *PREFLIGHT, bearer(PRIMARY)) == 405
    fresh.environ["VLLM_PKG_GUARD_CORS"] = CorsPolicy(
        ["*"], credentials=False
    ).as_text()
    fresh.start()
    assert fresh.ask("OPTIONS", "/v1/models", *PREFLIGHT) == 200
    assert fresh.ask("OPTIONS", "/v1/models", PREFLIGHT[0]) == 401
    assert fresh.ask("OPTIONS", "/sleep", *PREFLIGHT) == 401
    assert fresh.ask("OPTIONS", "/nothing", *PREFLIGHT) == 401
    assert fresh.ask("GET", "/v1/models", *PREFLIGHT) == 401


def test_pages_of_allowed_origins_may_read_refusals(fresh):
    """Where CORS is configured each refusal of a request has its headers."""
    allowed = (b"access-control-allow-origin", b"https://a")
    fresh.start()
    fresh.ask("GET", "/v1/models", PREFLIGHT[0])
    assert allowed not in fresh.sent[0]["headers"]
    fresh.environ["VLLM_PKG_GUARD_CORS"] = ALLOWING_A
    fresh.start()
    for path, key, status in (
        ("/v1/models", b"wrong", 401),
        ("/sleep", PRIMARY, 403),
        ("/nothing", PRIMARY, 404),
        ("/metrics", b"", 401),
    ):
        assert fresh.ask("GET", path, PREFLIGHT[0], bearer(key)) == status
        assert allowed in fresh.sent[0]["headers"]
    assert fresh.ask("GET", "/v1/models", (b"origin", b"https://b")) == 401
    assert "https://" not in str(fresh.sent)
    more = {"kind": "websocket", "extensions": {"websocket.http.response": {}}}
    assert fresh.ask("", "/v1/realtime", PREFLIGHT[0], **more) == 401
    assert allowed not in fresh.sent[0]["headers"]


@pytest.mark.parametrize("text", ["1", "{", "[]", '{"origins": []}'])
def test_a_policy_that_cannot_be_understood_lets_nothing_pass(fresh, text):
    """The guard is not set up then, and refuses everything."""
    fresh.environ["VLLM_PKG_GUARD_CORS"] = text
    fresh.start()
    assert fresh.ask("GET", "/v1/models", bearer(PRIMARY)) == 503


def test_a_websocket_is_refused_before_it_is_accepted(service):
    """With the server's extension it gets the HTTP answer, without it it is closed."""
    assert service.ask("", "/v1/realtime", kind="websocket") == "websocket.close"
    more: dict[str, Any] = {
        "kind": "websocket",
        "extensions": {"websocket.http.response": {}},
    }
    assert service.ask("", "/v1/realtime", **more) == 401
    assert [item["type"] for item in service.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert service.body()["code"] == "missing_api_key"
    assert service.ask("", "/health", **more) == 401
    assert service.ask("", "/health", bearer(PRIMARY), **more) == 404
    assert service.ask("", "/v1/realtime", bearer("x"), **more) == 401
    assert service.ask("", "/v1/realtime", bearer(PRIMARY), **more) == 200
    assert service.reached[0]["headers"] == [bearer(ENGINE)]


def test_no_answer_repeats_a_request(service):
    """Bodies and headers of refusals hold nothing that the client sent."""
    canary = "Canary0123456789"
    for path, key in ((f"/{canary}", PRIMARY), ("/v1/models", canary)):
        assert service.ask("GET", path, bearer(key), (b"x", canary.encode())) >= 400
        assert canary not in str(service.sent)
        assert PRIMARY not in str(service.sent)
