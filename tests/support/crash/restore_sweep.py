"""
A restore, hit at each of its system calls; run as a program by `run_sweep`.

``python -m support.crash.restore_sweep``: see `support.crash.points`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.backups import OTHER_KEY, state_of, tree_of, write_models, write_state
from support.crash import injection, points
from support.settings_factory import make_settings
from vllm_pkg.engine.daemon import prepare_state
from vllm_pkg.errors import ServiceError
from vllm_pkg.service.backup.restoring import restore_backup
from vllm_pkg.service.backup.writing import create_backup
from vllm_pkg.state import restore_journal

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.restore_journal import Journal

CALLS: Final = (
    *("write", "fsync", "/^rename", "/^unlink", "/^mkdir", "/^rmdir", "/^symlink"),
    *("openat", "/^f?chmod"),
)
World = dict[str, object]


@dataclass(frozen=True)
class Order:
    """
    What to sweep.

    Args:
        what: What is injected; `injection.run_injected`.
        calls: System calls that are counted.
        mutant: Whether a restore without a journal takes the real one's place.
        every: Which share of the points is tried: 1 means all, 3 each third.
    """

    what: str = points.KILL
    calls: tuple[str, ...] = CALLS
    mutant: bool = False
    every: int = 1


@dataclass
class Findings:
    """
    What a sweep found.

    Args:
        points: How many restores were hit.
        old: After how many the next start had the old state.
        new: After how many it had the new one.
        mixed: It had another one, or something was left over.
    """

    points: int = 0
    old: int = 0
    new: int = 0
    mixed: list[str] = field(default_factory=list)


def run_sweep(order: Order) -> Findings:
    """Run a sweep in a program of its own."""
    return Findings(**points.run_program("support.crash.restore_sweep", order))


def sweep(order: Order) -> Findings:
    """Hit a restore at each of its calls."""
    findings = Findings()
    with points.memory_folder() as folder:
        archive = _make_archive(Path(folder))
        old = _world(_make(Path(folder) / "old"))
        settings = _make(Path(folder) / "new")
        restore_backup(settings, archive)
        new = _world(settings)
        assert old != new
        if order.mutant:
            restore_journal.commit = without_journal

        def hit_each(_: object, point: points.Point, place: Path) -> list[str]:
            settings = _make(place)
            restore = partial(_restore, settings, archive)
            (hit,) = injection.run_injected([restore], point.kind, point.when)
            if hit:
                _check(settings, (old, new), hit, findings)
            return [hit]

        kinds = [f"{call}:{order.what}" for call in order.calls]
        points.go_over(["restore"], kinds, order.every, hit_each)
    return findings


def without_journal(settings: Settings, journal: Journal) -> None:
    """Put one file after the other into its place, each of them atomically."""
    for name, content in journal.files.items():
        restore_journal._write(settings, name, content)
    for name in journal.folders:
        restore_journal._put_in_place(settings, journal.id, name)


def _make_archive(folder: Path) -> Path:
    settings = make_settings(folder / "source")
    write_state(settings)
    write_models(settings)
    create_backup(settings, folder / "backup.tar", with_models=True)
    return folder / "backup.tar"


def _make(folder: Path) -> Settings:
    """Make an instance with another state, another model, and an old form of one."""
    settings = make_settings(folder)
    write_state(settings, OTHER_KEY, serveArgs=["old/model"])
    settings.switch_file.write_text('{"current": null, "waiting": null}')
    for name in ("models--org--name", "models--org--other"):
        (settings.models_dir / name / "refs").mkdir(parents=True)
        (settings.models_dir / name / "refs" / "main").write_text("0" * 40)
    prepare_state(settings)
    return settings


def _restore(settings: Settings, archive: Path) -> None:
    try:
        restore_backup(settings, archive)
    except ServiceError:
        # A failed call is told; what it has left is looked at.
        return


def _check(
    settings: Settings, worlds: tuple[World, World], hit: str, findings: Findings
) -> None:
    findings.points += 1
    try:
        prepare_state(settings)
        prepare_state(settings)
    except ServiceError as error:
        findings.mixed.append(f"{hit}: the next start: {error!r}")
        return
    found = _world(settings)
    if found == worlds[0]:
        findings.old += 1
    elif found == worlds[1]:
        findings.new += 1
    else:
        findings.mixed.append(f"{hit}: {sorted(found)}")
    left = [
        str(path)
        for path in settings.main.parent.rglob(".*")
        if path.name.endswith((".tmp", ".restoring"))
    ]
    findings.mixed += [f"{hit}: {path} is left" for path in left]
    if restore_journal.is_pending(settings):
        findings.mixed.append(f"{hit}: it is not finished")


def _world(settings: Settings) -> World:
    """Return all that a restore replaces."""
    trees = {
        f"{root.name}/{name}": content
        for root in (settings.models_dir, settings.local_models_dir)
        for name, content in tree_of(root).items()
    }
    return {**state_of(settings), **trees}


def main() -> None:
    """Do what standard input says, and print what was found."""
    print(json.dumps(asdict(sweep(points.read_order(Order)))))


if __name__ == "__main__":
    main()
