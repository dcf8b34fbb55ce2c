"""The portal with a page that opens dialogs, in place of the one of all other tests."""

from __future__ import annotations

import pytest


@pytest.fixture(name="portal")
def portal_fixture(dialog_portal):
    """A portal with a page that opens dialogs."""
    return dialog_portal


@pytest.fixture(name="settings")
def settings_fixture(dialog_portal):
    """Volumes of all tests with that portal."""
    return dialog_portal.settings
