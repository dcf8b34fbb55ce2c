"""Forms in a real browser: wrong inputs, reasons, warnings, and how they are heard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from support.form_driver import (
    checked_json,
    focused,
    gallery_fixture,
    serious_issues,
    type_into,
)
from support.forms_portal import portal_fixture, settings_fixture

__all__ = ["gallery_fixture", "portal_fixture", "settings_fixture"]


WRONG = {
    "Text": ("Capital", "Expected small letters, got 'Capital'."),
    "Share of memory": ("lots", "Expected a number, got 'lots'."),
    "Days (optional) days": ("1.5", "Expected a whole number, got 1.5."),
    "Words, entry 1": ("A1", "Expected small letters, got 'A1'."),
    "Colour": ("green", "Expected a colour such as #ff8800, got 'green'."),
}
EMPTY = {"Secret": "This is needed. Fill it in.", "City": "This is needed. Fill it in."}


def test_each_wrong_input_shows_its_error_at_its_field(gallery):
    """Nothing typed is lost, the first wrong field has the focus, and what is mended
    is no longer called wrong."""
    for name, (typed, _) in WRONG.items():
        type_into(gallery, name, typed)
    gallery.keyboard.press("Enter")

    fields = {
        name: gallery.get_by_role("textbox", name=name, exact=True) for name in WRONG
    }
    focused(fields["Text"])
    for name, (typed, error) in WRONG.items():
        expect(fields[name]).to_have_value(typed)
        expect(fields[name]).to_have_attribute("aria-invalid", "true")
        expect(fields[name]).to_have_accessible_description(
            re.compile(re.escape(error))
        )
    for name, error in EMPTY.items():
        field = gallery.get_by_role("textbox", name=name, exact=True)
        expect(field).to_have_accessible_description(re.compile(re.escape(error)))
    choice = gallery.get_by_role("radiogroup", name="Colour name")
    expect(choice).to_have_accessible_description("This is needed. Choose one.")
    several = gallery.get_by_role("group", name="Several colours")
    expect(several).to_have_accessible_description(re.compile("Expected at least 1"))
    expect(gallery.get_by_role("alert").first).to_contain_text("the first is Text.")
    expect(gallery.get_by_text("Nothing on this page is saved")).to_be_visible()
    expect(gallery.locator("[data-checked]")).to_have_count(0)

    gallery.keyboard.press("Control+A")
    gallery.keyboard.type("word")
    expect(fields["Text"]).not_to_have_attribute("aria-invalid", "true")
    expect(gallery.get_by_text("Expected small letters, got 'Capital'.")).to_have_count(
        0
    )
    expect(gallery.get_by_text("A word of two to eight small letters")).to_be_visible()
    expect(fields["Colour"]).to_have_attribute("aria-invalid", "true")


def test_the_same_entry_twice_is_shown_at_the_later_one(gallery):
    """The entry is unfolded, and is right as soon as the other one is changed."""
    add = gallery.get_by_role("button", name="Add an entry: Variables")
    for _ in range(2):
        add.click()
        name = gallery.get_by_role("textbox", name="Name", exact=True).last
        focused(name)
        gallery.keyboard.type("same")
    titles = gallery.get_by_role("button", name="same", exact=True)
    expect(titles).to_have_count(2)
    title = titles.last
    title.click()
    expect(title).to_have_attribute("aria-expanded", "false")
    fill_required(gallery)
    gallery.get_by_role("button", name="Check").click()

    error = gallery.get_by_text("This is the same as entry 1.")
    expect(error).to_be_visible()
    expect(title).to_have_attribute("aria-expanded", "true")
    focused(gallery.get_by_role("textbox", name="Name", exact=True).last)
    gallery.get_by_role("textbox", name="Name", exact=True).first.fill("other")
    expect(error).to_be_hidden()


def fill_required(page):
    """Fill in what the gallery needs, the quick way."""
    for name, text in {
        "Text": "word",
        "Secret": "x",
        "Share of memory": "0.5",
        "City": "Warsaw",
        "Day": "2026-03-15",
    }.items():
        page.get_by_role("textbox", name=name, exact=True).fill(text)
    page.get_by_role("radio", name="Red").check()
    page.get_by_role("checkbox", name="Red").check()


def test_half_a_date_is_no_date(gallery):
    """What the browser keeps to itself is not taken for nothing."""
    fill_required(gallery)
    time = gallery.get_by_role("textbox", name="Time of day (optional)")
    time.focus()
    gallery.keyboard.type("05")
    gallery.keyboard.press("Enter")

    expect(time).to_have_accessible_description(re.compile("This is not complete."))
    focused(time)
    # The cursor stands where it was: after the hours.
    gallery.keyboard.type("45PM")
    gallery.keyboard.press("Enter")
    assert checked_json(gallery)["time"] == "17:45"


def test_what_cannot_be_chosen_stays_visible_and_says_why(gallery):
    """Options and fields that are off cannot be used, and the reason is there."""
    for role, name in (
        ("radio", "Blue - sold out"),
        ("checkbox", "Blue - sold out"),
        ("radio", "Big - needs 3.1 GiB more memory"),
    ):
        option = gallery.get_by_role(role, name=name)
        expect(option).to_be_visible()
        expect(option).to_be_disabled()
        option.click(force=True)
        expect(option).not_to_be_checked()
    last = gallery.get_by_role("option", name="Choice 31 - needs 9.0 GiB more memory")
    expect(last).to_be_disabled()
    for name, reason in {
        "Fixed": "This cannot be changed any more.",
        "Not now (optional)": "The service is being switched to another model.",
    }.items():
        field = gallery.get_by_role("textbox", name=name, exact=True)
        expect(field).to_be_disabled()
        expect(field).to_have_accessible_description(reason)
        expect(gallery.get_by_text(reason)).to_be_visible()


def test_a_warning_that_is_declined_changes_nothing(gallery):
    """Going back takes the change back, whatever kind of field it is."""
    fill_required(gallery)
    switch = gallery.get_by_role("switch", name="With a warning")
    switch.click()
    gallery.get_by_role("button", name="Go back").click()
    expect(gallery.get_by_role("alertdialog")).to_be_hidden()
    expect(switch).not_to_be_checked()

    text = gallery.get_by_role("textbox", name="Name with a warning")
    text.fill("second")
    text.blur()
    gallery.get_by_role("alertdialog").wait_for()
    gallery.keyboard.press("Escape")
    expect(gallery.get_by_role("alertdialog")).to_be_hidden()
    expect(text).to_have_value("first")
    gallery.get_by_role("button", name="Check").click()
    value = checked_json(gallery)
    assert (value["warned"], value["warnedText"]) == (False, "first")


def test_another_variant_keeps_what_was_typed(gallery):
    """Looking at another variant costs nothing."""
    gallery.get_by_role("radio", name="Some").check()
    gallery.get_by_role("textbox", name="Count").fill("3")
    gallery.get_by_role("radio", name="None").check()
    expect(gallery.get_by_role("textbox", name="Count")).to_be_hidden()
    gallery.get_by_role("radio", name="Some").check()

    expect(gallery.get_by_role("textbox", name="Count")).to_have_value("3")


def test_a_secret_is_shown_on_request_and_made_at_random(gallery):
    """The dice fill it by the rule, and the eye shows it and hides it again."""
    secret = gallery.get_by_role("textbox", name="Secret")
    gallery.get_by_role("button", name="Make a random value").click()

    expect(secret).to_have_value(re.compile("^[A-Za-z0-9]{22}$"))
    expect(secret).to_have_attribute("type", "password")
    gallery.get_by_role("button", name="Show what is typed").click()
    expect(secret).to_have_attribute("type", "text")
    gallery.get_by_role("button", name="Hide what is typed").click()
    expect(secret).to_have_attribute("type", "password")


def test_a_file_of_another_kind_is_refused_at_its_field(gallery, tmp_path):
    """The field says what it takes; a right file replaces the complaint."""
    wrong, right = tmp_path / "a.txt", tmp_path / "a.pem"
    for path in (wrong, right):
        path.write_bytes(b"-" * 1024)
    button = gallery.get_by_role("button", name="Choose a file for Certificate")
    for path in (wrong, right):
        with gallery.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files(path)
        if path is wrong:
            expect(gallery.get_by_text("or of another kind.").first).to_be_visible()

    expect(gallery.get_by_text("a.pem, 1 KiB")).to_be_visible()
    expect(gallery.locator(".form-error:visible")).to_have_count(0)
    gallery.get_by_role("button", name="Remove a.pem").click()
    focused(gallery.get_by_role("button", name="Choose a file for Certificate"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, scheme):
    """Neither in a fresh gallery nor in one full of errors, in either theme; and it
    does find what is wrong on purpose."""
    page = visit("/gallery", color_scheme=scheme)
    page.get_by_role("radio", name="Some").check()
    page.get_by_role("button", name="Add an entry: Variables").click()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert").first).to_contain_text("fields are not right")

    assert serious_issues(page) == []
    page.evaluate(
        "document.querySelector('[aria-labelledby]').ariaLabelledByElements = []"
    )
    page.evaluate(
        "document.querySelectorAll('input').forEach((item) => {"
        "item.removeAttribute('aria-labelledby');"
        "item.closest('.form-field')?.querySelectorAll('label').forEach("
        "(label) => label.removeAttribute('for')) })"
    )
    assert "label" in serious_issues(page)


def test_a_phone_needs_no_sideways_scrolling(visit):
    """At 360 pixels everything has room, nested fields and errors too."""
    page = visit("/gallery", width=360, height=740)
    page.get_by_role("radio", name="Some").check()
    page.get_by_role("radio", name="Named").check()
    page.get_by_role("button", name="Add an entry: Variables").click()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert").first).to_contain_text("fields are not right")

    assert page.evaluate("document.documentElement.scrollWidth") == 360
