"""A real browser over a real portal."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from support.portal_process import portal_process
from support.settings_factory import make_settings
from support.tools import require

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 20_000
TIMEOUT_S = 180


def pytest_collection_modifyitems(items):
    """Mark what stands here."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            # A portal and a browser may start first, on a machine with much to do.
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="module", name="chromium")
def chromium_fixture():
    """Debian's Chromium; its event loop must end before tests that run their own."""
    require(CHROMIUM.exists(), f"{CHROMIUM} is not there")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings over empty volumes."""
    return make_settings(tmp_path)


@pytest.fixture(name="portal")
def portal_fixture(settings, tmp_path):
    """A portal over the volumes of the test."""
    with portal_process(settings, tmp_path) as running:
        yield running


@pytest.fixture(name="visit")
def visit_fixture(chromium, portal):
    """Opens a page of the portal in a browser of its own; see the arguments below."""
    contexts = []

    def visit(path="/", *, width=1280, height=900, **options):
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            **{"locale": "en-US", "base_url": portal.base_url} | options,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.request.get(portal.login_path)
        page = context.new_page()
        page.goto(path)
        page.wait_for_selector("main")
        return page

    yield visit
    for context in contexts:
        context.close()
