"""
The sweep: every scenario, hit at every system call; run as a program by `run_sweep`.

``python -m support.crash.sweep``: see `support.crash.points`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from support.crash import injection, mutants, points
from support.crash.scenarios import (
    Scenario,
    has_key,
    leftovers,
    make_deterministic,
    make_scenarios,
    migrate,
    run_in_peace,
    state_files,
    wide_modes,
)
from support.settings_factory import make_settings
from vllm_pkg.errors import StateError, StateWriteFailed
from vllm_pkg.state import locks
from vllm_pkg.state.credentials import load_key
from vllm_pkg.state.store import load_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.settings import Settings

LOCK_TIMEOUT_S: Final = 0.1
# What changes a disk; a file that is only read is opened without these.
_WRITING: Final = re.compile(
    r"(write|fsync|rename|unlink|mkdir|f?chmod)|openat\(.*O_(WRONLY|RDWR|CREAT)"
)
_DONE: Final = "done"
_OK: Final = "ok"


@dataclass(frozen=True)
class Order:
    """
    What to sweep.

    Args:
        what: What is injected, each by its own sweep; `injection.run_injected`.
        rounds: How often the scenarios repeat what can be repeated.
        calls: System calls that are counted.
        scenarios: Names of the scenarios; empty means all.
        mutant: Which wrong writer takes the real one's place; empty means none.
        every: Which share of the points is tried: 1 means all, 3 each third.
    """

    what: tuple[str, ...] = (points.KILL,)
    rounds: int = 1
    calls: tuple[str, ...] = injection.CHANGING
    scenarios: tuple[str, ...] = ()
    mutant: str = ""
    every: int = 1


@dataclass
class Findings:
    """
    What a sweep found.

    Args:
        points: How many processes something was injected into.
        torn: A file was neither what it was before nor what it was to become.
        lost: What had been acknowledged was gone.
        modes: Others could read a file.
        errors: Something else than a StateError was raised, or another than
            StateWriteFailed where a write failed, or a leftover stayed.
    """

    points: int = 0
    torn: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """All that was found."""
        return [*self.torn, *self.lost, *self.modes, *self.errors]


@dataclass(frozen=True)
class Trial:
    """One scenario at one point: where it ran, and what it wrote of itself."""

    scenario: Scenario
    settings: Settings
    expected: tuple[dict[str, bytes], ...]
    wide: tuple[str, ...]


def run_sweep(order: Order) -> Findings:
    """Run a sweep in a program of its own."""
    return Findings(**points.run_program("support.crash.sweep", order))


def sweep(order: Order) -> Findings:
    """Hit each scenario at each of its calls."""
    scenarios = [
        item
        for item in make_scenarios(order.rounds)
        if not order.scenarios or item.name in order.scenarios
    ]
    findings = Findings()
    with points.memory_folder() as folder:
        expected = {item.name: _expect(item, Path(folder)) for item in scenarios}
        # An injected close leaves the lock open, which a real failing one does not.
        locks.locked.__wrapped__.__defaults__ = (LOCK_TIMEOUT_S,)  # type: ignore[attr-defined]
        if order.mutant:
            mutants.apply(order.mutant)
        kinds = [f"{call}:{what}" for call in order.calls for what in order.what]
        hit_each = partial(_hit_each, expected, findings)
        points.go_over(scenarios, kinds, order.every, hit_each)
    return findings


def _expect(scenario: Scenario, folder: Path) -> tuple[dict[str, bytes], ...]:
    settings = make_settings(folder / "expected" / scenario.name)
    make_deterministic(1)
    scenario.prepare(settings)
    make_deterministic(2)
    return tuple(run_in_peace(scenario, settings))


def _hit_each(
    expected: dict[str, tuple[dict[str, bytes], ...]],
    findings: Findings,
    scenarios: Sequence[Scenario],
    point: points.Point,
    folder: Path,
) -> list[str]:
    trials = []
    for scenario in scenarios:
        settings = make_settings(folder / scenario.name)
        make_deterministic(1)
        scenario.prepare(settings)
        wide = tuple(wide_modes(settings))
        trials.append(Trial(scenario, settings, expected[scenario.name], wide))
    make_deterministic(2)
    heard = points.run_heard([partial(_child, item) for item in trials], point)
    for trial, (hit, lines) in zip(trials, heard, strict=True):
        findings.points += bool(hit)
        place = f"{trial.scenario.name}, {point}"
        _check_error(trial, lines, hit, place, findings)
        _check(trial, lines, place, findings)
        _check_next_start(trial.settings, place, findings)
    return [hit for hit, _ in heard]


def _child(trial: Trial, writer: int) -> None:
    for step in trial.scenario.steps:
        try:
            step(trial.settings)
        except StateError as error:
            outcome = f"refused {type(error).__name__}"
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is reported
            outcome = f"raised {error!r}"
        else:
            outcome = _OK
        _say(writer, outcome)
        if outcome != _OK:
            if not _is_memory_true(trial.settings):
                _say(writer, "raised nothing, and goes on with what is not kept")
            break
    _say(writer, _DONE)


def _is_memory_true(settings: Settings) -> bool:
    """Whether what a program reads after an error is what stands on the disk."""
    with contextlib.suppress(StateError):
        arguments = list(load_store(settings).serve_args)
        if arguments != _document(settings.store_file).get("serveArgs", []):
            return False
    with contextlib.suppress(StateError):
        return load_key(settings) == _document(settings.credentials_file).get("apiKey")
    return True


def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return document


def _say(writer: int, text: str) -> None:
    # The pipe is the test's: an error injected here is tried again.
    while True:
        try:
            os.write(writer, f"{text}\n".encode())
        except OSError:
            continue
        return


def _check(trial: Trial, lines: Sequence[str], place: str, findings: Findings) -> None:
    acknowledged = lines.count(_OK)
    findings.errors += [f"{place}: {line}" for line in lines if "raised" in line]
    present = state_files(trial.settings)
    legal = trial.expected[acknowledged : acknowledged + 2]
    is_whole = _DONE in lines and all(line in {_OK, _DONE} for line in lines)
    if is_whole:
        legal = legal[:1]
    for name in {name for state in (*trial.expected, present) for name in state}:
        found = present.get(name)
        if found in [state.get(name) for state in legal]:
            continue
        if found == b"" and ".corrupt-" in name:
            continue  # a name that is taken, for a file that is still in its place
        known = [state.get(name) for state in trial.expected[: acknowledged + 2]]
        kind = findings.lost if found in known else findings.torn
        kind.append(f"{place}: {name} is {found!r} after {lines}")
    if all(has_key(state) for state in legal) and not has_key(present):
        findings.lost.append(f"{place}: no file has the key")
    wide = set(wide_modes(trial.settings)) - set(trial.wide)
    findings.modes += [f"{place}: {name}" for name in sorted(wide)]


def _check_error(
    trial: Trial, lines: Sequence[str], hit: str, place: str, findings: Findings
) -> None:
    """Where a write failed, that is what is told."""
    refusals: tuple[type[StateError], ...] = (
        StateWriteFailed,
        *trial.scenario.refusals,
    )
    allowed = {f"refused {refusal.__name__}" for refusal in refusals}
    if _WRITING.match(hit):
        findings.errors += [
            f"{place}: {line} after {hit}"
            for line in lines
            if line.startswith("refused") and line not in allowed
        ]


def _check_next_start(settings: Settings, place: str, findings: Findings) -> None:
    """Start again: no error, nothing left over, and the key that was in force."""
    keys = _keys(settings)
    key = None
    for is_second in (False, True):
        try:
            migrate(settings)
            load_store(settings)
            key = load_key(settings)
        except StateError as error:
            # The first start may set a damaged file aside; then the second has none.
            if is_second or ".corrupt-" not in error.message:
                findings.errors.append(f"{place}: the next start: {error!r}")
                return
        else:
            break
    if keys and key not in keys:
        findings.lost.append(f"{place}: the key is {key!r}, and was {keys}")
    findings.errors += [f"{place}: {name} stayed" for name in leftovers(settings)]


def _keys(settings: Settings) -> list[str]:
    """Return the key in force: the one of credentials.json, else the old store's."""
    for path in (settings.credentials_file, settings.store_file):
        text = path.read_text() if path.exists() else ""
        try:
            key = json.loads(text or "{}").get("apiKey")
        except ValueError:
            continue
        if key:
            return [key]
    return []


def main() -> None:
    """Do what standard input says, and print what was found."""
    print(json.dumps(asdict(sweep(points.read_order(Order)))))


if __name__ == "__main__":
    main()
