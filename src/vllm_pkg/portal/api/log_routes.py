"""``logs``: page by page, live, and as text."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse

from vllm_pkg.portal.api.event_shapes import stream_of
from vllm_pkg.portal.api.given import GivenSettings
from vllm_pkg.portal.api.shapes_others import LogId, LogShape, PageShape
from vllm_pkg.portal.api.streams import Streams
from vllm_pkg.service.log_list import list_logs, log_path, read_text
from vllm_pkg.service.log_pages import LINES_MAX, Position, read_page

router = APIRouter(prefix="/logs", tags=["logs"])
_POSITION = r"^[0-9]{1,20}-[0-9]{1,19}$"
Lines = Annotated[int, Query(ge=1, le=LINES_MAX)]
_TEXT = "text/plain; charset=utf-8"
_STREAM = stream_of({"history": PageShape, "lines": PageShape})


@router.get("", response_model=list[LogShape])
def get_logs(settings: GivenSettings) -> list[dict[str, Any]]:
    """Return the logs that there are."""
    return [log.as_json() for log in list_logs(settings)]


@router.get("/{log_id}", response_model=PageShape)
def get_page(
    log_id: LogId,
    settings: GivenSettings,
    lines: Lines = LINES_MAX,
    before: Annotated[str | None, Query(pattern=_POSITION)] = None,
) -> dict[str, Any]:
    """
    Return the last lines of a log, or those before a position.

    ``before`` of the answer leads to the lines before these; it is null where the log
    begins.
    """
    position = None if before is None else Position.parse(before)
    return read_page(settings, log_id, lines, position).as_json()


@router.get(
    "/{log_id}/text",
    response_class=StreamingResponse,
    responses={200: {"content": {_TEXT: {"schema": {"type": "string"}}}}},
)
def get_text(log_id: LogId, settings: GivenSettings) -> StreamingResponse:
    """Return a whole log as a file of text."""
    name = f'attachment; filename="{log_id}.log"'
    headers = {"content-disposition": name}
    return StreamingResponse(
        read_text(settings, log_id), media_type=_TEXT, headers=headers
    )


@router.get("/{log_id}/events", response_class=EventSourceResponse, responses=_STREAM)
def follow_log(
    log_id: LogId,
    settings: GivenSettings,
    request: Request,
    lines: Lines = LINES_MAX,
    last_event_id: Annotated[str | None, Header(pattern=_POSITION)] = None,
) -> EventSourceResponse:
    """
    Stream a log: ``history`` with its last lines, then ``lines`` as they come.

    The id of each event is a position: with ``Last-Event-ID`` the stream goes on there.
    """
    log_path(settings, log_id)
    after = Position.parse(last_event_id) if last_event_id else None
    streams: Streams = request.app.state.streams
    return streams.log(settings, log_id, lines, after)
