"""Fetching the model before the engine starts, told in the record of the start."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.phases import Phase, Progress
from vllm_pkg.engine.recorder.estimate import estimate
from vllm_pkg.engine.recorder.history import expected_phases, read_runs
from vllm_pkg.errors import ServiceError, StateError
from vllm_pkg.state import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from vllm_pkg.clock import Clock
    from vllm_pkg.models.download.progress import Transfer
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import StartRecord

OFFLINE_ENV: Final = "HF_HUB_OFFLINE"
PUBLISH_S: Final = 0.5
ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
# As huggingface_hub reads its variables.
_TRUE_WORDS: Final = frozenset({"1", "ON", "YES", "TRUE"})


@dataclass(frozen=True)
class Fetched:
    """
    What came of it.

    Args:
        is_complete: Whether all is there, so that the engine needs no network.
        is_cancelled: Whether a signal ended it; what is there stays.
    """

    is_complete: bool
    is_cancelled: bool


def needs_fetching(model: str, environ: Mapping[str, str]) -> bool:
    """
    Whether the model is one that we fetch.

    Args:
        model: As the arguments of ``vllm serve`` name it.
        environ: The engine's environment. Who forbids the network there gets none.
    """
    return is_from_hub(model) and not is_offline(environ)


def is_from_hub(model: str) -> bool:
    """Whether a model, as arguments name it, is a repository of the Hub."""
    is_elsewhere = model.startswith(("/", "./", "../", "~")) or "://" in model
    return bool(model) and not is_elsewhere


def is_offline(environ: Mapping[str, str]) -> bool:
    """Whether an environment forbids to ask the Hub."""
    return environ.get(OFFLINE_ENV, "").upper() in _TRUE_WORDS


def fetch_models(
    settings: Settings,
    serve_args: tuple[str, ...],
    environ: Mapping[str, str],
    start: StartRecord,
    clock: Clock,
) -> Fetched:
    """
    Fetch what the engine will load; SIGTERM and SIGINT end it at once.

    Args:
        settings: Settings in force.
        serve_args: The arguments of ``vllm serve``, the model among them.
        environ: The engine's environment, with the token of Hugging Face.
        start: The record of this start, as it was written.
        clock: Boot time.
    Raises:
        ServiceError: it cannot be fetched; the class says of what kind.
    """
    from vllm_pkg.models.download.ensure import ensure_models  # noqa: PLC0415  # slow

    publisher = TransferPublisher(settings, start, clock)
    with _received_signals() as received:
        try:
            report = ensure_models(
                settings, serve_args, environ, publisher, lambda: bool(received)
            )
        except ServiceError:
            if not received:
                raise
            return Fetched(is_complete=False, is_cancelled=True)
    publisher.finish(report.bytes_fetched)
    return Fetched(is_complete=report.is_complete, is_cancelled=bool(received))


class TransferPublisher:
    """
    Writes into the record of a start how far its download is.

    Args:
        settings: Where the records are.
        start: The start's record.
        clock: Boot time.
    """

    def __init__(self, settings: Settings, start: StartRecord, clock: Clock) -> None:
        self._settings = settings
        self._start = start
        self._clock = clock
        self._expected = expected_phases(read_runs(settings, start.key))
        self._began_s: float | None = None
        self._last: Transfer | None = None
        self._publish_at_s = float("-inf")

    def __call__(self, transfer: Transfer) -> None:
        """Take how far it is; not every time is worth writing down."""
        now_s = self._clock.now_s()
        self._last = transfer
        is_whole = 0 < transfer.bytes_total <= transfer.bytes_done
        if now_s < self._publish_at_s or (self._began_s is None and is_whole):
            return
        self._publish_at_s = now_s + PUBLISH_S
        began_s = self._began_s = now_s if self._began_s is None else self._began_s
        self._update(
            lambda start: with_transfer(start, transfer, began_s, self._expected, now_s)
        )

    def finish(self, bytes_fetched: int) -> None:
        """
        Tell that the download is over.

        Args:
            bytes_fetched: How much came; 0: all was there, and there was no download.
        """
        if self._began_s is None:
            return
        took_s = self._clock.now_s() - self._began_s
        # The last that was told, and not the last that was written down.
        total = self._last.bytes_total if self._last and bytes_fetched else None
        self._update(lambda start: without_transfer(start, took_s, total))

    def _update(self, change: Callable[[StartRecord], StartRecord]) -> None:
        # A full disk is told by the download itself, and better.
        with contextlib.suppress(StateError):
            records.update_start(self._settings, self._start.process, change)


def with_transfer(
    start: StartRecord,
    transfer: Transfer,
    began_s: float,
    expected: Mapping[Phase, float],
    now_s: float,
) -> StartRecord:
    """
    Return a record with how far the download is.

    Args:
        start: The record as it is.
        transfer: How far it is.
        began_s: When it began, in seconds since boot.
        expected: Seconds that each later phase took in earlier starts.
        now_s: Seconds since boot.
    """
    is_known = transfer.bytes_total > 0
    share = 100.0 * transfer.bytes_done / transfer.bytes_total if is_known else None
    progress = Progress(Phase.DOWNLOAD, began_s, share)
    told = estimate(progress, expected, now_s, transfer.eta_s)
    return replace(
        start,
        phase=Phase.DOWNLOAD.value,
        phase_percent=None if share is None else round(share, 1),
        percent=round(max(start.percent or 0.0, told.percent), 1),
        eta_s=None if told.eta_s is None else round(told.eta_s, 1),
        repository=transfer.repository,
        bytes_done=transfer.bytes_done if is_known else None,
        bytes_total=transfer.bytes_total if is_known else None,
        bytes_per_s=round(transfer.bytes_per_s, 1),
        is_stalled=transfer.is_stalled,
        updated_s=round(now_s, 2),
    )


def without_transfer(
    start: StartRecord, took_s: float, bytes_total: int | None
) -> StartRecord:
    """
    Return a record after the download.

    Args:
        start: The record as it is.
        took_s: Seconds that the download took.
        bytes_total: All bytes of it, which are there now; None: there was no download.
    """
    over = replace(
        start,
        phase=Phase.STARTING.value,
        phase_percent=None,
        eta_s=None,
        bytes_per_s=None,
        is_stalled=False,
    )
    if bytes_total is None:
        return replace(
            over, percent=None, repository=None, bytes_done=None, bytes_total=None
        )
    return replace(
        over,
        bytes_done=bytes_total,
        bytes_total=bytes_total,
        phases=((Phase.DOWNLOAD.value, round(took_s, 2)),),
    )


@contextlib.contextmanager
def _received_signals() -> Iterator[list[int]]:
    # Handlers, and not the mask they are blocked by: a child would inherit the mask,
    # and could not be ended.
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    earlier = {number: signal.signal(number, note) for number in ENDING}
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    try:
        yield received
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in earlier.items():
            signal.signal(number, handler)
