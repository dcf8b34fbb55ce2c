"""The programs that the standalone host runs: how they are, and steering them."""

from __future__ import annotations

import xmlrpc.client
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import EngineError, HostNotRunning, NotFound, NotPermitted
from vllm_pkg.hosts.standalone import control
from vllm_pkg.hosts.standalone.config import ENGINE, FETCHER, KEEPER

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

PORTAL: Final = "portal"


class Verb(StrEnum):
    """What can be done with a program."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"


_KEEPER_WATCHES: Final = (
    "the keeper watches the engine: without it a crash would go unseen"
)
_PORTAL_IS_THIS: Final = "the portal is what carries this out; it can be restarted"
_UNKNOWN: Final = "it is not a program of this package"
# Program: what nobody may do with it, and why.
_REFUSED: Final[dict[str, dict[Verb, str]]] = {
    ENGINE: {},
    FETCHER: {},
    KEEPER: dict.fromkeys(Verb, _KEEPER_WATCHES),
    PORTAL: {Verb.START: _PORTAL_IS_THIS, Verb.STOP: _PORTAL_IS_THIS},
}
_RUNNING: Final = frozenset({"STARTING", "RUNNING"})
# Faults of supervisord that mean: it is so already.
_ALREADY: Final = {Verb.START: "ALREADY_STARTED", Verb.STOP: "NOT_RUNNING"}


@dataclass(frozen=True)
class Program:
    """
    One program.

    Args:
        name: Its name.
        state: In supervisord's words, in lower case: ``running``, ``stopped``,
            ``starting``, ``stopping``, ``exited``, ``backoff``, ``fatal``, ``unknown``.
        pid: Its process; None: it has none.
        uptime_s: For how long it has been running; None: it does not.
        exit_code: How it ended the last time; None: it runs, or has never run.
        refused: What nobody may do with it, and why.
    """

    name: str
    state: str
    pid: int | None
    uptime_s: int | None
    exit_code: int | None
    refused: dict[Verb, str]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "state": self.state,
            "pid": self.pid,
            "uptimeS": self.uptime_s,
            "exitCode": self.exit_code,
            "allowed": [verb.value for verb in Verb if verb not in self.refused],
            "refusals": {verb.value: why for verb, why in self.refused.items()},
        }


def list_programs(settings: Settings) -> tuple[Program, ...]:
    """
    Return the programs; none where no standalone host runs.

    Raises:
        EngineError: supervisord does not answer.
    """
    host = control.running_host(settings)
    if host is None:
        return ()
    try:
        with control.connect(host.control_socket) as supervisor:
            infos = supervisor.getAllProcessInfo()
    except (OSError, xmlrpc.client.Error) as error:
        raise EngineError(f"the process supervisor does not answer: {error}") from error
    return tuple(program_of(info) for info in infos)


def program_of(info: dict[str, Any]) -> Program:
    """
    Return what supervisord says of a program.

    Args:
        info: An answer of its ``getProcessInfo``.
    """
    name, state = str(info["name"]), str(info["statename"])
    is_running = state in _RUNNING
    has_ended = not info["pid"] and info["stop"]
    return Program(
        name=name,
        state=state.lower(),
        pid=int(info["pid"]) or None,
        uptime_s=max(0, info["now"] - info["start"]) if is_running else None,
        exit_code=int(info["exitstatus"]) if has_ended else None,
        refused=_REFUSED.get(name, dict.fromkeys(Verb, _UNKNOWN)),
    )


def steer(settings: Settings, name: str, verb: Verb) -> Program:
    """
    Start, stop or restart a program; what is so already is no error.

    Args:
        settings: Settings in force.
        name: Which program.
        verb: What to do.
    Returns:
        How it is afterwards. A restarted portal is told to end, and comes back by
        itself: what it says of itself is how it was before.
    Raises:
        HostNotRunning: no standalone host runs.
        NotFound: it runs no program of that name.
        NotPermitted: nobody may do that; the message says why.
        EngineError: supervisord refused.
    """
    host = control.running_host(settings)
    if host is None:
        raise HostNotRunning("the service is not running")
    program = next((one for one in list_programs(settings) if one.name == name), None)
    if program is None:
        raise NotFound(f"there is no program {name[:80]!r}", hint="list the processes")
    if verb in program.refused:
        raise NotPermitted(
            f"{name} cannot be told to {verb}: {program.refused[verb]}",
            hint="to end everything, stop the service itself",
        )
    try:
        with control.connect(host.control_socket) as supervisor:
            _tell(settings, supervisor, name, verb)
            return program_of(supervisor.getProcessInfo(name))
    except (OSError, xmlrpc.client.Error) as error:
        raise EngineError(f"{name} could not be told to {verb}: {error}") from error


def _tell(settings: Settings, supervisor: Any, name: str, verb: Verb) -> None:
    if name == PORTAL:
        # It cannot wait for its own end; supervisord starts it again.
        supervisor.signalProcess(name, "TERM")
        return
    if name == ENGINE:
        _tell_engine(settings, supervisor, verb)
        return
    if verb is not Verb.START:
        _unless_already(supervisor.stopProcess, name, Verb.STOP)
    if verb is not Verb.STOP:
        _unless_already(supervisor.startProcess, name, Verb.START)


def _tell_engine(settings: Settings, supervisor: Any, verb: Verb) -> None:
    if verb is Verb.RESTART:
        control.restart_engine(settings)
    elif verb is Verb.STOP:
        # Told before it happens, so that no health check takes it for a crash.
        control.announce_stop(settings, is_kept_stopped=True)
        _unless_already(supervisor.stopProcess, ENGINE, Verb.STOP)
    else:
        _unless_already(supervisor.startProcess, ENGINE, Verb.START)


def _unless_already(tell: Any, name: str, verb: Verb) -> None:
    try:
        tell(name)
    except xmlrpc.client.Fault as fault:
        if _ALREADY[verb] not in fault.faultString:
            raise
