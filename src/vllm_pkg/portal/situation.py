"""What the service is doing, in one word: pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine.phases import Phase
from vllm_pkg.health.checker import (
    NOT_RUNNING,
    STOPPING,
    STUCK_HINT,
    TIMED_OUT,
    Result,
)

if TYPE_CHECKING:
    from vllm_pkg.portal.feed import Look
    from vllm_pkg.portal.texts.catalogue import Texts


class Situation(StrEnum):
    """What the service is doing."""

    READY = "ready"
    STARTING = "starting"
    LOADING = "loading"
    DOWNLOADING = "downloading"
    LATE = "late"
    NO_MODEL = "no_model"
    STOPPED = "stopped"
    STOPPING = "stopping"
    STUCK = "stuck"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Tone(StrEnum):
    """What a person has to think of it; also the name of its colour."""

    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"


@dataclass(frozen=True)
class Sign:
    """
    How a situation is shown: never by its colour alone.

    Args:
        tone: Which of the three colours.
        icon: Name of an icon of Material Design.
    """

    tone: Tone
    icon: str


_S = Situation
SIGNS: Final = {
    _S.READY: Sign(Tone.GOOD, "check_circle"),
    _S.STARTING: Sign(Tone.BUSY, "hourglass_top"),
    _S.LOADING: Sign(Tone.BUSY, "hourglass_top"),
    _S.DOWNLOADING: Sign(Tone.BUSY, "downloading"),
    _S.LATE: Sign(Tone.BAD, "running_with_errors"),
    _S.NO_MODEL: Sign(Tone.BUSY, "help"),
    _S.STOPPED: Sign(Tone.BAD, "stop_circle"),
    _S.STOPPING: Sign(Tone.BUSY, "stop_circle"),
    _S.STUCK: Sign(Tone.BAD, "error"),
    _S.FAILED: Sign(Tone.BAD, "error"),
    _S.UNKNOWN: Sign(Tone.BAD, "error"),
}
_EARLY: Final = frozenset({Phase.PREPARE, Phase.STARTING})


def situation_of(look: Look) -> Situation:
    """Return what the service was doing when it was looked at."""
    if look.state is None:
        return Situation.UNKNOWN
    health = look.state["health"]
    if health["result"] == Result.SUCCESS:
        return Situation.READY
    if health["result"] == Result.DISABLED:
        return Situation.NO_MODEL
    if health["result"] == Result.FAILURE:
        return _failed(str(health["message"]))
    return _in_start(look.state["start"])


def word(texts: Texts, situation: Situation) -> str:
    """Return a situation in one word or two."""
    return texts(f"state.{situation}")


def _failed(message: str) -> Situation:
    if message == NOT_RUNNING:
        return Situation.STOPPED
    if message == STOPPING:
        return Situation.STOPPING
    if message.startswith(TIMED_OUT):
        return Situation.LATE
    if message.endswith(STUCK_HINT):
        return Situation.STUCK
    return Situation.FAILED


def _in_start(start: dict[str, Any] | None) -> Situation:
    if start is None or start["phase"] in _EARLY:
        return Situation.STARTING
    if start["phase"] == Phase.DOWNLOAD:
        return Situation.DOWNLOADING
    return Situation.LOADING
