"""What tests of forms do in a browser: go by keyboard, and ask axe-core."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

TABS_MAX = 80
SERIOUS = {"serious", "critical"}


@pytest.fixture(name="gallery")
def gallery_fixture(visit):
    """The gallery, freshly opened."""
    page = visit("/gallery")
    expect(page.get_by_role("button", name="Check")).to_be_enabled()
    return page


def checked_json(page):
    """Return what the gallery shows that an action would be given."""
    shown = page.locator("[data-checked]")
    shown.wait_for()
    return json.loads(shown.inner_text())


def tab_to(page, role, name, *, exact=True):
    """Press Tab until that control has the focus, and return it."""
    control = page.get_by_role(role, name=name, exact=exact)
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if control.evaluate("item => item === document.activeElement"):
            return control
    raise AssertionError(f"the keyboard does not reach {role} {name}")


def type_into(page, name, text):
    """Go to a text field by keyboard, and type over what is in it."""
    control = tab_to(page, "textbox", name)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)
    return control


def press_at(page, name, key="Enter"):
    """Go to a button by keyboard and press it."""
    tab_to(page, "button", name)
    page.keyboard.press(key)


def focused(control):
    """Expect that a control has the focus."""
    expect(control).to_be_focused()


def serious_issues(page):
    """Return the rules that axe-core finds broken seriously."""
    violations = Axe().run(page).response["violations"]
    return [item["id"] for item in violations if item["impact"] in SERIOUS]
