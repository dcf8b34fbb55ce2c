# ruff: noqa: INP001  # a script's helper, in no package
"""One timed start of the engine: plain ``vllm serve``, or this package's daemon."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psutil

from support import without_network
from support.hub_cache import write_cached_model
from support.service import free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY: Final = "benchBENCHbenchBENCH01"
NAME: Final = "bench"
TIMEOUT_S: Final = 600.0
INSIDE: Final = "ready inside"
# What tells how far a start is; the texts are vLLM 0.32's.
MARKS: Final = {
    "API server has imported": re.compile(rb"non-default args"),
    "core has imported": re.compile(rb"Initializing a V1 LLM engine"),
    "worker has imported": re.compile(rb"Starting to load model"),
    "model is loaded": re.compile(rb"Warming up model"),
    "model is warm": re.compile(rb"Warming up done"),
    "engine is up": re.compile(rb"init engine \("),
    INSIDE: re.compile(without_network.READY.encode()),
}
# Nothing of the person's own may make one start differ from the other.
_OWN_VARIABLES: Final = ("VLLM", "HF_", "XDG_", "TORCH", "OMP_", "PYTHON", "TMPDIR")
_PROGRAMS: Final = Path(sys.executable).parent


@dataclass(frozen=True)
class Way:
    """
    One way to start the engine.

    Args:
        name: As in the table.
        is_package: Whether the daemon starts it.
        is_fresh: Whether home and temporary folder are empty each time.
        variables: Set in its environment; ``{empty}`` becomes a new folder, and
            ``{kept}`` one that stays.
        model: The model's folder or repository.
        arguments: Further ones of ``vllm serve``.
        has_network: Whether it sees more than the loopback device.
    """

    name: str
    is_package: bool = False
    is_fresh: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    arguments: tuple[str, ...] = ()
    has_network: bool = True


@dataclass
class EngineStart:
    """
    A running engine.

    Args:
        way: How it is started.
        folder: Of this way; home, temporary folder and both volumes stand below it.
        cache_gib: Size of the KV cache, the same for all ways.
    """

    way: Way
    folder: Path
    cache_gib: str
    port: int = field(default_factory=free_port)
    ready_s: float = 0.0
    cpu_s: float = 0.0
    marks: dict[str, float] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        """What it has written, with the seconds since the start."""
        return self.folder / f"{self.way.name}.log"

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        environ = self._environment()
        argv = self._argv()
        with self.log_file.open("wb") as log:
            begin_s = time.monotonic()
            self._process = subprocess.Popen(  # noqa: S603
                argv,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            reader = threading.Thread(target=self._read, args=(begin_s, log.fileno()))
            reader.daemon = True
            reader.start()
            try:
                wait_until(self._is_ready, TIMEOUT_S, f"ready: {self.way.name}")
            except BaseException:
                self.stop()
                raise
            self.ready_s = time.monotonic() - begin_s
            self.cpu_s = self._cpu_s()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    def stop(self) -> None:
        """End it and everything it started."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all its processes for a while: idle ones look for work, too."""
        if self._process is None:
            raise RuntimeError("it does not run")
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def _cpu_s(self) -> float:
        """Return the CPU time of all its processes, those that ended too."""
        if self._process is None:
            return 0.0
        first = psutil.Process(self._process.pid)
        return sum(
            sum(process.cpu_times()[:4])
            for process in (first, *first.children(recursive=True))
        )

    def _read(self, begin_s: float, log: int) -> None:
        # The log of a start, copied while it is open: afterwards nobody needs it.
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        log = os.dup(log)
        for line in self._process.stdout:
            now_s = time.monotonic() - begin_s
            os.write(log, b"%7.2f " % now_s + line)
            for name, pattern in MARKS.items():
                if name not in self.marks and pattern.search(line):
                    self.marks[name] = now_s
        os.close(log)

    def _is_ready(self) -> bool:
        process = self._process
        if process is None or process.poll() is not None:
            log = self.log_file.read_text(errors="replace")
            raise RuntimeError(f"{self.way.name} ended:\n{log[-3000:]}")
        if not self.way.has_network:
            # It has a loopback device of its own, and is asked from inside.
            return INSIDE in self.marks
        try:
            return self._ask("GET", "/health")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OWN_VARIABLES)
        }
        for name in ("home", "tmp"):
            if self.way.is_fresh:
                shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        empty, kept = self.folder / "empty", self.folder / "kept"
        shutil.rmtree(empty, ignore_errors=True)
        own = {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "VLLM_CPU_KVCACHE_SPACE": self.cache_gib,
            "VLLM_API_KEY": KEY,
            without_network.KEY_ENV: KEY,
            "VLLM_PKG_MAIN": str(self.folder / "main"),
            "VLLM_PKG_PUBLIC": str(self.folder / "public"),
            "VLLM_PKG_PORT": str(self.port),
            # What this process can import, the engine can import too.
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        more = {
            name: value.format(empty=empty, kept=kept)
            for name, value in self.way.variables.items()
        }
        return inherited | own | more

    def _argv(self) -> list[str]:
        arguments = [self.way.model, "--served-model-name", NAME, *self.way.arguments]
        if not self.way.is_package:
            serve = [str(_PROGRAMS / "vllm"), "serve", *arguments]
            return [*serve, "--host", "127.0.0.1", "--port", str(self.port)]
        self._write_state(arguments)
        argv = [sys.executable, "-m", "vllm_pkg", "daemon"]
        if self.way.has_network:
            return argv
        inside = [sys.executable, "-m", without_network.__name__, str(self.port)]
        return ["unshare", "--net", *inside, *argv]

    def _write_state(self, arguments: list[str]) -> None:
        for name in ("main", "public"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        models = self.folder / "main" / "models"
        own = models / f"models--{self.way.model.replace('/', '--')}"
        if not self.way.model.startswith("/") and not own.exists():
            write_cached_model(models, self.way.model)
        store = {
            "serveArgs": arguments,
            "modelSelection": {"selection": "custom", "customArgs": ""},
            "serveEnv": [{"name": "VLLM_CPU_KVCACHE_SPACE", "value": self.cache_gib}],
        }
        (self.folder / "main" / "store.json").write_text(json.dumps(store))
        credentials = self.folder / "public" / "credentials.json"
        credentials.write_text(json.dumps({"apiKey": KEY}))
