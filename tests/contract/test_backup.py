"""Backups: a round trip, and everything that is refused before anything is touched."""

from __future__ import annotations

import json
import os
import stat
import tarfile
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from support.backup_fixtures import archive_fixture, state_settings_fixture
from support.backups import (
    KEY,
    OTHER_KEY,
    WEIGHTS,
    old_archive,
    state_of,
    tree_of,
    write_models,
    write_state,
)
from support.hub_cache import write_cached_model
from support.model_cache import share_blob
from support.settings_factory import make_settings
from vllm_pkg.errors import (
    CacheError,
    ConfigError,
    InvalidArgument,
    StateCorrupt,
    StateLocked,
)
from vllm_pkg.models.cache import list_cached
from vllm_pkg.service.backup import writing
from vllm_pkg.service.backup.restoring import restore_backup, verify_backup
from vllm_pkg.service.backup.writing import backup_name, create_backup
from vllm_pkg.state.credentials import load_key
from vllm_pkg.state.store import load_store

__all__ = ["archive_fixture", "state_settings_fixture"]

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner),
    max_leaves=5,
)
STORES = st.fixed_dictionaries(
    {},
    optional={
        "serveArgs": st.lists(WORDS, max_size=4),
        "serveEnv": st.lists(
            st.fixed_dictionaries({"name": WORDS, "value": WORDS}), max_size=3
        ),
        "modelSelection": VALUES,
        "newer": VALUES,
    },
)


def test_a_state_comes_back(tmp_path, state_settings):
    """What was there at the backup is there after the restore, byte by byte."""
    before = state_of(state_settings)
    path = tmp_path / backup_name(datetime.now(UTC))
    summary = create_backup(state_settings, path)
    present = write_state(state_settings, OTHER_KEY)
    state_settings.switch_file.write_text('{"current": null}')
    report = restore_backup(state_settings, path)

    assert state_of(state_settings) == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert summary.as_json() == report.as_json()["backup"]
    assert (summary.has_key, summary.named_keys, summary.has_hub_token) == (True, 1, 1)
    assert report.kept is not None
    kept = {item.name: item.read_bytes() for item in report.kept.iterdir()}
    assert kept.pop("switch.json") == b'{"current": null}'
    assert kept == {name.rpartition("/")[2]: data for name, data in present.items()}
    assert not state_settings.restore_journal_file.exists()


def test_a_state_comes_back_on_a_fresh_machine(tmp_path, archive):
    """Without any folder there is the state of the backup, and nothing kept."""
    fresh = make_settings(tmp_path / "fresh")
    report = restore_backup(fresh, archive)

    assert load_key(fresh) == KEY
    assert report.kept is None
    assert stat.S_IMODE(fresh.credentials_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(fresh.main.stat().st_mode) == 0o700


@example_settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STORES)
def test_any_state_comes_back(tmp_path, store):
    """Whatever a state holds, fields of newer programs too, comes back as it was."""
    settings = make_settings(tmp_path)
    before = write_state(settings)
    settings.store_file.write_text(json.dumps(store))
    before["main/store.json"] = settings.store_file.read_bytes()
    create_backup(settings, tmp_path / "a.tar")
    write_state(settings, OTHER_KEY)
    restore_backup(settings, tmp_path / "a.tar")

    assert state_of(settings) == before


def test_only_the_last_state_is_kept(tmp_path, state_settings, archive):
    """The second restore keeps what it replaces, and drops what the first kept."""
    first = restore_backup(state_settings, archive)
    write_state(state_settings, "x" * 22)
    second = restore_backup(state_settings, archive)
    kept = sorted(state_settings.main.glob("before-restore-*"))

    assert kept == [second.kept]
    assert first.kept != second.kept
    assert "x" * 22 in (kept[0] / "credentials.json").read_text()
    del tmp_path


