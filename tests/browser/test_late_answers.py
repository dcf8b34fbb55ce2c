"""Forms whose answers come late: what was typed meanwhile is kept."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.form_driver import focused
from support.forms_portal import portal_fixture, settings_fixture
from support.held_answers import HeldAnswers
from support.waiting import wait_until
from vllm_pkg.state.secrets import load_secrets

__all__ = ["portal_fixture", "settings_fixture"]

ADD = "/actions/add-api-key"
# What is typed into every kind of field that is typed into.
TYPED = {
    "Text": "word",
    "Note (optional)": "me@example.org",
    "Secret": "hunter2",
    "Several lines (optional)": "one",
    "Share of memory": "0.85",
    "Days (optional) days": "30",
    "Words, entry 1": "beta",
    "City": "Bern",
    "Colour": "#00ff00",
    "Day": "2026-05-01",
    "Time of day (optional)": "10:30",
    "Day and time (optional)": "2026-05-01T10:30",
}


def _field(page, name):
    named = page.get_by_role("textbox", name=name, exact=True)
    # Dates and times have no role.
    return named.or_(page.get_by_label(name, exact=True)).first


def test_what_is_typed_after_a_refused_submit_is_kept(visit):
    """The keys pressed before the answer reach the field, and so do those after it."""
    page = visit(ADD)
    answers = HeldAnswers(page)
    name = _field(page, "Name")
    focused(name)
    page.keyboard.type("not a name!")
    answers.hold()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+A")
    page.keyboard.type("late")
    answers.release("not right yet")

    expect(page.get_by_role("alert").filter(has_text="Name")).to_be_visible()
    focused(name)
    expect(name).to_have_value("late")
    page.keyboard.type("r")
    page.keyboard.press("Enter")
    focused(page.get_by_role("heading", name="API Key Added"))


def unread_bytes(portal):
    """Return how much was sent to a portal that it has not taken in yet."""
    queues = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    here = f":{portal.settings.portal_port:04X}"
    return sum(
        int(row[4].split(":")[1], 16)
        for row in queues[1:]
        if row[1].endswith(here) and row[3] == "01"
    )


def test_what_is_typed_after_a_submit_is_no_part_of_it(visit, portal):
    """What stood in the form is submitted, also if more comes in the same moment."""
    page = visit(ADD)
    name = _field(page, "Name")
    focused(name)
    name.fill("first")
    portal.process.send_signal(signal.SIGSTOP)
    try:
        page.keyboard.press("Enter")
        before = wait_until(lambda: unread_bytes(portal), 10, "the submit")
        name.fill("second")
        wait_until(lambda: unread_bytes(portal) > before, 10, "the text after it")
    finally:
        portal.process.send_signal(signal.SIGCONT)

    expect(page.get_by_role("heading", name="API Key Added")).to_be_visible()
    names = [key.name for key in load_secrets(portal.settings).keys]
    assert "first" in names
    assert "second" not in names


def test_a_late_error_does_not_take_the_focus_from_another_field(visit):
    """Who has gone on to another field goes on typing there."""
    page = visit(ADD)
    answers = HeldAnswers(page)
    name = _field(page, "Name")
    focused(name)
    page.keyboard.type("not a name!")
    answers.hold()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("3")
    answers.release("not right yet")

    expect(name).to_have_attribute("aria-invalid", "true")
    days = _field(page, "Ends after (optional) days")
    focused(days)
    page.keyboard.type("0")
    expect(days).to_have_value("30")


def test_a_late_error_leaves_every_field_as_it_was_typed(visit):
    """Texts, numbers, colours, dates and entries of lists alike."""
    page = visit("/gallery")
    answers = HeldAnswers(page)
    text = _field(page, "Text")
    text.fill("x")
    answers.hold()
    text.press("Enter")
    for name, value in TYPED.items():
        _field(page, name).fill(value)
    answers.release("not right yet")

    expect(page.get_by_role("alert").filter(has_text="fields")).to_be_visible()
    for name, value in TYPED.items():
        expect(_field(page, name)).to_have_value(value)


@pytest.mark.parametrize("is_late", [True, False])
def test_a_random_text_does_not_replace_what_was_typed_since(visit, is_late):
    """The dice fill the field, unless something was typed before they had fallen."""
    page = visit("/gallery")
    answers = HeldAnswers(page)
    secret = _field(page, "Secret")
    answers.hold()
    page.get_by_role("button", name="Make a random value").click()
    if is_late:
        secret.fill("my own")
    answers.release("inputValue")

    made = "my own" if is_late else re.compile("^[A-Za-z0-9]{22}$")
    expect(secret).to_have_value(made)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert").filter(has_text="fields")).to_be_visible()
    expect(secret).to_have_value(made)


def test_a_colour_that_is_picked_does_not_replace_what_was_typed_since(visit):
    """The picker fills the field at once, and what is typed after it stays."""
    page = visit("/gallery")
    answers = HeldAnswers(page)
    color = _field(page, "Colour")
    answers.hold()
    page.get_by_label("Pick Colour from a palette").fill("#ff0000")
    expect(color).to_have_value("#ff0000")
    color.fill("#0000ff")
    answers.release("#0000ff")

    expect(page.get_by_label("Pick Colour from a palette")).to_have_value("#0000ff")
    expect(color).to_have_value("#0000ff")


def test_a_late_answer_does_not_undo_a_later_choice(visit):
    """Radio buttons, boxes, switches and lists stay where they were put last."""
    page = visit("/gallery")
    answers = HeldAnswers(page)
    red, green = (page.get_by_role("radio", name=name) for name in ("Red", "Green"))
    box = page.get_by_role("checkbox", name="Red")
    switch = page.get_by_role("switch", name="Switch", exact=True)
    choices = page.get_by_label("Many choices")
    answers.hold()
    red.check()
    box.check()
    switch.click()
    choices.select_option("Choice 2")
    # Answered in the order of the questions, so that those before it are there, too.
    page.get_by_role("button", name="Make a random value").click()
    first = answers.take("inputValue")
    green.check()
    box.uncheck()
    switch.click()
    choices.select_option("Choice 3")
    answers.send(first)

    expect(_field(page, "Secret")).to_have_value(re.compile("^[A-Za-z0-9]{22}$"))
    expect(green).to_be_checked()
    expect(box).not_to_be_checked()
    expect(switch).not_to_be_checked()
    expect(choices).to_have_value("k3")
