"""How streams of events are declared: each event by its name, with what it carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.portal.api.errors import ErrorShape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

_PROBLEM: Final[Mapping[str, type[BaseModel]]] = {"problem": ErrorShape}


def stream_of(events: Mapping[str, type[BaseModel]]) -> dict[int | str, dict[str, Any]]:
    """
    Return the declaration of an answer that is a stream of events.

    Each stream may also have the event ``problem``, with an error.

    Args:
        events: What an event of each name carries; shapes that other routes answer, so
            that the document has them.
    """
    shapes = {**events, **_PROBLEM}
    # What each event of a stream is says OpenAPI 3.2 in this way.
    event = {"oneOf": [_event(name, kind) for name, kind in shapes.items()]}
    content = {"itemSchema": event}
    return {200: {"content": {"text/event-stream": content}}}


def _event(name: str, kind: type[BaseModel]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "event": {"const": name},
            "id": {"type": "string"},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": f"#/components/schemas/{kind.__name__}"},
            },
        },
    }
