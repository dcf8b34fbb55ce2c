"""What the tests of the portal share."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture
def run():
    """Return what runs a coroutine to its end."""
    return asyncio.run
