"""Backups that are refused before anything is touched."""

from __future__ import annotations

import os
import random
import tarfile
from collections import namedtuple

import pytest

from support.backup_fixtures import archive_fixture, state_settings_fixture
from support.backups import (
    OTHER_KEY,
    Archive,
    flipped,
    state_of,
    tree_of,
    with_state,
    write_models,
    write_state,
)
from vllm_pkg import __version__
from vllm_pkg.errors import ModelInUse, StateLocked, StateWriteFailed
from vllm_pkg.service.backup.errors import (
    BackupDamaged,
    BackupError,
    BackupNewer,
    BackupTooLarge,
)
from vllm_pkg.service.backup.reading import Drain, read_backup
from vllm_pkg.service.backup.restoring import restore_backup
from vllm_pkg.service.backup.writing import create_backup
from vllm_pkg.state import atomic, locks

__all__ = ["archive_fixture", "state_settings_fixture"]


@pytest.mark.parametrize(
    ("program", "changes"),
    [
        ("99.0", {}),
        (f"{__version__}.post1", {}),
        (__version__, {"format": 2}),
        (__version__, {"schema": 3}),
        (__version__, {"format": 7, "members": "another shape"}),
    ],
)
def test_a_newer_backup_is_refused(tmp_path, state_settings, program, changes):
    """What a newer program wrote is refused with what to do, and nothing changes."""
    before = state_of(state_settings)
    archive = with_state(Archive(program, changes), before)
    with pytest.raises(BackupNewer, match="wrote the backup, and this is vllm-pkg"):
        restore_backup(state_settings, archive.write(tmp_path / "new.tar"))

    assert state_of(state_settings) == before


def test_every_flipped_bit_is_refused_or_harmless(
    tmp_path, state_settings, archive, guarantee
):
    """T28: one changed bit anywhere is refused, or changes nothing of the content."""
    data = archive.read_bytes()
    _, state = _read(archive)
    source = random.Random(1)  # noqa: S311
    headers = [place for place in range(len(data)) if place % 10240 < 1536]
    places = sorted({*source.sample(range(len(data)), 400), *headers[::3]})
    refused, wrong = 0, []
    path = tmp_path / "flipped.tar"
    for place, changed in zip(places, flipped(data, places), strict=True):
        path.write_bytes(changed)
        try:
            found = _read(path)[1]
        except BackupError:
            refused += 1
        else:
            if found != state:
                wrong.append(place)
    guarantee(
        "T28",
        "A backup with one changed bit is refused, or holds the same content",
        tried=len(places),
        violations=len(wrong),
        unit="bits",
        control="most of them are refused, those in the padding of tar are not",
    )

    assert wrong == []
    assert 200 < refused < len(places)
    del state_settings


def _read(path):
    return read_backup(path, __version__, Drain(), lambda *_: None)


def test_every_cut_archive_is_refused(tmp_path, state_settings, archive):
    """An archive that ends before all that it lists changes nothing."""
    data = archive.read_bytes()
    before = state_of(state_settings)
    with tarfile.open(archive) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + last.size
    path = tmp_path / "cut.tar"
    for size_bytes in (0, 1, 511, 512, 1024, 1500, end - 1, *range(1536, end, 97)):
        path.write_bytes(data[:size_bytes])
        with pytest.raises(BackupDamaged):
            restore_backup(state_settings, path)

    assert state_of(state_settings) == before


def test_what_cannot_be_read_is_told(tmp_path, state_settings):
    """A missing file and a folder are no backup, and nothing is left behind."""
    for path in (tmp_path / "missing.tar", tmp_path):
        with pytest.raises(BackupError, match="cannot read"):
            restore_backup(state_settings, path)

    assert state_of(state_settings)["public/credentials.json"]


def test_a_restore_needs_room(tmp_path, state_settings, monkeypatch):
    """Where the models would not fit, nothing is written."""
    write_models(state_settings)
    path = tmp_path / "backup.tar"
    create_backup(state_settings, path, with_models=True)
    before = tree_of(tmp_path / "here")
    sizes = namedtuple("sizes", "f_bavail f_frsize")  # noqa: PYI024
    monkeypatch.setattr(os, "statvfs", lambda _: sizes(200, 4096))
    with pytest.raises(BackupTooLarge, match="its models need 293"):
        restore_backup(state_settings, path)

    after = tree_of(tmp_path / "here")
    assert before.items() <= after.items()
    assert not list(state_settings.models_dir.glob(".restoring/*"))


def test_a_disk_that_fills_up_leaves_the_old_state(
    tmp_path, state_settings, monkeypatch
):
    """When a model cannot be written, what was staged is removed again."""
    write_models(state_settings)
    path = tmp_path / "backup.tar"
    create_backup(state_settings, path, with_models=True)
    before = write_state(state_settings, OTHER_KEY)

    def fail(*_):
        raise StateWriteFailed("cannot write it")

    monkeypatch.setattr(atomic, "make_link", fail)
    with pytest.raises(StateWriteFailed):
        restore_backup(state_settings, path)

    assert state_of(state_settings) == before
    assert not (state_settings.models_dir / ".restoring").exists()


def test_a_model_that_is_being_downloaded_is_not_replaced(tmp_path, state_settings):
    """Whoever fetches it would write into what has been moved aside."""
    write_models(state_settings)
    path = tmp_path / "backup.tar"
    create_backup(state_settings, path, with_models=True)
    lock = state_settings.models_dir / ".locks" / "models--org--name" / "a.lock"
    with (
        locks.locked(lock),
        pytest.raises(ModelInUse, match="is being downloaded"),
    ):
        restore_backup(state_settings, path)


def test_two_restores_do_not_mix(state_settings, archive):
    """While one restore runs, a second one is refused."""
    with (
        locks.locked(state_settings.restore_lock_file),
        pytest.raises(StateLocked, match="another restore of a backup is running"),
    ):
        restore_backup(state_settings, archive)
