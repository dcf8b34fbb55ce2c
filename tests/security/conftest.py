"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from support.fake_host import make_fake_host


@pytest.fixture(name="host")
def host_fixture(tmp_path):
    """A host over a fake engine, with a model selected; ended whatever happens."""
    host = make_fake_host(tmp_path)
    host.select_model()
    yield host
    host.destroy()
