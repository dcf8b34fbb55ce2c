"""Pages follow the state while they are open, and no longer."""

from __future__ import annotations

import asyncio

import pytest
from nicegui import Client, core, ui

from support.settings_factory import make_settings
from vllm_pkg.portal.components.following import follow
from vllm_pkg.portal.context import Portal
from vllm_pkg.portal.feed import StateFeed


@pytest.fixture(name="states")
def states_fixture():
    """What the service is, changed by the test."""
    return [{"at": 0}]


@pytest.fixture(name="portal")
def portal_fixture(tmp_path, states):
    """A portal whose feed looks when the test says so."""
    settings = make_settings(tmp_path)
    return Portal(settings, StateFeed(settings, collect=lambda _: states[-1]))


async def _turn():
    """Let what waits on the loop run."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_page_follows_until_it_is_closed(portal, states):
    """It is told what is known, then each change, and nothing once it is gone."""
    seen: list[object] = []

    async def visit() -> None:
        core.loop = asyncio.get_running_loop()
        await portal.feed.look()
        with Client(ui.page("/followed")) as client:
            follow(portal, lambda look: seen.append(look.state))
            # At once, before anything is sent to the browser.
            assert seen == [{"at": 0}]
        await _turn()
        states.append({"at": 1})
        await portal.feed.look()
        await _turn()
        client.delete()
        await _turn()
        states.append({"at": 2})
        await portal.feed.look()
        await _turn()

    asyncio.run(visit())

    assert {"at": 2} not in seen
    assert seen[-1] == {"at": 1}
