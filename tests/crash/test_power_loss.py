"""T02: what a loss of power may leave, at each moment of random histories."""

from __future__ import annotations

import os
import random
import re
from functools import partial
from pathlib import Path

import pytest

import vllm_pkg
from support.crash import mutants, scenarios
from support.crash.power_loss import Disk, Event, Recorder, check_history
from support.guarantees.plugin import is_long
from support.settings_factory import make_settings
from vllm_pkg.errors import StateError
from vllm_pkg.state import atomic, credentials

TRACKED = (
    "main/store.json",
    "main/secrets.json",
    "main/run/start.json",
    "public/credentials.json",
)
STATE = Path(vllm_pkg.__file__).parent / "state"
STEPS_MAX = 8
# What only atomic.py may do: anything that changes a file.
CHANGES = re.compile(
    r"os\.(open|write|replace|rename|link|unlink|remove|mkdir|ftruncate|fsync)\b"
    r"|\.(write_text|write_bytes|touch|unlink|mkdir|rename|chmod)\("
    r"|open\([^)]*[\"'][wax+]"
)


def draw_history(seed):
    """Return a random start and random steps, some of them again and again."""
    source = random.Random(seed)  # noqa: S311
    start = source.choice(scenarios.make_scenarios()).prepare
    notes = iter(range(1, 100))

    def draw():
        number = next(notes)
        size = source.choice((0, 10, 500, 5000))
        return source.choice(
            (
                partial(scenarios.select, f"m{number}", size),
                scenarios.clear,
                scenarios.rotate,
                scenarios.migrate,
                scenarios.remove_key,
                partial(scenarios.add, f"n{number}"),
                partial(scenarios.record, number),
            )
        )

    count = source.randint(1, STEPS_MAX)
    return start, [scenarios.migrate, *(draw() for _ in range(count))]


def run_history(root, seed, monkeypatch, mutate=None):
    """Record a history and check all states of it."""
    root.mkdir()
    settings = make_settings(root)
    with monkeypatch.context() as patch:
        scenarios.make_deterministic_here(patch, seed)
        recorder = Recorder(root)
        recorder.install(patch)
        if mutate is not None:
            mutate(patch)
        start, steps = draw_history(seed)
        versions: list[dict[str, bytes]] = [{}]
        for step in (start, *steps):
            # A damaged store ends a step, and the step counts: it is set aside.
            try:
                step(settings)
            except StateError:
                continue
            finally:
                recorder.acknowledge()
                files = scenarios.state_files(settings)
                versions.append({k: v for k, v in files.items() if k in TRACKED})
    return check_history(recorder.events, versions, TRACKED)


def without_file_sync(patch):
    """Take every fsync of a file away."""
    patch.setattr(os, "fsync", mutants.without_file_sync(os.fsync))


def without_folder_sync(patch):
    """Take every fsync of a folder away."""
    patch.setattr(os, "fsync", mutants.without_folder_sync(os.fsync))


def in_place(patch):
    """Overwrite files where they are."""
    patch.setattr(atomic, "_replace", mutants.in_place)


def unsynced_folders(patch):
    """Make folders as before: without syncing the ones above them."""
    patch.setattr(
        atomic,
        "make_folder",
        lambda path, _=0o700: path.mkdir(parents=True, exist_ok=True),
    )


@pytest.mark.timeout(900)
def test_power_loss_at_each_moment(tmp_path, monkeypatch, guarantee):
    """T02: in no legal state a file is torn, or an acknowledged change or key lost."""
    count = 5000 if is_long() else 200
    found = [
        run_history(tmp_path / str(seed), seed, monkeypatch) for seed in range(count)
    ]
    broken = [text for item in found for text in (*item.torn, *item.lost)]
    guarantee(
        "T02",
        "After a loss of power at any moment each state file is whole and what was "
        "acknowledged is there",
        tried=sum(item.states for item in found),
        violations=len(broken),
        unit=f"states of {count} histories",
        control="without fsync of files, without fsync of folders, in place, and "
        "new folders not synced: all found",
    )
    assert broken == []
    assert sum(item.states for item in found) >= 30 * count


@pytest.mark.parametrize(
    ("mutate", "kind"),
    [
        (without_file_sync, "torn"),
        (without_folder_sync, "lost"),
        (in_place, "torn"),
        (unsynced_folders, "lost"),
    ],
)
def test_the_model_finds_what_is_missing(tmp_path, monkeypatch, mutate, kind):
    """T02: each sync that is taken away is missed by the model."""
    found = [
        run_history(tmp_path / str(seed), seed, monkeypatch, mutate)
        for seed in range(3)
    ]
    assert any(getattr(item, kind) for item in found)


def test_the_model_finds_a_key_dropped_first(tmp_path, monkeypatch):
    """T02: a migration that drops the old key before it has the new file is found."""
    settings = make_settings(tmp_path)
    old = next(s for s in scenarios.make_scenarios() if s.name == "migrate")
    recorder = Recorder(tmp_path)
    recorder.install(monkeypatch)
    old.prepare(settings)
    recorder.acknowledge()
    before = scenarios.state_files(settings)
    mutants.drop_first(settings)
    recorder.acknowledge()
    after = scenarios.state_files(settings)
    found = check_history(recorder.events, [{}, before, after], TRACKED)
    assert any("no file has the key" in text for text in found.lost)


def test_states_of_one_unsynced_write():
    """T02: the model gives the states that POSIX allows, and no other."""
    disk = Disk()
    for event in (
        Event("create", inode=1),
        Event("change", change=(("a", 1),)),
        Event("write", inode=1, data=b"xyz"),
    ):
        disk.apply(event)
    states = list(disk.states(("a",)))
    assert {} in states
    contents = {state["a"] for state in states if state}
    assert contents == {b"", b"x", b"xy", b"xyz", b"\0\0\0"}

    disk.apply(Event("sync", inode=1))
    disk.apply(Event("sync-folder"))
    assert list(disk.states(("a",))) == [{"a": b"xyz"}]


def test_only_one_module_changes_files():
    """T02: everything that changes a file of the state is where it is recorded."""
    # Those two open files to lock them, and write nothing into them.
    known = {"atomic.py", "flock.py", "locks.py"}
    found = {
        path.name: CHANGES.findall(path.read_text())
        for path in STATE.glob("*.py")
        if path.name not in known and CHANGES.search(path.read_text())
    }
    assert found == {}


@pytest.mark.parametrize(
    "text", ["os.replace(a, b)", "p.write_text('x')", "open(p, 'w')", 'p.open("ab")']
)
def test_the_rule_finds_changes(text):
    """T02: the rule about modules finds each way to change a file."""
    assert CHANGES.search(text)
    assert credentials.__file__ == str(STATE / "credentials.py")
