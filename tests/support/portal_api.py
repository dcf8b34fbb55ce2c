"""The API of a real portal, asked by a program that has the token."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from support.portal_process import PortalProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


class PortalApi(PortalProcess):
    """The portal of one instance, and what it answers to one who has its token."""

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Make one request; return the status and the JSON of the answer, or text."""
        data = None
        headers = {**self._bearer, **headers}
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **headers}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(text) if is_json and text else text
        finally:
            connection.close()

    def api(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Make one request to the API."""
        return self.ask(method, f"/api/v1{path}", body, **headers)

    def stream(self, path: str, **headers: str) -> EventStream:
        """Open a stream of events of the API."""
        return EventStream(self.port, f"/api/v1{path}", {**self._bearer, **headers})

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Event:
    """One event of a stream."""

    name: str = ""
    data: str = ""
    id: str | None = None

    def json(self) -> Any:
        """Return what it carries."""
        return json.loads(self.data)


class EventStream:
    """
    A stream of server-sent events; a context manager.

    Args:
        port: Port of the portal.
        path: What is asked for.
        headers: Further headers.
    """

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.request("GET", path, headers=headers)
        self.answer = self._connection.getresponse()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.answer.close()
        self._connection.close()

    def events(self) -> Iterator[Event]:
        """Yield the events as they come."""
        event = Event()
        for raw in self.answer:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name == "event":
                event.name = value
            elif name == "id":
                event.id = value
            elif name == "data":
                event.data += value
            elif not name and event.name:
                yield event
                event = Event()
