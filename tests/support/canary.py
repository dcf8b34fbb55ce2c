"""A real service whose key is a canary: wherever it is found, it has leaked."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

import psutil

from support.service import Service
from vllm_pkg.engine.exit_report import START_MARK
from vllm_pkg.engine.processes import find_engine_processes, instance_id
from vllm_pkg.settings import load_settings
from vllm_pkg.state import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from vllm_pkg.settings import Settings

CANARY = "CANARYcanaryCANARY1234"
STALL_S = 10


@dataclass
class CanaryService(Service):
    """A service that takes a stall for one after few seconds."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment, with the shorter limit."""
        return super().environment | {"VLLM_PKG_STALL_TIMEOUT_S": str(STALL_S)}

    @property
    def settings(self) -> Settings:
        """The settings of this instance."""
        return load_settings(self.environment | {"VLLM_PKG_PORT": str(self.port)})

    def ask(
        self, method: str, path: str, body: str | None = None, key: str = CANARY
    ) -> tuple[int, str]:
        """Send one request; return the status, and headers and body as one text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            with connection.getresponse() as answer:
                text = answer.read().decode(errors="replace")
                return answer.status, f"{answer.headers}\n{text}"

    def complete(self, tokens: int) -> int:
        """Have so many tokens made; return the status."""
        return self.ask("POST", "/v1/completions", completion(tokens))[0]

    def complete_until(self, is_over: Event) -> int:
        """Have long answers made one after the other; return how many were."""
        count = 0
        # A restart cuts the last one off.
        with contextlib.suppress(OSError, http.client.HTTPException):
            while not is_over.is_set():
                count += self.complete(1000) == http.HTTPStatus.OK
        return count

    @contextlib.contextmanager
    def kept_busy(self, count: int) -> Iterator[list[Future[int]]]:
        """Have so many clients ask; yields what counts their answers at the end."""
        is_over = Event()
        with ThreadPoolExecutor(count) as pool:
            clients = [pool.submit(self.complete_until, is_over) for _ in range(count)]
            try:
                yield clients
            finally:
                is_over.set()

    def engine(self) -> list[psutil.Process]:
        """Return the processes of the engine."""
        return find_engine_processes(instance_id(self.main))

    def core(self) -> psutil.Process:
        """Return the process that computes."""
        return next(one for one in self.engine() if "EngineCore" in one.name())

    def start_record(self) -> records.StartRecord:
        """Return what the daemon wrote down about this start."""
        start = records.read_start(self.settings)
        assert start is not None
        return start

    def starts(self) -> int:
        """Return how often the engine was started."""
        log = self.main / "logs" / "engine.log"
        return log.read_text(errors="replace").count(START_MARK)

    def files(self) -> Iterator[Path]:
        """Yield every file of both volumes."""
        for volume in (self.main, self.public):
            for folder, _, names in os.walk(volume):
                yield from (Path(folder, name) for name in names)

    def texts(self) -> dict[str, bytes]:
        """Return the content of every file but the key's own."""
        found = {}
        for path in self.files():
            # Some come and go while the service runs.
            with contextlib.suppress(FileNotFoundError):
                if path.name != "credentials.json":
                    found[str(path)] = path.read_bytes()
        return found

    def printed(self, *arguments: str, **variables: str) -> bytes:
        """Return what one command prints, on both streams."""
        done = subprocess.run(
            [*self.program, *arguments],
            env=self.environment | variables,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    def running_requests(self) -> float:
        """Return how many requests vLLM says that it runs."""
        lines = [
            line
            for line in self.ask("GET", "/metrics")[1].splitlines()
            if line.startswith("vllm:num_requests_run")
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def freeze_busy(self, core: psutil.Process) -> bool:
        """Freeze a core in the middle of a request; let it go on when it had none."""
        core.suspend()
        if self.running_requests() > 0:
            return True
        core.resume()
        return False


def completion(tokens: int) -> str:
    """Return the body of a request for so many tokens."""
    document = {"model": "tiny", "prompt": "a", "max_tokens": tokens}
    return json.dumps(document | {"ignore_eos": True, "temperature": 0})


# Right and wrong, over every kind of path.
REQUESTS: Final[list[tuple[str, str, str | None]]] = [
    ("GET", "/v1/models", None),
    ("GET", "/openapi.json", None),
    ("GET", "/docs", None),
    ("GET", "/docs/oauth2-redirect", None),
    ("GET", "/redoc", None),
    ("GET", "/metrics", None),
    ("GET", "/version", None),
    ("GET", "/no/such/path", None),
    ("GET", f"/v1/models?key={CANARY[:-1]}", None),
    ("POST", "/v1/completions", "{"),
    ("POST", "/v1/completions", "[]"),
    ("POST", "/v1/completions", completion(-1)),
    ("POST", "/v1/completions", completion(10**9)),
    ("POST", "/v1/completions", json.dumps({"model": "none", "prompt": "a"})),
    ("POST", "/v1/chat/completions", json.dumps({"model": "tiny"})),
    ("POST", "/tokenize", "\x00"),
    ("POST", "/sleep", None),
    ("PUT", "/v1/models", None),
]


def with_key(texts: dict[str, bytes]) -> list[str]:
    """Return the names of the texts that hold the key."""
    return [name for name, text in texts.items() if CANARY.encode() in text]


def command_lines() -> dict[str, bytes]:
    """Return the command line of every process of this machine."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            found[f"pid {process.pid}"] = line
    return found
