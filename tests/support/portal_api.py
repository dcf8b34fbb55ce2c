"""The API of a real portal, asked by a program that has the token."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from support.service import free_port
from support.waiting import wait_until
from vllm_pkg.settings import load_settings
from vllm_pkg.state.portal_token import ensure_portal_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# With all its pages it takes seconds, and minutes beside other work.
START_TIMEOUT_S = 120.0


@dataclass
class PortalApi:
    """
    The portal of one instance; a context manager.

    Args:
        folder: Both volumes stand below it.
        variables: More environment variables.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Our environment, with the volumes of this instance."""
        return {
            **os.environ,
            "VLLM_PKG_MAIN": str(self.folder / "main"),
            "VLLM_PKG_PUBLIC": str(self.folder / "public"),
            "VLLM_PKG_PORTAL_PORT": str(self.port),
            **self.variables,
        }

    def __enter__(self) -> Self:
        """Start it, and wait until it has looked at the service."""
        with (self.folder / "portal.out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vllm_pkg.portal"],
                env=self.environment,
                stdout=out,
                stderr=out,
            )
        try:
            wait_until(self._has_looked, START_TIMEOUT_S, "the portal's first look")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()

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
        token = ensure_portal_token(load_settings(self.environment))
        return {"Authorization": f"Bearer {token}"}

    def _has_looked(self) -> bool:
        assert self.process is not None
        code = self.process.poll()
        if code is not None:
            said = (self.folder / "portal.out").read_text()
            raise AssertionError(f"the portal ended with {code}:\n{said}")
        try:
            status, told = self.ask("GET", "/healthz")
        except OSError:
            return False
        return status in {200, 503} and told["status"] != "starting"


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
