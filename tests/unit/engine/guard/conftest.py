"""A guard for each test, set up and not yet set up."""

from __future__ import annotations

import pytest

from support.guarded import make_guarded


@pytest.fixture(name="fresh")
def fresh_fixture(tmp_path):
    """A service whose guard is not set up yet."""
    return make_guarded(tmp_path)


@pytest.fixture(name="service")
def service_fixture(fresh):
    """A service with its guard."""
    return fresh.start()
