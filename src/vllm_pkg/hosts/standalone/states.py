"""
The states of the supervised engine, and the one table of what leads to what: pure.

Standard library only. Which state it is says what the keeper may do: it starts an
engine out of BACKOFF alone, so there is never a second one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EngineState(StrEnum):
    """What the keeper knows of the engine."""

    UNKNOWN = "unknown"
    STOPPED = "stopped"
    STARTING = "starting"
    UNCONFIGURED = "unconfigured"
    LOADING = "loading"
    READY = "ready"
    STALLED = "stalled"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    FATAL = "fatal"


class EngineEvent(StrEnum):
    """What the keeper is told, or finds out."""

    START = "start"
    """supervisord starts the process."""
    RUN = "run"
    """supervisord has started it."""
    IDLE = "idle"
    """No model is selected; the daemon waits."""
    ANSWER = "answer"
    """The API is ready."""
    STALL = "stall"
    """The engine stands still while requests run; it is told to stop."""
    STOPPING = "stopping"
    """supervisord ends the process."""
    STOP = "stop"
    """It has ended because it was told to."""
    EXIT = "exit"
    """It has ended by itself, and is started again."""
    GIVE_UP = "give-up"
    """It has ended by itself, and is not started again."""


class IllegalTransition(ValueError):
    """An event came in a state in which it cannot come."""


_S = EngineState
_E = EngineEvent
# Of a process that supervisord has started: it may end by itself, or be ended.
_ENDS: Final = {_E.STOPPING: _S.STOPPING, _E.EXIT: _S.BACKOFF, _E.GIVE_UP: _S.FATAL}
_STARTS: Final = {_E.START: _S.STARTING}
TRANSITIONS: Final[dict[EngineState, dict[EngineEvent, EngineState]]] = {
    # A keeper that was itself restarted knows nothing yet.
    _S.UNKNOWN: {
        **_STARTS,
        **_ENDS,
        _E.RUN: _S.LOADING,
        _E.IDLE: _S.UNCONFIGURED,
        _E.ANSWER: _S.READY,
        _E.STALL: _S.STALLED,
        _E.STOP: _S.STOPPED,
    },
    _S.STOPPED: _STARTS,
    _S.STARTING: {**_ENDS, _E.RUN: _S.LOADING},
    _S.LOADING: {**_ENDS, _E.IDLE: _S.UNCONFIGURED, _E.ANSWER: _S.READY},
    _S.UNCONFIGURED: {**_ENDS, _E.ANSWER: _S.READY},
    _S.READY: {**_ENDS, _E.STALL: _S.STALLED},
    # Ending it is its cure: it is started again, unless a person starts it before.
    _S.STALLED: {
        _E.STOPPING: _S.STALLED,
        _E.STOP: _S.BACKOFF,
        _E.EXIT: _S.BACKOFF,
        _E.GIVE_UP: _S.FATAL,
    },
    _S.STOPPING: {_E.STOP: _S.STOPPED},
    _S.BACKOFF: {**_STARTS, _E.STOP: _S.STOPPED},
    _S.FATAL: _STARTS,
}


def next_state(state: EngineState, event: EngineEvent) -> EngineState:
    """
    Return the state that an event leads to.

    Raises:
        IllegalTransition: it cannot come in that state.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(
            f"{event.value!r} cannot come in state {state.value!r}"
        ) from None
