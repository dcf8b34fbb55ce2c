"""Which routes of an engine nobody has decided about, and which are open."""

from __future__ import annotations

import re

from support.tools import require
from vllm_pkg.engine.daemon import engine_program
from vllm_pkg.engine.guard.routes import OPEN_ROUTES, Access, classify
from vllm_pkg.errors import EngineNotInstalled

WRONG_KEY = "Wrong0123456789ABCDEFG"
# vLLM mounts its metrics by this regex, which takes more than the two paths allowed.
MOUNTS = {
    r"^/metrics(?P<path>.*)$": "/metrics",
    r"^/static/(?P<path>.*)$": "/static/a.css",
}


def example_path(path: str) -> str:
    """Return a path that a route with parameters matches."""
    return re.sub(r"\{\w+\}", "x1", MOUNTS.get(path, path))


def find_unclassified(routes):
    """Return the routes that nobody has decided about."""
    return [
        (method, path)
        for method, path in routes
        if classify("GET" if method == "MOUNT" else method, example_path(path))
        is Access.UNKNOWN
    ]


def find_open_routes(engine):
    """Return the routes of a live engine that answer without a key but should not."""
    found = []
    for method, path in engine.routes():
        method = "GET" if method == "MOUNT" else method  # noqa: PLW2901
        if method == "WEBSOCKET" or (method, path) in listed_routes(OPEN_ROUTES):
            continue
        for key in (None, WRONG_KEY):
            if engine.ask(method, example_path(path), key).status != 401:
                found.append((method, path))
                break
    return found


def listed_routes(table):
    """Return method and path of every entry of a table of routes."""
    return {
        (method, path)
        for methods, paths in table.items()
        for method in methods.split()
        for path in paths
    }


def require_engine():
    """Skip or fail the test where vLLM is missing."""
    try:
        engine_program()
    except EngineNotInstalled:
        require(condition=False, what="vLLM is missing")
