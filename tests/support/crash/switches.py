"""
Switches of models that are killed, at each system call or at random moments.

``python -m support.crash.switches``: see `support.crash.points`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.crash import injection, mutants, points
from support.settings_factory import make_settings
from support.switching import CAUSE, CHANGES, FIX, NEW, OLD, FakeWorld, prepare_store
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.errors import StateError
from vllm_pkg.hosts.fetcher.switcher import Switcher
from vllm_pkg.state import atomic, locks, records
from vllm_pkg.state.store import load_store
from vllm_pkg.state.switch import Selected, SwitchPhase
from vllm_pkg.state.switch_file import load_switches, request_switch, update_switches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.settings import Settings
    from vllm_pkg.state.switch import Switch, Switches

SWEEP: Final = "sweep"
RANDOM: Final = "random"
BLIND_SWAP: Final = "blind-swap"
BLIND_RETURN: Final = "blind-return"
GOOD: Final = "good"
BROKEN: Final = "broken"
MUTE: Final = "mute"
CASES: Final = (GOOD, BROKEN, MUTE)
FUTURE: Final = {"x": 1}
_MODEL: Final = frozenset({"org/new"})


@dataclass(frozen=True)
class Order:
    """
    What to do.

    Args:
        how: At each call, or at random moments.
        kills: How many kills at random moments.
        every: Which share of the calls is tried: 1 means all, 3 each third.
        calls: System calls that are counted.
        mutant: Which wrong part takes the real one's place; empty means none.
        seed: For the random moments.
        until: The kind of finding that ends it, for controls; empty means to the end.
    """

    how: str = SWEEP
    kills: int = 100
    every: int = 1
    calls: tuple[str, ...] = injection.CHANGING
    mutant: str = ""
    seed: int = 1
    until: str = ""

    def is_answered_by(self, findings: Findings) -> bool:
        """Return whether what was looked for has been found."""
        return bool(self.until and getattr(findings, self.until))


@dataclass
class Findings:
    """
    What was found.

    Args:
        kills: How many processes were killed in the middle of a switch.
        switches: How many switches were ended.
        reads: How often store.json was read while they ran.
        mixed: The selection was neither the old nor the new one, or a field was lost.
        unfinished: The next fetcher did not end the switch as it should.
    """

    kills: int = 0
    switches: int = 0
    reads: int = 0
    mixed: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """All that was found."""
        return [*self.mixed, *self.unfinished]


def run_order(order: Order) -> Findings:
    """Do it in a program of its own."""
    return Findings(**points.run_program("support.crash.switches", order))


def sweep(order: Order) -> Findings:
    """Kill each switch at each of its calls."""
    findings = Findings()
    points.go_over(
        CASES,
        [f"{call}:{points.KILL}" for call in order.calls],
        order.every,
        partial(_hit_each, findings),
        lambda: order.is_answered_by(findings),
    )
    return findings


def kill_at_random(order: Order) -> Findings:
    """Kill fetchers at random moments, one after another, and switch all the time."""
    findings = Findings()
    chance = random.Random(order.seed)  # noqa: S311  # moments, no secrets
    with points.memory_folder() as folder:
        whole_s = _duration_s(Path(folder) / "whole")
        for number in range(100 * order.kills):
            case = CASES[number % len(CASES)]
            settings = _make(Path(folder) / str(number))
            limit_s = whole_s
            while True:
                # Longer each time: a machine that has become slow ends it, too.
                limit_s *= 1.2
                delay_s = chance.uniform(0.0, limit_s)
                is_killed = _kill_one(settings, case, delay_s, findings)
                place = f"switch {number} ({case})"
                _check_store(settings, place, findings)
                if order.is_answered_by(findings):
                    return findings
                if not is_killed or findings.kills >= order.kills:
                    break
                findings.kills += 1
            _finish(settings, case, f"switch {number} ({case})", findings)
            if findings.kills >= order.kills:
                return findings
    return findings


def _duration_s(folder: Path) -> float:
    """Return how long a switch takes here that nobody kills."""
    settings = _make(folder)
    began_s = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(settings, CASES[0])
        os._exit(0)
    os.waitpid(pid, 0)
    return time.monotonic() - began_s


def _kill_one(
    settings: Settings, case: str, delay_s: float, findings: Findings
) -> bool:
    """Start a fetcher and kill it after a time; False: it had ended before."""
    pid = os.fork()
    if pid == 0:
        _child(settings, case)
        os._exit(0)
    deadline_s = time.monotonic() + delay_s
    while time.monotonic() < deadline_s:
        findings.reads += 1
        _check_store(settings, f"a look ({case})", findings)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def _make(folder: Path) -> Settings:
    settings = make_settings(folder)
    prepare_store(settings, OLD)
    request_switch(settings, NEW)
    update_switches(settings, _with_unknown)
    return settings


def _with_unknown(switches: Switches) -> Switches:
    """Return switches as a newer version may have written them."""
    assert switches.current is not None
    current = replace(switches.current, unknown=FUTURE)
    return replace(switches, current=current, unknown=FUTURE)


def _world(settings: Settings, case: str) -> FakeWorld:
    world = FakeWorld(
        settings,
        broken=_MODEL if case == BROKEN else frozenset(),
        mute=_MODEL if case == MUTE else frozenset(),
    )
    # Its clock goes on where the one of the killed fetcher ended.
    start = records.read_start(settings)
    if start is not None:
        world.clock.seconds = start.started_s + 1
    return world


def _child(settings: Settings, case: str) -> None:
    _world(settings, case).run()


def _hit_each(
    findings: Findings, cases: Sequence[str], point: points.Point, folder: Path
) -> list[str]:
    all_settings = [_make(folder / case) for case in cases]
    programs = [
        partial(_child, settings, case)
        for settings, case in zip(all_settings, cases, strict=True)
    ]
    hits = injection.run_injected(programs, point.kind, point.when)
    for settings, case, hit in zip(all_settings, cases, hits, strict=True):
        findings.kills += bool(hit)
        place = f"{case}, {point}"
        _check_store(settings, place, findings)
        _finish(settings, case, place, findings)
    return hits


def _check_store(settings: Settings, place: str, findings: Findings) -> None:
    try:
        store = load_store(settings)
    except StateError as error:
        findings.mixed.append(f"{place}: {error}")
        return
    selected = Selected.of(store)
    if selected not in {OLD, NEW} or store.document.get("future") != FUTURE:
        findings.mixed.append(f"{place}: {store}")


def _finish(settings: Settings, case: str, place: str, findings: Findings) -> None:
    """Let the next fetcher end the switch; look at what is selected and served then."""
    try:
        with locks.locked(settings.lock_file):
            for folder in (settings.main, settings.public, settings.run_dir):
                atomic.sweep_temporary_files(folder)
        switch = _world(settings, case).run()
    except (StateError, AssertionError) as error:
        findings.unfinished.append(f"{place}: {error!r}")
        return
    findings.switches += 1
    start = records.read_start(settings)
    switches = load_switches(settings)
    found = (
        *(switch.phase, switch.hint, switch.changes, Selected.of(load_store(settings))),
        *(start.model if start else None, switches.waiting),
        *(switch.unknown, switches.unknown),
        sorted(path.name for path in settings.main.rglob("*.tmp")),
    )
    # What helps comes with its reason, or not at all: a fake engine whose fetcher is
    # killed before it has told why it ended is one that never comes up.
    advice = (FIX, CHANGES) if switch.reason == CAUSE else (None, ())
    expected: tuple[object, ...] = (SwitchPhase.RETURNED, *advice, OLD, "org/old")
    if case == GOOD:
        expected = (SwitchPhase.DONE, None, (), NEW, "org/new")
    if found != (*expected, None, FUTURE, FUTURE, []):
        findings.unfinished.append(f"{place}: {found}")


def apply_mutant(name: str) -> None:
    """Put something wrong in a part's place."""
    if name == BLIND_SWAP:
        Switcher._swap = _blind_swap  # type: ignore[assignment,method-assign]
    elif name == BLIND_RETURN:
        Switcher._return = _blind_return  # type: ignore[assignment,method-assign]
    elif name:
        mutants.apply(name)


def _blind_swap(switcher: Switcher, switch: Switch) -> None:
    # The phase is written before what it says is true.
    switcher._move(switch, SwitchPhase.PROVING, tried=switcher._now())
    switcher._write(switch.previous, switch.target)


def _blind_return(switcher: Switcher, switch: Switch) -> None:
    switcher._move(switch, SwitchPhase.SETTLING, tried=switcher._now())
    switcher._write(switch.target, switch.previous)


def main() -> None:
    """Do what standard input says, and print what was found."""
    order = points.read_order(Order)
    own_identity()
    apply_mutant(order.mutant)
    found = sweep(order) if order.how == SWEEP else kill_at_random(order)
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
