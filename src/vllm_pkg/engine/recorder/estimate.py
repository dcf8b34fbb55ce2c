"""
How much of a start is done and how long it still takes: pure.

What is expected comes from earlier starts of the same model with the same arguments on
this machine. Without any, the share of each phase is a guess, and no time is promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.phases import ORDER, PERCENT_MAX, Phase, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

# Shares of a start whose weights are there, for when nothing is known of it.
_SHARES: Final = {
    Phase.STARTING: 25.0,
    Phase.LOAD: 45.0,
    Phase.COMPILE: 15.0,
    Phase.CAPTURE: 8.0,
    Phase.WARM_UP: 7.0,
}
# A download takes as much of the scale as all the rest, for the same reason.
_DOWNLOAD_SHARE: Final = 100.0
# Their percent grows with time; that of the others is a mark here and there.
_STEADY: Final = frozenset({Phase.DOWNLOAD, Phase.LOAD, Phase.CAPTURE})
_STEADY_FROM_PERCENT: Final = 10.0
_UNFINISHED_MAX_PERCENT: Final = 99.0
_OVERRUN_FACTOR: Final = 2.0
_OVERRUN_S: Final = 5.0


@dataclass(frozen=True)
class Estimate:
    """
    What to tell about the whole start.

    Args:
        percent: How much of it is done, 0 to 100.
        eta_s: Seconds that are left; None: not known.
    """

    percent: float
    eta_s: float | None


def estimate(
    progress: Progress,
    expected: Mapping[Phase, float],
    now_s: float,
    download_eta_s: float | None = None,
) -> Estimate:
    """
    Estimate a start.

    Args:
        progress: How far it has come.
        expected: Seconds that each phase took in earlier starts; empty: none is known.
        now_s: Seconds since boot.
        download_eta_s: Seconds that are left of the download, while there is one.
    """
    if progress.phase is Phase.READY:
        return Estimate(PERCENT_MAX, 0.0)
    elapsed_s = max(0.0, now_s - progress.since_s)
    weights = _weights(progress, expected, elapsed_s + (download_eta_s or 0.0))
    position = ORDER.index(progress.phase)
    done = sum(weights.get(phase, 0.0) for phase in ORDER[:position])
    done += weights.get(progress.phase, 0.0) * _share(progress, expected, elapsed_s)
    percent = PERCENT_MAX * done / (sum(weights.values()) or 1.0)
    left_s = download_eta_s
    if progress.phase is not Phase.DOWNLOAD:
        left_s = _left_in_phase(progress, expected, elapsed_s)
    later_s = sum(expected.get(phase, 0.0) for phase in ORDER[position + 1 :])
    return Estimate(
        percent=min(percent, _UNFINISHED_MAX_PERCENT),
        eta_s=None if left_s is None else left_s + later_s,
    )


def _weights(
    progress: Progress, expected: Mapping[Phase, float], download_s: float
) -> dict[Phase, float]:
    """Return what each phase is worth, in seconds or in shares."""
    finished = dict(progress.finished)
    weights = dict(expected or _SHARES)
    weights.pop(Phase.DOWNLOAD, None)
    if progress.phase is Phase.DOWNLOAD or Phase.DOWNLOAD in finished:
        known_s = finished.get(Phase.DOWNLOAD, download_s)
        weights[Phase.DOWNLOAD] = known_s if expected else _DOWNLOAD_SHARE
    return weights


def _share(
    progress: Progress, expected: Mapping[Phase, float], elapsed_s: float
) -> float:
    """Return how much of the present phase is done, 0 to 1."""
    told = (progress.phase_percent or 0.0) / PERCENT_MAX
    usual_s = expected.get(progress.phase, 0.0)
    if usual_s <= 0.0 or (
        progress.phase in _STEADY and progress.phase_percent is not None
    ):
        return told
    return min(elapsed_s / usual_s, _UNFINISHED_MAX_PERCENT / PERCENT_MAX)


def _left_in_phase(
    progress: Progress, expected: Mapping[Phase, float], elapsed_s: float
) -> float | None:
    if not expected:
        return None
    percent = progress.phase_percent or 0.0
    if progress.phase in _STEADY and percent >= _STEADY_FROM_PERCENT:
        return elapsed_s * (PERCENT_MAX - percent) / percent
    usual_s = expected.get(progress.phase, 0.0)
    if elapsed_s > usual_s * _OVERRUN_FACTOR + _OVERRUN_S:
        # It is not as it was: any time would be invented.
        return None
    return max(0.0, usual_s - elapsed_s)
