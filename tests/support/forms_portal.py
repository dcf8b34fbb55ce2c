"""One portal for all tests of a module, with a page that opens dialogs."""

from __future__ import annotations

import pytest

from support.portal_process import portal_process
from support.settings_factory import make_settings


@pytest.fixture(scope="module", name="settings")
def settings_fixture(tmp_path_factory):
    """Volumes of all tests here."""
    return make_settings(tmp_path_factory.mktemp("volumes"))


@pytest.fixture(scope="module", name="portal")
def portal_fixture(settings, tmp_path_factory):
    """One portal for all tests here, with a page that opens dialogs."""
    folder = tmp_path_factory.mktemp("portal")
    with portal_process(
        settings, folder, module="support.dialog_portal", PYTHONPATH="tests"
    ) as running:
        yield running