def test_models_come_back_with_their_links(tmp_path, state_settings):
    """With models each file and each link is as before; without a backup they stay."""
    write_models(state_settings)
    share_blob(state_settings.models_dir / "models--org--name", WEIGHTS)
    path = tmp_path / "backup.tar"
    seen = []
    create_backup(
        state_settings,
        path,
        with_models=True,
        progress=lambda done, total: seen.append((done, total)),
    )
    fresh = make_settings(tmp_path / "fresh")
    write_cached_model(fresh.models_dir, "org/other")
    other = tree_of(fresh.models_dir)
    report = restore_backup(fresh, path)
    entries = {entry.key: entry for entry in list_cached(fresh)}
    restored = tree_of(fresh.models_dir)

    assert report.summary.models == ("org/name", "tiny")
    assert seen[-1][0] == seen[-1][1] == report.summary.size_bytes
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert entries["org/name"].is_partial is False
    assert len(entries["org/name"].revisions) == 2
    assert other.items() <= restored.items()
    repository = "models--org--name"
    assert restored[f"{repository}/snapshots/{'2' * 40}/1_Pooling/a.json"] == (
        "../../../blobs/"
        "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    )
    assert restored.keys() - other.keys() == {
        f"{repository}/{name}"
        for name in tree_of(state_settings.models_dir / repository)
    }
    assert tree_of(fresh.local_models_dir) == tree_of(state_settings.local_models_dir)


def test_a_model_that_is_replaced_is_kept(tmp_path, state_settings):
    """The model that stood in the place is moved aside and named."""
    write_models(state_settings)
    path = tmp_path / "backup.tar"
    create_backup(state_settings, path, with_models=True)
    repository = state_settings.models_dir / "models--org--name"
    (repository / "refs" / "main").write_text("2" * 40)
    before = tree_of(repository)
    report = restore_backup(state_settings, path)

    assert (repository / "refs" / "main").read_text() == "1" * 40
    models, local = report.kept_models
    assert tree_of(models / repository.name) == before
    assert (local / "tiny" / "model.safetensors").read_bytes() == b"tiny"
    assert report.kept_model_bytes >= 300_000
    assert [entry.key for entry in list_cached(state_settings)] == ["org/name"]

    second = restore_backup(state_settings, path)
    assert not models.exists()
    assert len(second.kept_models) == 2


def test_a_download_that_has_not_ended_is_left_out(tmp_path, state_settings):
    """Of a model that is arriving only what is whole goes into a backup."""
    write_models(state_settings)
    repository = state_settings.models_dir / "models--org--name"
    (repository / "blobs" / f"{'a' * 64}.incomplete").write_bytes(b"half")
    own = repository / ".vllm-pkg"
    own.mkdir()
    (own / f"{'a' * 64}.synced").write_text("1")
    (own / f"{'1' * 40}.json").write_text("{}")
    (repository / "snapshots" / ("1" * 40) / "late").symlink_to(
        f"../../blobs/{'a' * 64}"
    )
    path = tmp_path / "backup.tar"
    create_backup(state_settings, path, with_models=True)
    with tarfile.open(path) as tar:
        names = [name for name in tar.getnames() if "a" * 64 in name or "late" in name]
        own_files = [name for name in tar.getnames() if ".vllm-pkg" in name]

    assert names == []
    assert own_files == [f"main/models/models--org--name/.vllm-pkg/{'1' * 40}.json"]
    verify_backup(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda blob: blob.write_bytes(WEIGHTS[:-1] + b"x"), "is damaged, or"),
        (lambda blob: blob.chmod(0), "cannot read"),
    ],
)
def test_a_damaged_model_makes_no_backup(
    tmp_path, state_settings, monkeypatch, change, message
):
    """Content that is not what its name promises is told, and no file is left."""
    write_models(state_settings)
    blobs = state_settings.models_dir / "models--org--name" / "blobs"
    blob = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    change(blob)
    if not blob.stat().st_mode & 0o777:
        monkeypatch.setattr(writing, "quiet_stream", _refuse)
    with pytest.raises(CacheError, match=message):
        create_backup(state_settings, tmp_path / "backup.tar", with_models=True)

    assert not (tmp_path / "backup.tar").exists()
    assert list(tmp_path.glob(".*.tmp")) == []


def _refuse(_):
    raise PermissionError(13, "no")


def test_a_damaged_state_makes_no_backup(tmp_path, state_settings):
    """A file that a start would set aside is named, and left where it is."""
    state_settings.secrets_file.write_text('{"keys": 1}')
    with pytest.raises(StateCorrupt, match=r"secrets\.json is damaged"):
        create_backup(state_settings, tmp_path / "backup.tar")

    assert state_settings.secrets_file.read_text() == '{"keys": 1}'
    assert not (tmp_path / "backup.tar").exists()


def test_without_a_state_there_is_no_backup(tmp_path):
    """Where nothing was ever started that is said."""
    with pytest.raises(ConfigError, match="there is no state in"):
        create_backup(make_settings(tmp_path), tmp_path / "backup.tar")


def test_a_device_is_not_replaced(state_settings, tmp_path):
    """Only a file can be the target: renaming over a device would remove it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidArgument, match="is not a file"):
        create_backup(state_settings, tmp_path / "pipe")


def test_the_state_is_of_one_moment(state_settings, tmp_path):
    """Whoever changes the state is waited for; a restore in between is told."""
    state_settings.restore_journal_file.write_text("{}")
    with pytest.raises(StateLocked, match="a restore of a backup is not finished"):
        create_backup(state_settings, tmp_path / "backup.tar")


@pytest.mark.parametrize("store", ["old-key.json", "old-key-only.json"])
def test_a_backup_of_the_previous_schema_is_taken_over(tmp_path, store):
    """The key that stood in store.json is the key afterwards; other fields stay."""
    settings = make_settings(tmp_path)
    write_state(settings, OTHER_KEY)
    path = old_archive(tmp_path / "old.tar", store)
    old = json.loads((tmp_path / "old.tar").read_bytes()[512:].partition(b"\0")[0])
    report = restore_backup(settings, path)

    assert old["schema"] == report.summary.schema == 1
    assert load_key(settings) == KEY
    assert "apiKey" not in load_store(settings).document
    assert not settings.secrets_file.exists()
    assert report.summary.has_key
