"""Forms in a real browser: by keyboard only, and read as they are heard."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from support.form_driver import (
    focused,
    press_at,
    serious_issues,
    tab_to,
    type_into,
)
from support.forms_portal import portal_fixture, settings_fixture

__all__ = ["portal_fixture", "settings_fixture"]


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


def fill_texts(page):
    """Fill in everything that is typed in one line or several."""
    type_into(page, "Text", "word")
    type_into(page, "Note (optional)", "me@example.org")
    secret = type_into(page, "Secret", "hunter2")
    expect(secret).to_have_attribute("type", "password")
    type_into(page, "Fresh", "ABC")
    type_into(page, "Several lines (optional)", "one\ntwo")
    type_into(page, "Share of memory", "0,85")
    type_into(page, "Days (optional) days", "30")


def fill_choices(page):
    """Choose something everywhere where something is chosen."""
    tab_to(page, "switch", "Switch")
    page.keyboard.press("Space")
    tab_to(page, "radio", "Not set")
    page.keyboard.press("ArrowLeft")
    focused(page.get_by_role("radio", name="No", exact=True))
    tab_to(page, "radio", "Red")
    # One further is Blue, which is sold out: the arrow comes round to the first.
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    focused(page.get_by_role("radio", name="Green"))
    tab_to(page, "combobox", "Many choices")
    page.keyboard.type("Choice 7")
    tab_to(page, "checkbox", "Green")
    page.keyboard.press("Space")


def fill_lists(page):
    """Add, move and remove entries."""
    words = page.get_by_role("list", name="Words")
    type_into(page, "Words, entry 1", "beta")
    press_at(page, "Add an entry: Words")
    focused(page.get_by_role("textbox", name="Words, entry 2"))
    page.keyboard.type("alpha")
    press_at(page, "Move up: Words, entry 2")
    expect(words.get_by_role("textbox").first).to_have_value("alpha")
    focused(page.get_by_role("button", name="Move up: Words, entry 1"))
    press_at(page, "Add an entry: Words")
    focused(page.get_by_role("textbox", name="Words, entry 3"))
    press_at(page, "Remove: Words, entry 3")
    expect(words.get_by_role("textbox")).to_have_count(2)
    for name in ("HF_TOKEN", "OTHER"):
        press_at(page, "Add an entry: Variables")
        focused(page.get_by_role("textbox", name="Name", exact=True).last)
        page.keyboard.type(name)
        page.keyboard.press("Tab")
        page.keyboard.type(f"of {name}")
    expect(page.get_by_role("button", name="OTHER", exact=True)).to_have_attribute(
        "aria-expanded", "true"
    )


def fill_nested(page):
    """Fill in the object, and the union down to its inner union."""
    type_into(page, "City", "Warsaw")
    tab_to(page, "switch", "Open to all")
    page.keyboard.press("Space")
    tab_to(page, "radio", "None")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("textbox", name="Count")).to_be_visible()
    type_into(page, "Count", "3")
    tab_to(page, "radio", "Plain")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("textbox", name="Inner label")).to_be_visible()
    type_into(page, "Inner label", "deep")


def fill_the_rest(page, certificate):
    """Fill in colour, times, file, and what asks before it is changed."""
    type_into(page, "Colour", "#00ff7f")
    tab_to(page, "textbox", "Day")
    page.keyboard.type("03152026")
    tab_to(page, "textbox", "Time of day (optional)")
    page.keyboard.type("0545PM")
    tab_to(page, "textbox", "Day and time (optional)")
    page.keyboard.type("03152026")
    page.keyboard.press("ArrowRight")
    page.keyboard.type("0630AM")
    tab_to(page, "button", "Choose a file for Certificate")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(certificate)
    expect(page.get_by_text("server.pem, 1 KiB")).to_be_visible()
    warned = tab_to(page, "switch", "With a warning")
    page.keyboard.press("Space")
    question = page.get_by_role("alertdialog", name="Change With a warning?")
    expect(question).to_have_accessible_description("Clients are refused meanwhile.")
    focused(question.get_by_role("button", name="Go back"))
    press_at(page, "Change it")
    expect(question).to_be_hidden()
    focused(warned)
    type_into(page, "Name with a warning", "second")
    page.keyboard.press("Enter")
    focused(page.get_by_role("button", name="Go back"))
    press_at(page, "Change it")


def test_every_type_is_filled_by_keyboard_only(gallery, tmp_path):
    """Without a mouse, every field takes a value, and the JSON is what was typed."""
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(b"-" * 1024)

    fill_texts(gallery)
    fill_choices(gallery)
    fill_lists(gallery)
    fill_nested(gallery)
    fill_the_rest(gallery, certificate)

    value = checked_json(gallery)
    file = value.pop("file")
    assert file["path"].endswith("/server.pem")
    assert file["commitment"]["size"] == 1024
    assert value == {
        "text": "word",
        "optionalText": "me@example.org",
        "secret": "hunter2",
        "fresh": "ABC",
        "textarea": "one\ntwo",
        "number": 0.85,
        "integer": 30,
        "toggle": True,
        "triState": False,
        "select": "green",
        "longSelect": "k7",
        "multiselect": ["green"],
        "texts": ["alpha", "beta"],
        "objects": [
            {"name": "HF_TOKEN", "value": "of HF_TOKEN"},
            {"name": "OTHER", "value": "of OTHER"},
        ],
        "object": {"city": "Warsaw", "inner": {"open": False}},
        "union": {
            "selection": "some",
            "value": {
                "count": 3,
                "deep": {"selection": "named", "value": {"label": "deep"}},
            },
        },
        "color": "#00ff7f",
        "date": "2026-03-15",
        "time": "17:45",
        "datetime": "2026-03-15T06:30",
        "hidden": {"a": 1},
        "warned": True,
        "warnedText": "second",
        "locked": "chosen before",
        "lockable": None,
        "disabled": None,
    }


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
    title = gallery.get_by_role("button", name="same", exact=True).last
    expect(title).to_have_text(re.compile("same"))
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
    gallery.keyboard.type("0545PM")
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
