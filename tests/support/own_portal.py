"""A portal for one test alone, in place of the one of all other tests."""

from __future__ import annotations

import pytest

from support.portal_process import portal_process
from support.settings_factory import make_settings


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings over empty volumes."""
    return make_settings(tmp_path)


@pytest.fixture(name="portal")
def portal_fixture(settings, tmp_path):
    """A portal over the volumes of the test."""
    with portal_process(settings, tmp_path) as running:
        yield running
