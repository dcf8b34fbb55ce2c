"""Whether an engine that was restarted has come up: a pure judgement of one look."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from vllm_pkg.health.checker import Result

if TYPE_CHECKING:
    from vllm_pkg.state.records import FailureRecord, SettingChange, StartRecord
    from vllm_pkg.state.switch import Instant

# One may be bad luck, such as memory that comes free a moment too late.
FAILED_STARTS_MAX: Final = 2
_MINUTE_S: Final = 60


class Outcome(StrEnum):
    """What is known of the engine."""

    WAIT = "wait"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Look:
    """
    What was seen of the engine at one moment.

    Args:
        result: Its health.
        start: The record of its start, if it is one since the restart.
        failure: Its last failure, if it is one since the restart.
        starts: How many starts since the restart were seen.
        waited_s: Seconds since the start began, or since the restart was asked for.
        is_host_running: Whether something runs that starts the engine.
    """

    result: Result
    start: StartRecord | None
    failure: FailureRecord | None
    starts: int
    waited_s: float
    is_host_running: bool


@dataclass(frozen=True)
class Judgement:
    """
    What follows from a look.

    Args:
        outcome: What is known.
        reason: Why it failed, whole sentences.
        hint: What to do about it, in the same form.
        changes: The settings that would help, all together.
    """

    outcome: Outcome
    reason: str | None = None
    hint: str | None = None
    changes: tuple[SettingChange, ...] = ()


def judge(look: Look, limit_s: float) -> Judgement:
    """
    Judge one look at the engine.

    Args:
        look: What was seen.
        limit_s: After so many seconds a start that is not ready has failed.
    """
    # Where the service was stopped in the middle, the next one goes on.
    if not look.is_host_running:
        return Judgement(Outcome.WAIT)
    # What is served again may be nothing: that is ready at once.
    is_ready = look.result is Result.SUCCESS and look.start is not None
    if is_ready or look.result is Result.DISABLED:
        return Judgement(Outcome.READY)
    failure = look.failure
    if failure and (failure.is_final or failure.starts >= FAILED_STARTS_MAX):
        return _failed(failure.summary, failure)
    if look.starts > FAILED_STARTS_MAX:
        why = failure.summary if failure else "See the service logs for the cause."
        times = f"The engine ended {look.starts - 1} times while it started."
        return _failed(f"{times} {why}", failure)
    if look.waited_s >= limit_s:
        return _failed(_too_slow(limit_s), None)
    return Judgement(Outcome.WAIT)


def _failed(reason: str, failure: FailureRecord | None) -> Judgement:
    if failure is None:
        return Judgement(Outcome.FAILED, reason)
    return Judgement(
        Outcome.FAILED, reason, hint=failure.fix or None, changes=failure.changes
    )


def is_since(at_s: float, boot_id: str, tried: Instant | None) -> bool:
    """Whether a moment of the present boot came after *tried*."""
    if tried is None:
        return False
    return boot_id != tried.boot_id or at_s > tried.at_s


def _too_slow(limit_s: float) -> str:
    if limit_s < 2 * _MINUTE_S:
        return f"The engine was not ready within {limit_s:.0f} seconds."
    return f"The engine was not ready within {limit_s / _MINUTE_S:.0f} minutes."
