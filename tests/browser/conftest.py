"""A real browser over a real portal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from support.portal_process import portal_process
from support.settings_factory import make_settings
from support.tools import require
from vllm_pkg.state import atomic
from vllm_pkg.state.portal_token import ensure_portal_token

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 60_000
TIMEOUT_S = 300


def pytest_collection_modifyitems(items):
    """Mark what stands here."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            # A portal and a browser may start first, on a machine with much to do.
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="package", name="chromium")
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


@pytest.fixture(scope="package", name="portal")
def portal_fixture(tmp_path_factory):
    """A portal that runs for all tests, over volumes that each one empties."""
    folder = tmp_path_factory.mktemp("portal")
    with portal_process(make_settings(folder), folder) as running:
        yield running


@pytest.fixture(scope="package", name="dialog_portal")
def dialog_portal_fixture(tmp_path_factory):
    """A portal with a page that opens dialogs, over volumes of its own."""
    folder = tmp_path_factory.mktemp("dialogs")
    with portal_process(
        make_settings(folder),
        folder,
        module="support.dialog_portal",
        PYTHONPATH="tests",
    ) as running:
        yield running


@pytest.fixture(name="settings")
def settings_fixture(portal):
    """Settings over the volumes of the portal, which are as at the first start."""
    settings = portal.settings
    shutil.rmtree(settings.public, ignore_errors=True)
    for path in settings.main.iterdir():
        # Without the token the portal would make a new one at once.
        if path == settings.secrets_file:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    kept = {"portalToken": ensure_portal_token(settings)}
    atomic.write_file(settings.secrets_file, json.dumps(kept).encode())
    return settings


@pytest.fixture(name="visit")
def visit_fixture(chromium, portal, settings):  # noqa: ARG001  # emptied before
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
