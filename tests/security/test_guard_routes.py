"""
The guard's table against every route that the pinned vLLM can have.

The router with every switch on needs no engine; a running one is asked in
test_guard_on_vllm.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support.guard_checks import find_unclassified, listed_routes, require_engine
from support.vllm_routes import list_all_routes
from vllm_pkg.engine import guard
from vllm_pkg.engine.guard.routes import ADMIN_ROUTES, KEY_ROUTES, OPEN_ROUTES

pytestmark = [
    pytest.mark.engine,
    pytest.mark.security,
    pytest.mark.timeout(420),
]

# These need a library, or an option that replaces other routes: not in the list.
NOT_LISTED = {
    ("POST", "/cohere/v2/chat"),
    ("POST", "/cohere/v2/chat/render"),
    ("GET", "/static/{name:path}"),
    ("HEAD", "/static/{name:path}"),
}


@pytest.fixture(name="application", scope="module")
def application_fixture():
    """The routes of the installed vLLM with every switch on."""
    require_engine()
    return list_all_routes(guard.GUARD)


def test_every_route_that_vllm_can_have_is_classified(application, guarantee):
    """T27: with every task and switch on, there is no route nobody decided about."""
    found = find_unclassified(application.routes)
    guarantee(
        "T27",
        "Every route that the pinned vLLM can have is open, needs a key, or is"
        " administration",
        tried=len(application.routes),
        violations=len(found),
        unit="routes",
        control="routes that vLLM does not have yet: found",
    )
    assert len(application.routes) > 80
    assert found == []


def test_a_new_route_is_noticed(application):
    """A route that a later vLLM adds, of any kind, is found."""
    added = [("POST", "/v1/new"), ("PUT", "/health"), ("WEBSOCKET", "/v1/models")]
    more = [("MOUNT", "^/files(?P<path>.*)$"), ("UNKNOWN", "Host()")]
    assert find_unclassified([*application.routes, *added, *more]) == [*added, *more]


def test_no_entry_of_the_table_is_stale(application):
    """Every path and method of the table exists, or stands among the exceptions."""
    known = {*application.routes, ("GET", "/metrics"), ("HEAD", "/metrics")}
    listed = (
        listed_routes(OPEN_ROUTES)
        | listed_routes(KEY_ROUTES)
        | listed_routes(ADMIN_ROUTES)
    )
    heads = {("HEAD", "/health"), ("HEAD", "/ping")}
    assert listed - known == NOT_LISTED | heads


def test_nothing_stands_before_the_guard(application):
    """Of all middleware of vLLM the guard is the outermost."""
    assert application.middleware[0] == "Guard"
    assert len(application.middleware) > 3


SERVER = """
import uvicorn
from fastapi import FastAPI
from vllm_pkg.engine.guard.middleware import Guard

app = FastAPI()
app.add_middleware(Guard)
print("before")
uvicorn.run(app, host="127.0.0.1", port=0)
print("after")
"""


def test_a_guard_that_cannot_be_set_up_ends_the_server(tmp_path):
    """Without a key file the server that vLLM uses ends with 3 and never listens."""
    require_engine()
    environment = {
        "VLLM_PKG_MAIN": str(tmp_path),
        "VLLM_PKG_PUBLIC": str(tmp_path),
        "VLLM_PKG_GUARD_KEY": "Engine0123456789ABCDEF",
    }
    done = subprocess.run(
        [sys.executable, "-c", SERVER],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == "before\n"
    assert "the guard of the API has no key" in done.stderr
    assert "Uvicorn running" not in done.stderr
