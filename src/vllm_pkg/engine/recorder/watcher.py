"""
What the recorder makes of the engine's output: progress for all, memory for next time.

It has work until the engine is ready; from then on the output is only copied.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine import phases
from vllm_pkg.engine.phases import Phase, Progress
from vllm_pkg.engine.recorder.estimate import Estimate, estimate
from vllm_pkg.engine.recorder.history import (
    StartRun,
    add_run,
    expected_phases,
    read_runs,
)
from vllm_pkg.engine.recorder.lines import LineReader
from vllm_pkg.engine.recorder.measured import MeasuredMemory, measure
from vllm_pkg.engine.recorder.ready_probe import ReadyProbe
from vllm_pkg.errors import StateError
from vllm_pkg.state import atomic, records

if TYPE_CHECKING:
    from vllm_pkg.clock import Clock
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import StartRecord

LOOK_S: Final = 0.5
# Who marks the record meanwhile is done in a moment, and the output does not wait.
LOCK_TIMEOUT_S: Final = 0.2


@dataclass
class StartWatcher:
    """
    Watches one start.

    Args:
        settings: Where the records are.
        start: The start's record as the daemon wrote it.
        clock: Boot time.
    """

    settings: Settings
    start: StartRecord
    clock: Clock
    _lines: LineReader = field(default_factory=LineReader)
    _memory: MeasuredMemory = field(default_factory=MeasuredMemory)

    def __post_init__(self) -> None:
        """Take up what the daemon has reached, and what earlier starts took."""
        self._progress = read_progress(self.start)
        self._expected = expected_phases(read_runs(self.settings, self.start.key))
        self._probe = ReadyProbe(self.start.host, self.start.port)
        self._look_at_s = self.clock.now_s()

    @property
    def is_done(self) -> bool:
        """Whether the engine is ready, so that there is nothing more to see."""
        return self._progress.phase is Phase.READY

    def wait_s(self) -> float | None:
        """Return after how long `look` is to be called again; None: never."""
        if self.is_done:
            return None
        return max(0.0, self._look_at_s - self.clock.now_s())

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of the engine's output."""
        if self.is_done:
            return
        now_s = self.clock.now_s()
        for line in self._lines.feed(chunk, now_s):
            self._progress = phases.advance(self._progress, line, now_s)
            self._memory = measure(self._memory, line)
        if now_s >= self._look_at_s:
            self.look()

    def look(self) -> None:
        """Ask whether the engine is ready, and tell how far it is."""
        now_s = self.clock.now_s()
        self._look_at_s = now_s + LOOK_S
        if self._probe.look(now_s):
            self._progress = phases.enter(self._progress, Phase.READY, now_s)
        told = estimate(self._progress, self._expected, now_s)
        # A full disk, or somebody who holds the lock, must not end the recording.
        with contextlib.suppress(StateError):
            records.update_start(
                self.settings,
                self.start.process,
                lambda start: with_progress(start, self._progress, told, now_s),
                timeout_s=LOCK_TIMEOUT_S,
            )
        if self.is_done:
            # Whatever kept an earlier start from this is over.
            with contextlib.suppress(StateError):
                atomic.remove_file(self.settings.failure_file)
            self._remember()

    def _remember(self) -> None:
        if not self.start.key:
            return
        run = StartRun(self.start.started_at, self._progress.finished, self._memory)
        with contextlib.suppress(StateError):
            add_run(self.settings, self.start.key, self.start.model, run)
        # Only now: it imports more than the recorder needs while output passes.
        from vllm_pkg.engine.recorder.learning import learn  # noqa: PLC0415

        learn(self.settings, self.start, self._memory, os.environ)


def read_progress(start: StartRecord) -> Progress:
    """Return how far a record says that a start is; the engine's own part begins."""
    finished = tuple((Phase(name), seconds) for name, seconds in start.phases)
    took_s = sum(seconds for _, seconds in finished)
    return Progress(Phase.STARTING, start.started_s + took_s, None, finished)


def with_progress(
    start: StartRecord, progress: Progress, told: Estimate, now_s: float
) -> StartRecord:
    """
    Return a record with what is known now; its percent never goes back.

    Args:
        start: The record as it is.
        progress: How far the start has come.
        told: The estimate for all of it.
        now_s: Seconds since boot.
    """
    is_ready = progress.phase is Phase.READY
    percent = told.percent if is_ready else max(start.percent or 0.0, told.percent)
    changed = replace(
        start,
        phase=progress.phase.value,
        phase_percent=None if is_ready else progress.phase_percent,
        percent=round(percent, 1),
        eta_s=None if told.eta_s is None else round(told.eta_s, 1),
        phases=tuple((phase.value, round(s, 2)) for phase, s in progress.finished),
        ready_after_s=round(now_s - start.started_s, 2) if is_ready else None,
    )
    # Only for something new: a file that is not written costs nothing.
    return start if changed == start else replace(changed, updated_s=round(now_s, 2))
