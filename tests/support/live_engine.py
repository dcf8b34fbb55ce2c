"""A real vLLM started with the daemon's own command, and raw requests to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  # dataclass
from typing import TYPE_CHECKING, Any, Self

from support.route_dump import FILE_ENV
from support.service import PROGRAM, Service, free_port
from support.waiting import wait_until
from vllm_pkg.engine import guard
from vllm_pkg.engine.daemon import engine_program

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

START_TIMEOUT_S = 300.0
TINY = {"config": {"selection": "tiny", "value": {}}}
DUMP = "support.route_dump.RouteDump"


@dataclass(frozen=True)
class Answer:
    """
    What the engine answered.

    Args:
        status: HTTP status.
        headers: Names in lower case.
        body: As it came.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, which must be JSON."""
        return json.loads(self.body)


@dataclass
class LiveEngine:
    """
    A real engine, started without the daemon so that arguments can be added.

    Args:
        folder: Its volumes stand below it.
        is_guarded: Whether the argument that adds the guard is kept.
        middleware: Another one, which stands before the guard.
    """

    folder: Path
    is_guarded: bool = True
    middleware: str = DUMP
    process: subprocess.Popen[bytes] | None = None
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        """Choose a port."""
        self.service = Service(self.folder, free_port())

    @property
    def settings(self) -> Settings:
        """The settings of this instance."""
        from vllm_pkg.settings import load_settings

        return load_settings(self._environment)

    @property
    def _environment(self) -> dict[str, str]:
        return self.service.environment | {"VLLM_PKG_PORT": str(self.service.port)}

    @property
    def routes_file(self) -> Path:
        """Where the router's routes are written."""
        return self.folder / "routes.json"

    def start(self) -> Self:
        """Start the engine and wait until it is ready."""
        self.run_json("init", "--json")
        self.run_json("action", "run", "set-model", "--input", json.dumps(TINY))
        plan = self.run_json("daemon", "--print", "--show-secrets")
        argv = [engine_program(), *plan["argv"][1:]]
        argv += ["--middleware", self.middleware]
        if not self.is_guarded:
            position = argv.index(guard.GUARD)
            del argv[position - 1 : position + 1]
        # What this process can import, the engine can import too.
        path = os.pathsep.join(sys.path)
        more = {FILE_ENV: str(self.routes_file), "PYTHONPATH": path}
        with (self.folder / "engine.log").open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                env=self._environment | plan["env"] | more,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_ready, START_TIMEOUT_S, "the engine")
        return self

    def _is_ready(self) -> bool:
        assert self.process is not None
        log = self.folder / "engine.log"
        assert self.process.poll() is None, log.read_text()[-3000:]
        try:
            return self.ask("GET", "/health").status == 200
        except OSError:
            return False

    def run_json(self, *arguments: str) -> Any:
        """Run one command of the program and return the JSON it prints."""
        done = subprocess.run(
            [*PROGRAM, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout)

    def stop(self) -> None:
        """End the engine as a host does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection."""
        return http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60)

    def ask(
        self, method: str, path: str, key: str | None = None, **more: Any
    ) -> Answer:
        """
        Send one request.

        Args:
            method: HTTP method.
            path: Sent as it stands.
            key: Sent as a bearer key.
            more: ``body``, sent as JSON, and ``headers``.
        """
        connection = self.connect()
        try:
            return exchange(connection, method, path, key, **more)
        finally:
            connection.close()

    def routes(self) -> list[tuple[str, str]]:
        """Return method and path of every route that the live router has."""
        routes = json.loads(self.routes_file.read_text())
        return [(method, path) for method, path in routes]


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    key: str | None = None,
    **more: Any,
) -> Answer:
    """Send one request on a connection that is kept, and return the answer."""
    headers = dict(more.get("headers") or {})
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    body = None
    if "body" in more:
        body = json.dumps(more["body"])
        headers["Content-Type"] = "application/json"
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    names = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, names, response.read())


@dataclass
class SteadyClient:
    """
    A client that sends one request after the other, all the time.

    Args:
        engine: Which engine.
        key: With which key.
    """

    engine: LiveEngine
    key: str
    seen: list[tuple[float, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_until(lambda: self.seen, 10, "the first request")
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        connection = self.engine.connect()
        while not self._stop.is_set():
            status = exchange(connection, "GET", "/v1/models", self.key).status
            self.seen.append((time.monotonic(), status))
        connection.close()

    def statuses(self) -> set[int]:
        """Return every status there was."""
        return {status for _, status in self.seen}

    def first(self, status: int) -> float | None:
        """Return when that status came first, on the monotonic clock."""
        return next((at for at, seen in self.seen if seen == status), None)
