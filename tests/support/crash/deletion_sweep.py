"""
Each deletion, hit at each of its system calls; run as a program by `run_sweep`.

``python -m support.crash.deletion_sweep``: see `support.crash.points`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from huggingface_hub import scan_cache_dir

from support.crash import points
from support.crash.deletions import (
    DELETIONS,
    Deletion,
    apply_mutant,
    kept_contents,
    run_deletion,
)
from support.model_cache import contents, names_below, occupied_bytes
from support.settings_factory import make_settings
from vllm_pkg.errors import CacheError, DeletionIncomplete, NotInCache
from vllm_pkg.models.cache import Kind, list_cached
from vllm_pkg.models.deletion import delete_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.models.deletion import DeletionReport
    from vllm_pkg.settings import Settings

HIDDEN: Final = ".deleting-"
LOCKS: Final = ".locks/"
# What a deletion changes a disk with.
CHANGING: Final = ("/^unlink", "/^rename", "/^mkdir")


@dataclass(frozen=True)
class Order:
    """
    What to sweep.

    Args:
        what: What is injected, each by its own sweep; `injection.run_injected`.
        calls: System calls that are counted.
        cases: Names of the deletions; empty means all.
        mutant: Which wrong deletion takes the real one's place; empty means none.
        every: Which share of the points is tried: 1 means all, 3 each third.
    """

    what: tuple[str, ...] = (points.KILL,)
    calls: tuple[str, ...] = CHANGING
    cases: tuple[str, ...] = ()
    mutant: str = ""
    every: int = 1


@dataclass
class Findings:
    """
    What a sweep found.

    Args:
        points: How many processes something was injected into.
        kept: What had to stay was changed.
        listing: What is there cannot be listed, or a broken model looks whole.
        unfinished: The same deletion, done again, did not come to the same end.
        bytes: Reported were other bytes than came free.
    """

    points: int = 0
    kept: list[str] = field(default_factory=list)
    listing: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    bytes: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """All that was found."""
        return [*self.kept, *self.listing, *self.unfinished, *self.bytes]


@dataclass(frozen=True)
class Trial:
    """One deletion at one point, and what is true of it in peace."""

    case: Deletion
    settings: Settings
    final: set[str]
    kept: dict[str, Any]


def run_sweep(order: Order) -> Findings:
    """Run a sweep in a program of its own."""
    return Findings(**points.run_program("support.crash.deletion_sweep", order))


def sweep(order: Order) -> Findings:
    """Hit each deletion at each of its calls."""
    cases = [item for item in DELETIONS if not order.cases or item.name in order.cases]
    findings = Findings()
    with points.memory_folder() as folder:
        peace = {item.name: _in_peace(item, Path(folder)) for item in cases}
        if order.mutant:
            apply_mutant(order.mutant)
        kinds = [f"{call}:{what}" for call in order.calls for what in order.what]
        hit_each = partial(_hit_each, peace, findings)
        points.go_over(cases, kinds, order.every, hit_each)
    return findings


def _make(case: Deletion, folder: Path) -> Settings:
    settings = make_settings(folder / case.name)
    settings.models_dir.mkdir(parents=True)
    case.prepare(settings.models_dir)
    return settings


def _in_peace(case: Deletion, folder: Path) -> tuple[set[str], dict[str, Any]]:
    """Return which names are left when nothing happens, and what must stay."""
    settings = _make(case, folder / "peace")
    kept = kept_contents(settings.models_dir, case)
    before = occupied_bytes(settings.models_dir)
    report = run_deletion(settings, case)
    after = occupied_bytes(settings.models_dir)
    assert _freed(report) == before - after
    assert kept_contents(settings.models_dir, case) == kept
    return names_below(settings.models_dir), kept


def _hit_each(
    peace: dict[str, tuple[set[str], dict[str, Any]]],
    findings: Findings,
    cases: Sequence[Deletion],
    point: points.Point,
    folder: Path,
) -> list[str]:
    trials = [Trial(case, _make(case, folder), *peace[case.name]) for case in cases]
    sizes = [occupied_bytes(trial.settings.models_dir) for trial in trials]
    heard = points.run_heard([partial(_child, item) for item in trials], point)
    for trial, size_bytes, (hit, lines) in zip(trials, sizes, heard, strict=True):
        findings.points += bool(hit)
        place = f"{trial.case.name}, {point}"
        _check(trial, "".join(lines), size_bytes, place, findings)
    return [hit for hit, _ in heard]


def _child(trial: Trial, writer: int) -> None:
    try:
        said = str(_freed(run_deletion(trial.settings, trial.case)))
    except DeletionIncomplete as error:
        said = f"incomplete {error.actual_bytes}"
    except CacheError:
        said = "refused 0"
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is reported
        said = f"raised {error!r}"
    os.write(writer, f"{said}\n".encode())


def _check(
    trial: Trial, said: str, before: int, place: str, findings: Findings
) -> None:
    cache = trial.settings.models_dir
    if kept_contents(cache, trial.case) != trial.kept:
        findings.kept.append(place)
    _check_listing(trial, place, findings)
    freed = before - occupied_bytes(cache)
    number = said.rpartition(" ")[2]
    if said and (not number.isdigit() or int(number) != freed):
        findings.bytes.append(f"{place}: said {said}, freed {freed}")
    _check_again(trial, place, findings)


def _check_listing(trial: Trial, place: str, findings: Findings) -> None:
    cache = trial.settings.models_dir
    for warning in scan_cache_dir(cache).warnings:
        if HIDDEN not in str(warning):
            findings.listing.append(f"{place}: {warning}")
    for entry in list_cached(trial.settings):
        for revision in entry.revisions:
            snapshot = entry.path / "snapshots" / revision.commit
            is_broken = None in contents(snapshot).values()
            if (
                entry.kind is not Kind.LEFTOVER
                and is_broken
                and not revision.is_partial
            ):
                findings.listing.append(f"{place}: {entry.key} looks whole")


def _check_again(trial: Trial, place: str, findings: Findings) -> None:
    """Delete again: whatever was left is finished, and nothing else is touched."""
    cache = trial.settings.models_dir
    before = occupied_bytes(cache)
    freed = 0
    try:
        freed = _freed(run_deletion(trial.settings, trial.case))
    except NotInCache:
        pass
    except CacheError as error:
        findings.unfinished.append(f"{place}: {error}")
    if before - occupied_bytes(cache) != freed:
        findings.bytes.append(f"{place}: the second said {freed}")
    hidden = sum(occupied_bytes(path) for path in cache.glob(f"{HIDDEN}*"))
    if hidden and trial.case.name != "leftovers":
        findings.unfinished.append(f"{place}: {hidden} hidden bytes")
    # Left by others, or an empty folder: listed, and removed by what it is listed as.
    for entry in list_cached(trial.settings):
        if entry.kind is Kind.LEFTOVER:
            delete_model(trial.settings, entry.key)
    odd = sorted(names_below(cache).symmetric_difference(trial.final))
    # Lock files hold nothing: one that cannot be removed does not stop a deletion.
    odd = [name for name in odd if "error=" not in place or not name.startswith(LOCKS)]
    if odd:
        findings.unfinished.append(f"{place}: differs in {odd[:3]}")
    if kept_contents(cache, trial.case) != trial.kept:
        findings.kept.append(f"{place}, again")


def _freed(report: DeletionReport) -> int:
    return report.freed_bytes + report.leftover_bytes


def main() -> None:
    """Do what standard input says, and print what was found."""
    print(json.dumps(asdict(sweep(points.read_order(Order)))))


if __name__ == "__main__":
    main()
