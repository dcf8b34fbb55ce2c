"""T01, T02: a restore that is killed, fails or loses power is all old or all new."""

from __future__ import annotations

import os

import pytest

from support.backups import NAMES, OTHER_KEY, state_of, write_state
from support.crash import mutants
from support.crash.power_loss import BEGUN, Disk, Recorder
from support.crash.restore_sweep import CALLS, Order, run_sweep, without_journal
from support.guarantees.plugin import is_long
from support.settings_factory import make_settings
from support.tools import require_tool
from vllm_pkg.engine.daemon import prepare_state
from vllm_pkg.errors import ServiceError
from vllm_pkg.service.backup.restoring import restore_backup
from vllm_pkg.service.backup.writing import create_backup
from vllm_pkg.state import restore_journal

TRACKED = (*NAMES, "main/restore.json")
# In others nothing stands that a start reads.
FOLDERS = {"", "main", "public"}
# Before and after the decision, each file in its place, and the journal gone.
MOMENTS = 6
PROMISE = (
    "A restore that is killed at any system call is all old or all new after the next"
    " start, models included, and leaves nothing half"
)


@pytest.mark.timeout(1800)
def test_killed_at_each_call(guarantee):
    """T01: SIGKILL at each call that changes the disk."""
    require_tool("strace")
    found = run_sweep(Order(every=1 if is_long() else 6))
    guarantee(
        "T01",
        PROMISE,
        tried=found.points,
        violations=len(found.mixed),
        unit="kills",
        control="a restore without a journal: found",
    )

    assert found.mixed == []
    assert found.old >= 10
    assert found.new >= 2
    assert found.points >= (150 if is_long() else 25)


@pytest.mark.timeout(1800)
def test_each_call_fails(guarantee):
    """T04: a full or broken disk at any call leaves the old state or the new one."""
    require_tool("strace")
    # An injected close or chmod error of the lock is another test's.
    calls = CALLS[:7]
    found = run_sweep(
        Order(what="error=ENOSPC", calls=calls, every=1 if is_long() else 8)
    )
    guarantee(
        "T04",
        "A restore in which a call fails is all old or all new after the next start",
        tried=found.points,
        violations=len(found.mixed),
        unit="failed calls",
        control="a restore without a journal: found by the kills",
    )

    assert found.mixed == []
    assert found.points >= (80 if is_long() else 10)


@pytest.mark.timeout(900)
def test_the_sweep_finds_a_restore_without_a_journal():
    """T01: files that are replaced one after the other are found to be mixed."""
    require_tool("strace")

    assert run_sweep(Order(calls=("/^rename",), mutant=True)).mixed


def _loss(tmp_path, monkeypatch, mutate=lambda _: None) -> tuple[int, list[str]]:
    """Record a restore, and start from each state that a loss of power may leave."""
    settings = make_settings(tmp_path / "root")
    write_state(settings)
    create_backup(settings, tmp_path / "backup.tar")
    write_state(settings, OTHER_KEY)
    settings.switch_file.write_text('{"current": null, "waiting": null}')
    prepare_state(settings)
    old = state_of(settings)
    recorder = Recorder(tmp_path / "root")
    recorder.seed(dict(old), {})
    with monkeypatch.context() as patch:
        recorder.install(patch)
        mutate(patch)
        restore_backup(settings, tmp_path / "backup.tar")
        recorder.acknowledge()
    new = state_of(settings)
    assert new.keys() == old.keys() - {"main/switch.json"}

    disk, legal, wrong, looked = Disk(), [old], [], 0
    seen: dict[tuple[tuple[str, bytes], ...], dict[str, bytes] | None] = {}
    for number, event in enumerate(recorder.events):
        if event.kind == BEGUN:
            legal = [old, new]
        if event.kind == "acknowledged":
            legal = [new]
        if event.folder not in FOLDERS:
            continue
        disk.apply(event)
        if legal == [old]:
            continue
        for state in disk.states(TRACKED):
            looked += 1
            case = tuple(sorted(state.items()))
            if case not in seen:
                seen[case] = _started(tmp_path / f"loss-{len(seen)}", state)
            if seen[case] not in legal:
                wrong.append(f"event {number}: {seen[case]}")
        if wrong:
            break
    assert wrong or len(seen) >= MOMENTS
    return looked, wrong


def _started(root, state) -> dict[str, bytes] | None:
    """Return the state after a start from what a disk holds; None: it fails."""
    settings = make_settings(root)
    for name, data in state.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o600)
    try:
        prepare_state(settings)
    except ServiceError:
        return None
    return state_of(settings)


@pytest.mark.timeout(300)
def test_power_loss_at_each_moment(tmp_path, monkeypatch, guarantee):
    """T02: in each legal state of the disk the next start has all old or all new."""
    count, wrong = _loss(tmp_path, monkeypatch)
    guarantee(
        "T02",
        "After a loss of power during a restore the next start has the old state or"
        " the new one, and the new one once the restore has ended",
        tried=count,
        violations=len(wrong),
        unit="states of the disk",
        control="without fsync of files or of folders, and without a journal: found",
    )

    assert wrong == []
    assert count >= 30


def _without_file_sync(patch):
    patch.setattr(os, "fsync", mutants.without_file_sync(os.fsync))


def _without_folder_sync(patch):
    patch.setattr(os, "fsync", mutants.without_folder_sync(os.fsync))


def _without_journal(patch):
    patch.setattr(restore_journal, "commit", without_journal)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "mutate", [_without_file_sync, _without_folder_sync, _without_journal]
)
def test_the_model_finds_what_is_missing(tmp_path, monkeypatch, mutate):
    """T02: each sync that is taken away, and the journal, are missed."""
    assert _loss(tmp_path, monkeypatch, mutate)[1]
