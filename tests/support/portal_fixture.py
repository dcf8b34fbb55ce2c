"""One real portal for all tests of a module."""

from __future__ import annotations

import pytest

from support.portal_server import PortalServer


@pytest.fixture(name="portal", scope="module")
def portal_fixture(tmp_path_factory):
    """A portal that runs."""
    with PortalServer(tmp_path_factory.mktemp("portal")) as portal:
        yield portal
