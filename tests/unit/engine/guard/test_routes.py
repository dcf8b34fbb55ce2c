"""The table of routes: exact paths, exact methods, and nothing that is not in it."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.guard.routes import (
    ADMIN_ROUTES,
    KEY_ROUTES,
    OPEN_ROUTES,
    Access,
    classify,
    find_ruling,
)


@pytest.mark.parametrize(
    ("method", "path", "access"),
    [
        ("GET", "/health", "open"),
        ("HEAD", "/health", "open"),
        ("GET", "/ping", "open"),
        ("POST", "/ping", "open"),
        ("GET", "/v1/models", "key"),
        ("POST", "/v1/chat/completions", "key"),
        ("POST", "/invocations", "key"),
        ("POST", "/tokenize", "key"),
        ("POST", "/score", "key"),
        ("GET", "/metrics", "key"),
        ("GET", "/version", "key"),
        ("GET", "/docs", "key"),
        ("GET", "/openapi.json", "key"),
        ("WEBSOCKET", "/v1/realtime", "key"),
        ("GET", "/v1/responses/resp_1", "key"),
        ("POST", "/v1/responses/resp_1/cancel", "key"),
        ("GET", "/static/css/a.css", "key"),
        ("POST", "/scale_elastic_ep", "admin"),
        ("POST", "/collective_rpc", "admin"),
        ("GET", "/server_info", "admin"),
        ("DELETE", "/adapters/mine", "admin"),
    ],
)
def test_a_known_route_has_its_class(method, path, access):
    """Each kind of route is in the class that the issue gives it."""
    assert classify(method, path) == access


@pytest.mark.parametrize("method", ["DELETE", "PUT", "OPTIONS", "POST", "get", ""])
def test_another_method_is_unknown(method):
    """A path that is open is so for its own methods only, in upper case."""
    assert classify(method, "/health") is Access.UNKNOWN


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "//", "*", "health", "//health", "/health\n", "/Health", "/HEALTH"),
        *("/health;x", "/health?x", "/health%20", "/health ", "/health\0", "/./health"),
        *("/x/../health", "/health/x", "/healthz", "/ping\n", "/ping/.", "/\u212aing"),
        *("/V1/models", "//v1/models", "/%761/models", "/v1//models", "/v1/models\n"),
        *("/v1/model", "/v1", "/v1/", "/v1/responses//cancel", "/v1/responses/a/b"),
        *("/static", "/static/", "/metricsx", "/metrics/x", "/adapters/a/b"),
        *("/v1/decisions", "/sleep\n", "/sleep/now"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "WEBSOCKET"])
def test_anything_else_is_unknown(method, path):
    """What Starlette would not route to a listed endpoint is no listed route."""
    assert classify(method, path) is Access.UNKNOWN


@pytest.mark.parametrize(
    ("method", "path", "access"),
    [
        ("GET", "/health/", "key"),
        ("GET", "/health///", "key"),
        ("POST", "/ping/", "key"),
        ("GET", "/v1/models/", "key"),
        ("POST", "/sleep/", "admin"),
        ("POST", "/v1/responses/", "key"),
        ("DELETE", "/adapters/mine/", "admin"),
    ],
)
def test_a_slash_at_the_end_is_never_open(method, path, access):
    """Upstream redirects such a path; it needs a key even where the target does not."""
    assert classify(method, path) == access


def test_no_path_stands_twice():
    """No path has two classes, of which one would win in silence."""
    paths = [
        path
        for table in (OPEN_ROUTES, KEY_ROUTES, ADMIN_ROUTES)
        for listed in table.values()
        for path in listed
    ]
    assert len(paths) == len(set(paths))


def test_two_routes_alone_are_open():
    """Nothing but the health of the engine is told to everybody."""
    assert [path for paths in OPEN_ROUTES.values() for path in paths] == [
        "/health",
        "/ping",
    ]


def test_the_methods_of_a_path_are_known():
    """A ruling tells which methods exist, for an answer to a wrong one."""
    ruling = find_ruling("/ping")
    assert ruling is not None
    assert ruling.methods == {"GET", "HEAD", "POST"}
    assert find_ruling("/nothing") is None
