"""
Looking whether the engine gets anywhere, and remembering it in ``run/progress.json``.

Where a keeper runs, it looks; under StartOS nothing of ours runs beside the engine, and
each health check looks. Both leave the same record, and health tells what it says.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine.guard.waiting import WAITING_HEADER
from vllm_pkg.errors import StateError
from vllm_pkg.health.http_client import fetch
from vllm_pkg.health.progress import (
    CoreProgress,
    Progress,
    Report,
    Sample,
    Stall,
    StallDetector,
    Waiting,
    read_samples,
    read_waiting,
)
from vllm_pkg.settings_table import Variant
from vllm_pkg.state import atomic, documents
from vllm_pkg.state.credentials import load_key

if TYPE_CHECKING:
    from vllm_pkg.clock import Clock
    from vllm_pkg.health.http_client import Reply
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import StartRecord

METRICS_TIMEOUT_S: Final = 5.0
METRICS_SIZE_MAX_BYTES: Final = 8 * 1024 * 1024
# No record is older where somebody looks: the keeper does every 5 s.
RECORD_AGE_MAX_S: Final = 30.0
GPU_TIMEOUT_S: Final = 120.0
# One step with a part of a long prompt takes minutes on a slow processor.
CPU_TIMEOUT_S: Final = 900.0
_HTTP_OK: Final = 200


@dataclass(frozen=True)
class ProgressRecord:
    """
    What is remembered of one engine process.

    Args:
        pid: The engine's process.
        started_s: When its daemon started: with the pid, which start it was.
        boot_id: The kernel's id of that boot.
        timeout_s: For how long nothing may move; 0: it is not judged.
        progress: What was seen.
    """

    pid: int
    started_s: float
    boot_id: str
    timeout_s: float
    progress: Progress

    def stall(self) -> Stall | None:
        """Return the stall that was seen last, or None."""
        if self.timeout_s == 0:
            return None
        return StallDetector(self.timeout_s).judge(self.progress)

    def belongs_to(self, start: StartRecord) -> bool:
        """Whether it is about that start of the engine."""
        return (self.pid, self.started_s, self.boot_id) == (
            start.process.pid,
            start.started_s,
            start.process.boot_id,
        )


def watch_progress(
    settings: Settings, start: StartRecord, clock: Clock
) -> Stall | None:
    """
    Look at an engine that answers, and remember what was seen.

    A look that fails says nothing: an API server with much to do answers late.

    Args:
        settings: Where the record and the key are.
        start: The engine's start.
        clock: For how long nothing moved.
    Returns:
        The stall, if the engine is stuck.
    Raises:
        StateWriteFailed: the record cannot be written.
    """
    earlier = read_progress(settings, start)
    timeout_s = earlier.timeout_s if earlier else stall_timeout_s(settings)
    report = read_report(settings, start) if timeout_s else None
    if report is None:
        return None
    detector = StallDetector(timeout_s)
    remembered = earlier.progress if earlier else None
    progress = detector.observe(remembered, report, clock.now_s())
    record = ProgressRecord(
        start.process.pid, start.started_s, start.process.boot_id, timeout_s, progress
    )
    # Nothing is lost with a record of idling, so a disk is not kept awake for it.
    if remembered is None or not (progress.is_idle and remembered.is_idle):
        atomic.make_folder(settings.run_dir)
        document = documents.format_object(asdict(record))
        atomic.write_file(settings.progress_file, document)
    return record.stall()


def remembered_stall(
    settings: Settings, start: StartRecord, clock: Clock
) -> Stall | None:
    """Return the stall that somebody else's look has shown a moment ago, or None."""
    record = read_progress(settings, start)
    if record is None:
        return None
    if clock.now_s() - record.progress.observed_s > RECORD_AGE_MAX_S:
        return None
    return record.stall()


def next_look_s(settings: Settings, start: StartRecord, clock: Clock) -> float | None:
    """
    Return when to look again, in seconds since boot; None: when the host looks anyway.

    Args:
        settings: Where the record is.
        start: The engine's start.
        clock: After a look that failed the time may be over.
    """
    record = read_progress(settings, start)
    if record is None or record.timeout_s == 0:
        return None
    due_s = StallDetector(record.timeout_s).next_look_s(record.progress)
    return due_s if due_s is not None and due_s > clock.now_s() else None


def stall_timeout_s(settings: Settings) -> float:
    """Return for how long nothing may move: as set, or by what computes."""
    if settings.stall_timeout_s is not None:
        return settings.stall_timeout_s
    return CPU_TIMEOUT_S if _computes_on_cpu(settings) else GPU_TIMEOUT_S


def read_report(settings: Settings, start: StartRecord) -> Report | None:
    """Return what the engine and the guard say now; None when they do not answer."""
    reply = _ask_metrics(settings, start)
    if reply is None:
        return None
    return Report(
        samples=read_samples(_text(reply)),
        waiting=read_waiting(reply.headers.get(WAITING_HEADER)),
    )


def read_metrics(settings: Settings, start: StartRecord) -> str | None:
    """Return what the engine's ``/metrics`` says; None when it does not answer."""
    reply = _ask_metrics(settings, start)
    return None if reply is None else _text(reply)


def _text(reply: Reply) -> str:
    return reply.body.decode("utf-8", errors="replace")


def _ask_metrics(settings: Settings, start: StartRecord) -> Reply | None:
    try:
        key = load_key(settings)
    except StateError:
        return None
    reply = fetch(
        start.host,
        start.port,
        "/metrics",
        timeout_s=METRICS_TIMEOUT_S,
        size_max_bytes=METRICS_SIZE_MAX_BYTES,
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )
    return None if reply is None or reply.status != _HTTP_OK else reply


def read_progress(settings: Settings, start: StartRecord) -> ProgressRecord | None:
    """Return the record about that start; None when there is none, or it is damaged."""
    try:
        document = documents.read_object(settings.progress_file) or {}
        record = ProgressRecord(
            pid=int(document["pid"]),
            started_s=float(document["started_s"]),
            boot_id=str(document["boot_id"]),
            timeout_s=float(document["timeout_s"]),
            progress=_progress(document["progress"]),
        )
    except (StateError, KeyError, TypeError, ValueError):
        return None
    return record if record.belongs_to(start) else None


def _progress(document: Any) -> Progress:
    cores = tuple(
        CoreProgress(
            Sample(
                engine=str(core["sample"]["engine"]),
                requests=int(core["sample"]["requests"]),
                steps=str(core["sample"]["steps"]),
            ),
            since_s=float(core["since_s"]),
            moved_s=float(core["moved_s"]),
        )
        for core in document["cores"]
    )
    waiting = document["waiting"]
    return Progress(
        observed_s=float(document["observed_s"]),
        cores=cores,
        waiting=None if waiting is None else _waiting(waiting),
    )


def _waiting(document: Any) -> Waiting:
    return Waiting(int(document["requests"]), float(document["oldest_s"]))


def _computes_on_cpu(settings: Settings) -> bool:
    if settings.variant is not None:
        return settings.variant is Variant.CPU
    # Asked once per start of the engine: it costs more than the rest of a health check.
    from vllm_pkg.hardware.detect import detect_hardware  # noqa: PLC0415
    from vllm_pkg.hardware.facts import Tier  # noqa: PLC0415

    return detect_hardware(settings).tier in {Tier.CPU, None}
