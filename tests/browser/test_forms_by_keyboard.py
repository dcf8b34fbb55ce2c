"""A form with every type of field is filled in a real browser, by keyboard only."""

from __future__ import annotations

from playwright.sync_api import expect

from support.form_driver import (
    checked_json,
    focused,
    gallery_fixture,
    press_at,
    tab_to,
    type_into,
)
from support.forms_portal import portal_fixture, settings_fixture

__all__ = ["gallery_fixture", "portal_fixture", "settings_fixture"]


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
