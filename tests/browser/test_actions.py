"""Actions in a real browser: on pages of their own and as dialogs over others."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from support.form_driver import focused, press_at, serious_issues
from support.forms_portal import portal_fixture, settings_fixture

__all__ = ["portal_fixture", "settings_fixture"]


def test_an_action_runs_from_its_page(visit, portal):
    """Its form is checked, its answer is shown, and its secret is not in the page until
    somebody asks."""
    page = visit("/actions/add-api-key")
    name = page.get_by_role("textbox", name="Name")
    focused(name)
    page.keyboard.type("not a name!")
    page.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_have_value("not a name!")
    page.keyboard.press("Control+A")
    page.keyboard.type("desk")
    page.keyboard.press("Enter")

    heading = page.get_by_role("heading", name="API Key Added")
    focused(heading)
    assert not re.search("[A-Za-z0-9]{22}", page.locator(".vp-main").inner_html())
    page.context.grant_permissions(
        ["clipboard-read", "clipboard-write"], origin=portal.base_url
    )
    page.get_by_role("button", name="Copy: API Key Added").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    page.get_by_role("button", name="Show: API Key Added").click()
    shown = page.locator(".vp-copy-value")
    expect(shown).to_have_text(re.compile("[A-Za-z0-9]{22}"))
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == shown.inner_text()


def test_what_an_action_refuses_is_shown_and_nothing_is_lost(visit):
    """An error that belongs to no field stands above the buttons."""
    for _ in range(2):
        page = visit("/actions/add-api-key")
        name = page.get_by_role("textbox", name="Name")
        name.fill("twice")
        page.keyboard.press("Enter")
    alert = page.get_by_role("alert").filter(has_text="twice")

    expect(alert).to_be_visible()
    expect(name).to_have_value("twice")
    button = page.get_by_role("button", name="Add API Key")
    expect(button).to_be_enabled()
    focused(button)


def test_an_unknown_action_is_not_found(visit):
    """The page says so, and so does its status."""
    page = visit("/actions/add-api-kee")

    expect(page.get_by_text("Did you mean add-api-key?")).to_be_visible()
    assert page.request.get("/actions/add-api-kee").status == 404


def test_a_dialog_opens_prefilled_over_a_page(visit):
    """It is named, has the focus in it, and the page learns of the result."""
    page = visit("/dialogs")
    opener = page.get_by_role("button", name="Add a key")
    opener.press("Enter")
    dialog = page.get_by_role("dialog", name="Add API Key")
    name = dialog.get_by_role("textbox", name="Name")
    focused(name)
    expect(name).to_have_value("laptop")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Done: API Key Added")).to_be_visible()
    result = page.get_by_role("dialog", name="API Key Added")
    focused(result.get_by_role("heading", name="API Key Added"))
    # Axe takes what lies behind Quasar's dialogs for their background. The same buttons
    # stand on pages, where it measures them.
    assert set(serious_issues(page)) <= {"color-contrast"}
    page.get_by_role("button", name="Show: API Key Added").press("Enter")
    expect(result.locator(".vp-copy-value")).to_have_text(re.compile("^\\w{22}$"))
    page.keyboard.press("Escape")
    expect(result).to_be_hidden()
    focused(opener)


def test_escape_leaves_and_asks_when_something_was_changed(visit):
    """Escape asks once there is something to lose, and never while there is not."""
    page = visit("/dialogs")
    dialog = page.get_by_role("dialog", name="Add API Key")
    page.get_by_role("button", name="Add a key").click()
    name = dialog.get_by_role("textbox", name="Name")
    focused(name)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    page.get_by_role("button", name="Add a key").click()
    focused(name)
    page.keyboard.type("-2")
    page.keyboard.press("Escape")
    focused(page.get_by_role("button", name="Stay"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    expect(name).to_have_value("laptop-2")
    focused(name)
    page.keyboard.press("Escape")
    press_at(page, "Leave")
    expect(dialog).to_be_hidden()


def test_an_action_with_a_warning_asks_before_it_runs(visit):
    """Going back keeps the form; going ahead shows what came of it."""
    page = visit("/actions/add-api-key")
    page.get_by_role("textbox", name="Name").fill("short-lived")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="API Key Added")).to_be_visible()
    page.goto("/dialogs")
    page.get_by_role("button", name="Revoke a key").click()
    dialog = page.get_by_role("dialog", name="Revoke API Key")
    dialog.get_by_role("button", name="Revoke API Key").click()
    question = page.get_by_role("alertdialog", name="Revoke API Key: go ahead?")
    expect(question).to_have_accessible_description(
        "Clients that use the key are refused at once."
    )
    question.get_by_role("button", name="Go back").click()
    expect(question).to_be_hidden()
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Revoke API Key").click()
    question.get_by_role("button", name="Go ahead").click()

    expect(page.get_by_text("Done: ")).to_be_visible()


def test_models_that_do_not_fit_say_why(visit):
    """The form of Set Model shows every preset, and what those lack that are off."""
    page = visit("/dialogs")
    page.get_by_role("button", name="Set a model").click()
    dialog = page.get_by_role("dialog", name="Set Model")
    off = dialog.get_by_role("radio", disabled=True)

    expect(off.first).to_be_visible()
    names = off.evaluate_all("items => items.map((item) => item.labels[0].textContent)")
    assert names
    assert all(" - " in name for name in names)
    dialog.get_by_role("radio", name="Custom").check()
    arguments = dialog.get_by_role("textbox", name="Arguments of vllm serve")
    arguments.fill("org/name --prot 1")
    dialog.get_by_role("button", name="Set Model").click()
    page.get_by_role("button", name="Go ahead").click()
    expect(arguments).to_have_accessible_description(re.compile("--prot"))


def test_a_result_shows_groups_and_hides_secrets(visit):
    """Values of every kind: named, described, in groups, masked, with a QR code."""
    page = visit("/dialogs")

    expect(page.get_by_text("http://127.0.0.1:8000/v1")).to_be_visible()
    expect(page.get_by_role("heading", name="Inner")).to_be_visible()
    assert "hunter2-canary" not in page.content()
    expect(page.get_by_role("button", name="Copy: Secret")).to_have_count(0)
    page.get_by_role("button", name="Show: Secret").click()
    expect(page.get_by_text("hunter2-canary")).to_be_visible()
    page.get_by_role("button", name="QR code: Address").click()
    code = page.get_by_role("img", name="QR code: Address")
    expect(code.locator("svg")).to_be_visible()
