"""Keys: what is added here works, and what is revoked here does not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from vllm_pkg.engine.guard.key_list import list_keys
from vllm_pkg.state.credentials import ensure_key, load_key
from vllm_pkg.state.secrets import hash_key, load_secrets

SERIOUS = {"serious", "critical"}
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(name="key")
def key_fixture(settings):
    """The primary key, made before the portal starts."""
    return ensure_key(settings)


@pytest.fixture(name="visit")
def visit_fixture(key, visit):
    """Opens a page of a portal that has a key."""
    assert key
    return visit


def _region(page, name):
    return page.get_by_role("region", name=name)


def _add(page, name):
    page.get_by_role("button", name="Add key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Name").press("Enter")
    return dialog


def test_the_primary_key_is_shown_only_when_asked_for(visit, key):
    """The page does not hold it before; a click shows it, and another hides it."""
    page = visit("/keys")
    expect(page.locator(".vp-headline")).to_have_text(
        "Only the primary key can use the API."
    )
    assert key not in page.content()

    page.get_by_role("button", name="Show").first.click()
    expect(_region(page, "Primary key")).to_contain_text(key)

    page.get_by_role("button", name="Hide").first.click()
    expect(_region(page, "Primary key")).not_to_contain_text(key)


def test_a_key_that_is_added_works_and_is_shown_once(visit, settings):
    """The state has the hash of what was shown; a reload does not show it again."""
    page = visit("/keys")

    dialog = _add(page, "laptop")
    dialog.get_by_role("button", name="Show").first.click()
    entry = _wait_for_key(page, settings, "laptop")
    shown = dialog.inner_text().split()
    assert [word for word in shown if hash_key(word) == entry.hash] != []

    page.reload()
    named = _region(page, "Named keys")
    expect(named).to_contain_text("laptop")
    expect(page.locator(".vp-headline")).to_contain_text("1 named key")
    assert not any(hash_key(word) == entry.hash for word in page.content().split('"'))


def test_a_key_that_is_revoked_is_refused(visit, settings):
    """The form begins with the key that was clicked, and the state forgets nothing."""
    page = visit("/keys")
    dialog = _add(page, "phone")
    _wait_for_key(page, settings, "phone")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    page.get_by_role("button", name="Revoke the key phone").click()
    page.get_by_role("dialog").locator(".vp-primary, .vp-danger").first.click()

    expect(_region(page, "Named keys")).to_contain_text("Keys that have ended")
    (phone,) = [
        entry
        for entry in list_keys(settings, datetime.now(UTC))
        if entry.name == "phone"
    ]
    assert phone.state == "revoked"


def test_the_primary_key_is_rotated(visit, settings, key):
    """Another one is in force afterwards."""
    page = visit("/keys")

    page.get_by_role("button", name="Rotate key").click()
    dialog = page.get_by_role("dialog")
    dialog.locator(".vp-primary").click()

    expect(dialog).to_contain_text("This key is in force now")
    assert load_key(settings) not in {None, key}


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_use_it(visit, width, color_scheme):
    """axe-core finds nothing serious, and nothing is wider than the screen."""
    page = visit("/keys", width=width, color_scheme=color_scheme)
    expect(_region(page, "Named keys")).to_be_visible()

    found = Axe().run(page).response["violations"]

    assert [item["id"] for item in found if item["impact"] in SERIOUS] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def _wait_for_key(page, settings, name):
    """Wait until the page lists a key, and return what the state says of it."""
    expect(_region(page, "Named keys")).to_contain_text(name, timeout=20_000)
    return next(entry for entry in load_secrets(settings).keys if entry.name == name)
