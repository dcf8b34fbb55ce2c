"""States of a service for the portal, in the records that the real program writes."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from vllm_pkg.clock import BootClock
from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.engine.guard.usage import UsageCounter
from vllm_pkg.engine.phases import Phase
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.engine.recorder.history import StartRun, add_run, start_id
from vllm_pkg.engine.recorder.measured import MeasuredMemory
from vllm_pkg.engine.start_failure import selection_of
from vllm_pkg.state import records
from vllm_pkg.state.credentials import ensure_key
from vllm_pkg.state.store import ModelSelection, observe_store, update_store
from vllm_pkg.state.switch import Selected, Waiting
from vllm_pkg.state.switch_file import (
    SwitchProgress,
    update_switches,
    utc_now,
    write_progress,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import FailureRecord, StartRecord

PRESET = "qwen3-1.7b"
MODEL = "Qwen/Qwen3-1.7B"
MODEL_NAME = "Qwen3 1.7B"
GIB = 1024**3
METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
vllm:generation_tokens_total{engine="0",model_name="m"} 1234.0
"""


@dataclass(frozen=True)
class Scene:
    """
    A service whose records are this process's.

    Args:
        settings: Where they are.
    """

    settings: Settings

    def select(self, *arguments: str, selection: str = "custom") -> None:
        """Select a model, by default as one of one's own."""
        chosen = ModelSelection(selection, " ".join(arguments), ())
        update_store(self.settings, lambda s: s.with_model(arguments, (), chosen))

    def run_host(self, control_socket: str = "/none") -> None:
        """Let a host run: this process."""
        host = records.HostRecord(own_identity(), "127.0.0.1", 8000, control_socket)
        records.write_record(self.settings.host_file, host)

    def begin_start(self, **changes: Any) -> StartRecord:
        """Let the engine's start be under way: this process."""
        now_s = BootClock().now_s()
        record = records.StartRecord(
            process=own_identity(),
            started_s=now_s - 65,
            host="127.0.0.1",
            port=1,
            model=MODEL,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            key=self.key,
            phase=Phase.LOAD,
            updated_s=now_s,
        )
        record = replace(record, **changes)
        records.write_record(self.settings.start_file, record)
        return record

    def download(self) -> None:
        """Let the download of the model be under way."""
        self.begin_start(
            phase=Phase.DOWNLOAD,
            percent=41.0,
            phase_percent=56.9,
            bytes_done=round(12.4 * GIB),
            bytes_total=round(21.8 * GIB),
            bytes_per_s=84 * 1024.0**2,
            eta_s=115.0,
            repository=MODEL,
        )

    def serve(self, port: int) -> None:
        """Let a preset be served, by what answers on a port of this process."""
        self.select(MODEL, "--max-model-len", "40960", selection=PRESET)
        self.run_host()
        self.begin_start(
            port=port,
            phase=Phase.READY,
            percent=100.0,
            ready_after_s=66.0,
            phases=(("prepare", 1.0), ("starting", 19.0), ("load", 41.0)),
        )

    def remember_two_starts(self) -> None:
        """Remember a start with a download, and a faster one after it."""
        self.remember_start(9, download=182, starting=22, load=38, warm_up=6)
        memory = MeasuredMemory(3.4, 14.2, 103000)
        self.remember_start(0.2, memory, starting=19, load=41, compile=11, warm_up=5)

    def change_start(self, **changes: Any) -> None:
        """Change the record of the start, as the recorder does."""
        now_s = BootClock().now_s()
        records.update_start(
            self.settings,
            own_identity(),
            lambda start: replace(start, **({"updated_s": now_s} | changes)),
        )

    @property
    def key(self) -> str:
        """What the history of starts of this model is kept under."""
        return start_id((MODEL,), "0.32.0")

    def remember_start(
        self, days_ago: float, memory: MeasuredMemory | None = None, **seconds: float
    ) -> None:
        """Remember a start that became ready; seconds by phase, ``_`` for ``-``."""
        at = datetime.now(UTC) - timedelta(days=days_ago)
        phases = tuple(
            (Phase(name.replace("_", "-")), spent) for name, spent in seconds.items()
        )
        run = StartRun(
            at.isoformat(timespec="seconds"), phases, memory or MeasuredMemory()
        )
        add_run(self.settings, self.key, MODEL, run)

    def fail(self, **changes: Any) -> FailureRecord:
        """Record a failure of what is selected, now."""
        clock = BootClock()
        selected = selection_of(observe_store(self.settings))
        record = records.FailureRecord(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            at_s=clock.now_s(),
            boot_id=clock.boot_id(),
            summary="The engine ended with exit code 1.",
            hint="Set --max-model-len to 24576. It is started again by itself.",
            exit_code=1,
            is_final=True,
            starts=3,
            cause="kv-cache-too-small",
            explanation="The model needs 3.1 GiB more memory for its context.",
            evidence="ValueError: To serve at least one request with the models's max"
            " seq len (40960), 5.6 GiB KV cache is needed.",
            changes=(records.SettingChange("--max-model-len", "24576"),),
            selection=fingerprint(*selected) if selected else None,
            fix="Set --max-model-len to 24576.",
        )
        record = replace(record, **changes)
        records.write_record(self.settings.failure_file, record)
        return record

    def use_key(self, seconds_ago: float) -> None:
        """Let the API have been used, as the guard counts it."""
        now_s = datetime.now(UTC).timestamp()
        counter = UsageCounter(self.settings.key_usage_dir, own_identity())
        counter.count("primary", now_s - seconds_ago)
        counter.snapshot()()

    def switch_to(self, *arguments: str, selection: str = "custom") -> None:
        """Ask for a switch, as Set Model does while something serves."""
        target = Selected(arguments, (), ModelSelection(selection))
        present = Selected.of(observe_store(self.settings))
        wanted = Waiting("switch-1", target, utc_now())
        update_switches(self.settings, lambda s: s.requested(wanted, present))

    def progress_switch(self, done_gib: float, total_gib: float) -> None:
        """Write down how far the download of the switch is, as the fetcher does."""
        progress = SwitchProgress(
            id="switch-1",
            repository="Qwen/Qwen3-14B",
            bytes_done=round(done_gib * GIB),
            bytes_total=round(total_gib * GIB),
            bytes_per_s=80e6,
            eta_s=125.0,
            is_stalled=False,
            updated_s=BootClock().now_s(),
        )
        write_progress(self.settings, progress)


