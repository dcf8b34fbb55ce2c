"""Languages, themes, keyboard and barriers, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from support.accessibility import barriers, overflow_px
from support.portal_states import MODEL, small_api
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts
from vllm_pkg.state import records

STANDS_STILL = "document.getAnimations().every((one) => one.playState !== 'running')"
# A key of the catalogue, such as a page would show by mistake.
KEY = re.compile(r"\b(?:home|start|switch|frame|nav|state|wording|fix)\.[a-z_]+\b")


def _headline(page):
    return page.locator(".vp-headline")


def _state(page):
    return page.get_by_role("status")


def test_everything_is_reached_by_keyboard(scene, visit):
    """The first Tab offers to skip to the content; tabs are walked by arrows."""
    with small_api() as (port, _):
        scene.serve(port)
        page = visit()
        expect(_state(page)).to_contain_text("Ready")
        page.keyboard.press("Tab")
        expect(
            page.get_by_role("link", name="Skip to the main content")
        ).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".vp-main")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Copy: Base URL")).to_be_focused()

        page.get_by_role("tab", name="curl").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(page.get_by_role("tab", name="Python")).to_have_attribute(
            "aria-selected", "true"
        )
        # Updates leave the focus where it is.
        scene.use_key(seconds_ago=60)
        expect(_headline(page)).to_contain_text("Last request")
        expect(page.get_by_role("tab", name="Python")).to_be_focused()


def test_a_phone_has_a_menu(visit):
    """The menu opens and closes by keyboard, and says which page is shown."""
    page = visit(width=360, height=740)
    menu = page.get_by_role("button", name="Menu")
    expect(page.get_by_role("navigation")).to_be_hidden()

    menu.focus()
    page.keyboard.press("Enter")
    home = page.get_by_role("navigation").get_by_role("link", name="Home")
    expect(home).to_be_focused()
    expect(home).to_have_attribute("aria-current", "page")
    expect(menu).to_have_attribute("aria-expanded", "true")

    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    expect(page.get_by_role("navigation")).to_be_hidden()

    menu.click()
    page.get_by_role("link", name="Start").click()
    expect(page).to_have_url(re.compile("/start$"))


def _background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_theme_follows_the_system_until_one_is_chosen(visit):
    """A choice is in force at once, and again at the next visit."""
    page = visit(color_scheme="dark")
    dark = _background(page)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(
        "dark => getComputedStyle(document.body).backgroundColor !== dark", arg=dark
    )

    page.get_by_label("Appearance").select_option("Dark")
    page.wait_for_function(
        "dark => getComputedStyle(document.body).backgroundColor === dark", arg=dark
    )

    page.reload()
    page.wait_for_selector("main")
    assert _background(page) == dark
    expect(page.get_by_label("Appearance")).to_have_value("dark")


def test_a_chosen_language_stays(visit):
    """The page comes back in the language that was chosen, and says so to readers."""
    page = visit()

    page.get_by_label("Language").select_option("Deutsch")

    expect(_headline(page)).to_contain_text("Kein Modell ist gewählt.")
    assert page.evaluate("document.documentElement.lang") == "de"
    page.reload()
    expect(_headline(page)).to_contain_text("Kein Modell ist gewählt.")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_fits_a_small_phone(scene, visit, language):
    """No key of the catalogue is seen, and nothing is wider than 360 pixels."""
    scene.remember_two_starts()
    scene.select(MODEL, "--max-model-len", "40960")
    scene.run_host()
    scene.fail()
    page = visit(width=360, height=740, locale=language)
    for path in ("/", "/start"):
        page.goto(path)
        expect(_state(page)).to_contain_text(load_texts(language)("state.failed"))
        expect(page.get_by_role("img").last).to_be_visible()
        assert KEY.findall(page.locator("body").inner_text()) == []
        assert overflow_px(page) <= 0
    assert KEY.findall("see home.serving, please") == ["home.serving"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_keeps_anybody_out(scene, settings, visit, theme, width):
    """axe-core finds no barrier in any state, in both themes, on phone and wide."""
    page = visit(width=width, color_scheme=theme)
    expect(_state(page)).to_contain_text("No model")
    found = barriers(page)

    scene.select(MODEL, "--max-model-len", "40960")
    scene.run_host()
    scene.remember_two_starts()
    scene.fail()
    expect(page.get_by_role("button", name="Set context")).to_be_visible()
    found += barriers(page)

    settings.failure_file.unlink()
    scene.download()
    page.goto("/start")
    expect(page.get_by_role("progressbar")).to_be_visible()
    found += barriers(page)

    with small_api() as (port, _):
        scene.serve(port)
        page.goto("/")
        expect(page.get_by_role("link", name="tokens/s")).to_be_visible()
        page.get_by_role("button", name="Show: API key").click()
        page.get_by_role("button", name="QR code: API key").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        # While it is faded in, its colours are mixed with those behind it.
        page.wait_for_function(STANDS_STILL)
        found += barriers(page)

    assert found == []


def test_the_check_for_barriers_finds_one(scene, visit):
    """The positive control: text that is too pale is found."""
    page = visit()
    page.evaluate("document.querySelector('.vp-headline').style.color = '#ccc'")

    assert any(line.startswith("color-contrast") for line in barriers(page))
    assert records.read_failure(scene.settings) is None
