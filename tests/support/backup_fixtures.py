"""An instance that has a state, and a backup of another one."""

from __future__ import annotations

import pytest

from support.backups import OTHER_KEY, write_state
from support.settings_factory import make_settings
from vllm_pkg.service.backup.writing import create_backup


@pytest.fixture(name="state_settings")
def state_settings_fixture(tmp_path):
    """Settings of an instance that has a state."""
    settings = make_settings(tmp_path / "here")
    write_state(settings)
    return settings


@pytest.fixture(name="archive")
def archive_fixture(tmp_path, state_settings):
    """A backup of another state than the present one."""
    path = tmp_path / "backup.tar"
    create_backup(state_settings, path)
    write_state(state_settings, OTHER_KEY)
    return path
