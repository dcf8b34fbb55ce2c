"""The state of the service changes under the eyes of who looks at a page."""

from __future__ import annotations

import pytest

from support.portal_states import make_scene


@pytest.fixture(name="scene", autouse=True)
def scene_fixture(settings):
    """A service over the volumes of the test, with a key and no model."""
    return make_scene(settings)