def make_scene(settings: Settings) -> Scene:
    """Return a service with its folders and its key, and no model."""
    for folder in (settings.main, settings.public, settings.run_dir):
        folder.mkdir(parents=True, exist_ok=True)
    ensure_key(settings)
    return Scene(settings)


@contextlib.contextmanager
def small_api(metrics: str = METRICS) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """
    Serve what the portal asks an engine, and keep what was sent to the rest of the API.

    Yields:
        Its port, and the requests it got: method, path, headers and body.
    """
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("text/plain", metrics if self.path == "/metrics" else "")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append({"path": self.path, "headers": headers, "body": body})
            self._answer("application/json", ANSWERS[self.path])

        def _answer(self, kind: str, text: str) -> None:
            data = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1]), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ANSWERS = {
    "/v1/chat/completions": (
        '{"id": "1", "object": "chat.completion", "created": 1, "model": "m",'
        ' "choices": [{"index": 0, "finish_reason": "stop",'
        ' "message": {"role": "assistant", "content": "Blue light scatters."}}]}'
    ),
    "/v1/embeddings": (
        '{"object": "list", "model": "m", "data": ['
        '{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]},'
        ' {"object": "embedding", "index": 1, "embedding": [0.5, 0.75]}],'
        ' "usage": {"prompt_tokens": 2, "total_tokens": 2}}'
    ),
}
