"""One portal for the tests of all pages: its state changes under their eyes."""

from __future__ import annotations

import shutil

import pytest

from support.portal_process import portal_process
from support.portal_states import make_scene
from support.settings_factory import make_settings


@pytest.fixture(scope="session", name="portal")
def portal_fixture(tmp_path_factory):
    """A portal that runs for all tests, over volumes that each one empties."""
    folder = tmp_path_factory.mktemp("pages")
    with portal_process(make_settings(folder), folder) as running:
        yield running


@pytest.fixture(name="settings")
def settings_fixture(portal):
    """Settings over the volumes of that portal, emptied but for its token."""
    settings = portal.settings
    shutil.rmtree(settings.public, ignore_errors=True)
    for path in settings.main.iterdir():
        # Without it the portal would make a new token at once.
        if path == settings.secrets_file:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    return settings


@pytest.fixture(name="scene", autouse=True)
def scene_fixture(settings):
    """A service over the volumes of the test, with a key and no model."""
    return make_scene(settings)
