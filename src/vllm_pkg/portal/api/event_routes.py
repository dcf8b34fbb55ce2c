"""``events``: the state as it changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request
from sse_starlette import EventSourceResponse

from vllm_pkg.portal.api.event_shapes import stream_of
from vllm_pkg.portal.api.given import GivenPortal
from vllm_pkg.portal.api.shapes_service import StatusShape
from vllm_pkg.portal.api.streams import Streams

router = APIRouter(tags=["events"])
_STREAM = stream_of({"state": StatusShape})


@router.get("/events", response_class=EventSourceResponse, responses=_STREAM)
async def stream_state(
    portal: GivenPortal,
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,  # noqa: ARG001  # see below
) -> EventSourceResponse:
    """
    Stream the state: event ``state`` with all of it at once, and at each change.

    It is the answer of ``status``. While the state cannot be read, event ``problem``
    carries the error instead. A stream that is taken up again begins with the present
    state too, whatever ``Last-Event-ID`` says: nobody sees less than there is.
    """
    streams: Streams = request.app.state.streams
    return streams.state(portal.feed)
