"""T08: data of each released version is taken over, at once or after any kill."""

from __future__ import annotations

import json

import pytest

from support.crash.scenarios import PUBLISHED, state_files
from support.crash.sweep import Order, run_sweep
from support.guarantees.plugin import is_long
from support.settings_factory import make_settings
from support.tools import require_tool
from vllm_pkg.engine import daemon
from vllm_pkg.state import atomic
from vllm_pkg.state.credentials import load_key
from vllm_pkg.state.store import ModelSelection, update_store

OLD_KEY = "aB3dE5gH7jK9mN1pQ3sT5v"
NEW_KEY = "Zy9xW7vU5tS3rQ1pO2nM4l"
STORES = {
    # File: the key that is in force after the update; None: a new one.
    "preset.json": None,
    "custom.json": None,
    "wrong-selection.json": None,
    "wrong-custom.json": None,
    "old-key.json": OLD_KEY,
    "old-key-only.json": OLD_KEY,
}
MIGRATIONS = ("migrate", "old-key", "old-key-only", "old-key-wrong-env")
NEWER = {"schema": 99, "serveArgs": ["a/b"], "engines": [{"id": 1}], "apiKeys": {}}


def install(folder, store, has_credentials):
    """Lay the files of a released version into the volumes."""
    settings = make_settings(folder, VLLM_PKG_PROFILE="startos")
    for path in (settings.main, settings.public):
        atomic.make_folder(path)
    settings.store_file.write_bytes(store)
    if has_credentials:
        key_file = PUBLISHED / "credentials.json"
        settings.credentials_file.write_bytes(key_file.read_bytes())
    return settings


def test_each_released_version_is_taken_over(tmp_path, guarantee):
    """T08: an update keeps key and fields, and a second start changes nothing."""
    wrong = []
    cases = [(name, has) for name in STORES for has in (False, True)]
    for number, (name, has_credentials) in enumerate(cases):
        original = (PUBLISHED / name).read_bytes()
        settings = install(tmp_path / str(number), original, has_credentials)
        key = daemon.prepare_state(settings)
        once = state_files(settings)
        again = daemon.prepare_state(settings)
        expected = NEW_KEY if has_credentials else STORES[name]
        if key != again or state_files(settings) != once:
            wrong.append(f"{name}: the second start changed something")
        if expected is not None and key != expected:
            wrong.append(f"{name}: the key is {key}")
        document = json.loads(original)
        document.pop("apiKey", None)
        if json.loads(once["main/store.json"]) != document:
            wrong.append(f"{name}: a field is lost")
    guarantee(
        "T08",
        "The state of each released version is taken over whole, and a second start "
        "changes no byte",
        tried=len(cases),
        violations=len(wrong),
        unit="sets of files",
    )
    assert wrong == []


@pytest.mark.timeout(900)
def test_a_kill_during_the_migration_loses_no_key(guarantee):
    """T08: killed at any call, the key is in one of both files, and stays the same."""
    require_tool("strace")
    found = run_sweep(Order(scenarios=MIGRATIONS, rounds=8 if is_long() else 1))
    guarantee(
        "T08",
        "Killed at any system call of a migration, the old key is never lost and never "
        "becomes another one",
        tried=found.points,
        violations=len(found.violations),
        unit="kills",
        control="a migration that drops the old key first: found",
    )
    assert found.violations == []
    assert found.points >= 100


def test_the_sweep_finds_a_key_dropped_first():
    """T08: a migration that drops the old key before the new file is there is found."""
    require_tool("strace")
    found = run_sweep(Order(scenarios=("old-key",), mutant="drop-first"))
    assert any("no file has the key" in text for text in found.lost)


def test_data_of_a_newer_version_is_kept(tmp_path, guarantee):
    """T08: what a newer version wrote survives a start and a change of the model."""
    settings = install(tmp_path, json.dumps(NEWER).encode(), has_credentials=True)
    daemon.prepare_state(settings)
    update_store(settings, lambda s: s.with_model(("c/d",), (), ModelSelection("p")))
    document = json.loads(settings.store_file.read_bytes())
    selected = {"serveArgs": ["c/d"], "modelSelection": {"selection": "p"}}
    guarantee(
        "T08",
        "Fields of a newer version survive a start and Set Model",
        tried=1,
        violations=int(document != NEWER | selected),
        unit="documents",
    )
    assert document == NEWER | selected
    assert load_key(settings) == NEW_KEY
