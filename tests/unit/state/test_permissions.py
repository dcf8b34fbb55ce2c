"""Rights of others on what the service keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import InsecurePermissions
from vllm_pkg.state.permissions import tighten_modes

FILES = ("store_file", "secrets_file", "credentials_file")


def _make(tmp_path, **variables):
    settings = make_settings(tmp_path, **variables)
    for folder in (settings.run_dir, settings.logs_dir, settings.public):
        folder.mkdir(parents=True)
    for folder in (settings.main, settings.run_dir, settings.logs_dir, settings.public):
        folder.chmod(0o777)
    for name in FILES:
        getattr(settings, name).touch()
        getattr(settings, name).chmod(0o666)
    return settings


def _mode(path):
    return path.stat().st_mode & 0o777


def test_loose_modes_are_repaired(tmp_path):
    """Whatever others could read or write is taken from them."""
    settings = _make(tmp_path)

    tighten_modes(settings)

    assert [_mode(getattr(settings, name)) for name in FILES] == [0o600] * 3
    folders = (settings.main, settings.run_dir, settings.logs_dir, settings.public)
    assert [_mode(folder) for folder in folders] == [0o700] * 4


def test_under_startos_dependents_read_the_key(tmp_path):
    """There the key file stays readable, not writable, and folders are the host's."""
    settings = _make(tmp_path, VLLM_PKG_PROFILE="startos")

    tighten_modes(settings)

    assert [_mode(getattr(settings, name)) for name in FILES] == [0o600, 0o600, 0o644]
    assert _mode(settings.main) == 0o777


def test_stricter_modes_and_missing_files_are_left_alone(tmp_path):
    """What is private enough, or absent, is not touched."""
    settings = _make(tmp_path)
    settings.store_file.chmod(0o400)
    settings.secrets_file.unlink()

    tighten_modes(settings)

    assert _mode(settings.store_file) == 0o400
    assert not settings.secrets_file.exists()


def test_what_cannot_be_repaired_is_refused(tmp_path, monkeypatch):
    """A secret of somebody else's that others can read stops the start."""
    settings = _make(tmp_path)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)

    with pytest.raises(InsecurePermissions, match="Operation not") as found:
        tighten_modes(settings)
    assert found.value.exit_code == 77
    assert "chmod 600" in found.value.hint
