"""Schemathesis against the portal's API: what fits its document, and what does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent

from support.api_fuzz import fuzz
from support.hub_server import HubServer
from support.settings_factory import make_settings
from vllm_pkg.engine.background import start_in_background
from vllm_pkg.portal.access.gate import Gate
from vllm_pkg.portal.access.guard import Guard
from vllm_pkg.portal.api import errors
from vllm_pkg.portal.api.application import PREFIX, create_api
from vllm_pkg.portal.api.bodies import BodyGuard
from vllm_pkg.portal.api.event_shapes import stream_of
from vllm_pkg.portal.context import Portal
from vllm_pkg.portal.feed import StateFeed
from vllm_pkg.state.portal_token import ensure_portal_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from support.guarantees.plugin import Guarantee

CONTROL = "a route that fails, one that breaks its schema, one that is open"
CASES_MIN = 5_000
EXAMPLES = 40
PASSES = 7
# Each is left after its first event.
STREAMS = ("GET /events", "GET /logs/{log_id}/events")


@dataclass
class HurryingClock:
    """A clock on which minutes pass between two looks: no wrong token is remembered."""

    at_s: float = 1000.0

    def now_s(self) -> float:
        """Return a time that is an hour later at each call."""
        self.at_s += 3600.0
        return self.at_s

    def boot_id(self) -> str:
        """Return a boot."""
        return "boot"


def _mounted(api: FastAPI) -> FastAPI:
    """Return an application that has the API where the portal has it."""
    app = FastAPI(openapi_url=None)
    app.mount(PREFIX, api)
    errors.install(app)
    return app


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """A portal over a throwaway instance, beside a Hub that has nothing."""
    settings = make_settings(tmp_path)
    settings.logs_dir.mkdir(parents=True)
    (settings.logs_dir / "engine.log").write_text("INFO one\nERROR two\n" * 50)
    # A real program each, and one that ends at once: thousands are begun.
    monkeypatch.setattr(
        "vllm_pkg.service.jobs.start_in_background",
        lambda _argv, log, env: start_in_background(["true"], log, env),
    )
    with HubServer() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield Portal(settings, StateFeed(settings))


@pytest.mark.security
@pytest.mark.timeout(1800)
def test_no_request_breaks_the_api(portal, guarantee: Guarantee):
    """T30: thousands of requests, right and wrong: no 5xx, no schema that is broken."""
    token = ensure_portal_token(portal.settings)
    gate = Gate(portal.settings, HurryingClock())
    api = create_api(portal)
    app = _mounted(api)
    app.add_middleware(Guard, gate=gate)

    report = fuzz(app, token=token, examples=EXAMPLES, passes=PASSES)

    tried = sum(report.cases.values())
    guarantee(
        "T30",
        "No request makes the portal's API fail, break its own document or skip its"
        " authentication",
        tried=tried,
        violations=len(report.problems),
        unit="requests",
        control=CONTROL,
    )
    assert report.problems == []
    assert tried >= CASES_MIN
    assert min(report.cases[name] for name in ("coverage", "fuzzing", "stateful")) > 50
    # What is right is accepted as well: else nothing behind the checks was reached.
    assert sum(n for status, n in report.statuses.items() if status < 300) > 500
    assert len(report.operations) >= 30
    assert min(report.operations[name] for name in STREAMS) > 50
    # Whatever a stream was asked for, it is over when nobody reads it.
    assert api.state.streams.open == 0


class Promised(BaseModel):
    """What a route says that it answers."""

    count: int


@pytest.mark.security
@pytest.mark.timeout(300)
def test_a_route_that_breaks_a_promise_is_found():
    """The positive control: each kind of wrong route is told by its own check."""
    app = FastAPI(responses=errors.RESPONSES)

    @app.get("/raises", response_model=Promised)
    def raises(number: int = 0) -> dict[str, int]:
        return {"count": 1 // number}

    @app.get("/fails", response_model=Promised)
    def fails() -> JSONResponse:
        return JSONResponse({}, 500)

    @app.get("/lies", responses={200: {"model": Promised}})
    def lies() -> JSONResponse:
        return JSONResponse({"count": "many"})

    @app.get("/surprises", response_model=Promised)
    def surprises() -> JSONResponse:
        return JSONResponse({}, 418)

    @app.get(
        "/streams",
        response_class=EventSourceResponse,
        responses=stream_of({"tick": Promised}),
    )
    async def streams() -> EventSourceResponse:
        async def ticks() -> AsyncIterator[ServerSentEvent]:
            while True:
                yield ServerSentEvent('{"count": "many"}', event="tick")

        return EventSourceResponse(ticks())

    errors.install(app)
    app.add_middleware(BodyGuard)
    report = fuzz(_mounted(app), token="any", examples=10)  # noqa: S106
    found = {tuple(text.split(": ")[:2]) for text in report.problems}

    assert ("GET /fails", "not_a_server_error") in found
    assert any("GET /raises" in text for text in report.problems)
    assert ("GET /lies", "response_schema_conformance") in found
    assert ("GET /streams", "response_schema_conformance") in found
    assert ("GET /surprises", "status_code_conformance") in found


@pytest.mark.security
@pytest.mark.timeout(600)
def test_an_api_without_a_guard_is_found(portal):
    """The positive control: that nobody asks for the token is told of every route."""
    app = _mounted(create_api(portal))
    report = fuzz(app, token="any", examples=1)  # noqa: S106
    open_to_all = {
        text.split(": ")[0] for text in report.problems if ": ignored_auth" in text
    }

    assert {"GET /status", "GET /keys", "POST /models/verify"} <= open_to_all
