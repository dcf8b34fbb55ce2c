"""Keys: what is added here works, and what is revoked here does not."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from support.accessibility import barriers, overflow_px
from support.held_answers import HeldAnswers
from vllm_pkg.engine.guard.key_list import list_keys
from vllm_pkg.state.credentials import ensure_key, load_key
from vllm_pkg.state.keys import add_key, now_utc
from vllm_pkg.state.secrets import Role, hash_key, load_secrets


@pytest.fixture(name="settings")
def settings_fixture(settings):
    """A service that has a key."""
    ensure_key(settings)
    return settings


def _region(page, name):
    return page.get_by_role("region", name=name, exact=True)


def _add(page, name):
    page.get_by_role("button", name="Add key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Name").press("Enter")
    return dialog


def test_the_primary_key_is_shown_only_when_asked_for(visit, settings):
    """The page does not hold it before; a click shows it, and another hides it."""
    page = visit("/keys")
    expect(page.locator(".vp-headline")).to_contain_text("primary key")
    key = load_key(settings)
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
    expect(page.locator(".vp-headline")).to_contain_text("named key")
    assert not any(hash_key(word) == entry.hash for word in page.content().split('"'))


def test_escape_does_not_lose_a_key_that_is_shown_once(visit):
    """Pressed just before the key is shown it asks, and goes once somebody saw it."""
    page = visit("/keys")
    answers = HeldAnswers(page)
    page.get_by_role("button", name="Add key").click()
    dialog = page.get_by_role("dialog")
    name = dialog.get_by_label("Name")
    name.fill("tablet")
    answers.hold()
    name.press("Enter")
    answers.wait_for("API Key Added")
    name.press("Escape")
    answers.release("Leave without the key?")

    question = page.get_by_role("alertdialog", name="Leave without the key?")
    question.get_by_role("button", name="Stay").click()
    expect(question).to_be_hidden()
    dialog.get_by_role("button", name="Show").first.click()
    expect(dialog.locator(".vp-copy-value")).to_have_text(re.compile("^\\w{22}$"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_key_that_is_revoked_is_refused(visit, settings):
    """The form begins with the key that was clicked, and the state forgets nothing."""
    add_key(settings, "phone", Role.USER, None, now_utc())
    page = visit("/keys")

    page.get_by_role("button", name="Revoke the key phone").click()
    page.get_by_role("dialog").locator(".vp-primary").click()
    page.get_by_role("alertdialog").locator(".vp-primary").click()

    expect(_region(page, "Named keys")).to_contain_text("Keys that have ended")
    (phone,) = [
        entry
        for entry in list_keys(settings, datetime.now(UTC))
        if entry.name == "phone"
    ]
    assert phone.state == "revoked"


def test_the_primary_key_is_rotated(visit, settings):
    """Another one is in force afterwards."""
    page = visit("/keys")
    key = load_key(settings)

    page.get_by_role("button", name="Rotate key").click()
    dialog = page.get_by_role("dialog")
    dialog.locator(".vp-primary").click()
    page.get_by_role("alertdialog").locator(".vp-primary").click()

    expect(dialog).to_contain_text("This key is in force now")
    assert load_key(settings) not in {None, key}


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_use_it(visit, width, color_scheme):
    """axe-core finds no barrier, and nothing is wider than the screen."""
    page = visit("/keys", width=width, color_scheme=color_scheme)
    expect(_region(page, "Named keys")).to_be_visible()

    assert barriers(page) == []
    assert overflow_px(page) <= 0


def _wait_for_key(page, settings, name):
    """Wait until the page lists a key, and return what the state says of it."""
    expect(_region(page, "Named keys")).to_contain_text(name)
    return next(entry for entry in load_secrets(settings).keys if entry.name == name)


def test_a_barrier_is_found(visit):
    """The check of all pages is one that fails: here the buttons lose their names."""
    page = visit("/keys")
    expect(_region(page, "Named keys")).to_be_visible()

    page.evaluate(
        "document.querySelectorAll('button').forEach(button => {"
        " button.removeAttribute('aria-label'); button.textContent = ''; })"
    )

    assert any(line.startswith("button-name") for line in barriers(page))
