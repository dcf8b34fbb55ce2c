"""The page Logs in a real browser, over log files that grow as it is open."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from support.accessibility import barriers, overflow_px
from support.own_portal import portal_fixture, settings_fixture
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.state import records

# The portal goes on with a log whose file is another one: each test begins a new one.
__all__ = ["portal_fixture", "settings_fixture"]

INFO = "INFO 11-28 10:00:00 [a.py:1] line"
FAILURE = records.FailureRecord(
    at="2026-11-28T10:00:00Z",
    at_s=1.0,
    boot_id=BootClock().boot_id(),
    summary="The model needs more memory for its context.",
    hint="Set a smaller context.",
    exit_code=1,
    is_final=True,
    starts=1,
    evidence="ValueError: no memory for the cache",
)


@pytest.fixture(name="logs_dir")
def logs_dir_fixture(settings):
    """The folder of the logs."""
    settings.logs_dir.mkdir(parents=True)
    return settings.logs_dir


@pytest.fixture(name="log")
def log_fixture(logs_dir):
    """The engine's log, which a test fills before it asks for the page."""
    return logs_dir / "engine.log"


def _append(log, text):
    with log.open("a") as stream:
        stream.write(text)


def _rows(page):
    return page.locator(".log-row")


def _row(page, text):
    return _rows(page).filter(has_text=text)


def _resting_place(page):
    """Return how far the log is scrolled, once the browser's own motion has ended."""
    seen = [-1.0, -2.0, -3.0]

    def rests():
        view = page.locator(".log-view")
        seen.append(view.evaluate("element => element.scrollTop"))
        return len(set(seen[-3:])) == 1

    wait_until(rests, 20, "the end of the motion")
    return seen[-1]


def test_text_of_a_log_is_never_more_than_text(log, visit):
    """Markup, control characters, broken UTF-8 and endless lines are shown as text."""
    log.write_bytes(
        b"<script>document.title = 'taken'</script><img src=x onerror=alert(1)>\n"
        b"\x1b[31mred\x1b[0m \x1b]0;title\x07nul\x00 bad\xff\n"
        + "right\u202eleft\n".encode()
        + b"y" * 1_000_000
        + b"\nend\n"
    )
    dialogs = []

    page = visit("/logs")
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))

    expect(_row(page, "<script>document.title = 'taken'</script><img")).to_be_visible()
    expect(_row(page, "red nul\u2400 bad\ufffd")).to_be_visible()
    expect(_row(page, "right\ufffdleft")).to_be_visible()
    expect(_row(page, "and 996,000 more characters in the download")).to_be_visible()
    assert page.title() == "Logs · vLLM"
    assert page.locator(".log-row script, .log-row img").count() == 0
    assert dialogs == []


def test_a_hundred_thousand_lines_stay_light(log, visit):
    """The end is there at once, the beginning on demand, and few lines are elements."""
    log.write_text("".join(f"{INFO} {n}\n" for n in range(100_000)))

    page = visit("/logs")

    expect(_row(page, re.compile(r" 99999$"))).to_be_visible()
    expect(page.get_by_text("This log has 100,000 lines.")).to_be_visible()
    page.locator(".log-view").evaluate("element => { element.scrollTop = 0 }")
    expect(_row(page, re.compile(r"line 0$"))).to_be_visible()
    page.locator(".log-view").evaluate("element => { element.scrollTop = 900000 }")
    expect(_row(page, re.compile(r"line 45010$"))).to_be_visible()
    assert _rows(page).count() < 200


def test_new_lines_are_followed_until_the_reader_scrolls_up(log, visit):
    """Who reads further up is left in peace, and a button leads back to the end."""
    log.write_text("".join(f"{INFO} {n}\n" for n in range(500)))
    page = visit("/logs")
    expect(_row(page, "line 499")).to_be_in_viewport()
    back = page.get_by_role("button", name="Newest lines")
    expect(back).to_be_hidden()

    _append(log, f"{INFO} 500\n")
    expect(_row(page, "line 500")).to_be_in_viewport()

    page.locator(".log-view").focus()
    page.keyboard.press("PageUp")
    expect(back).to_be_visible()
    top = _resting_place(page)
    _append(log, f"{INFO} 501\n")
    expect(page.get_by_text("This log has 502 lines.")).to_be_visible()
    assert _resting_place(page) == top

    back.click()
    expect(_row(page, "line 501")).to_be_in_viewport()
    expect(back).to_be_hidden()


def test_progress_is_one_line_that_changes(log, visit):
    """What a program writes over, as tqdm and rich do, is written over here."""
    log.write_text("begin\nLoading:  10%\r")
    page = visit("/logs")
    expect(_row(page, "Loading: 10%")).to_be_visible()

    _append(log, "Loading:  60%\rLoading: 100%\n")
    expect(_row(page, "Loading: 100%")).to_be_visible()
    _append(log, "first: 1\nsecond: 1\n\x1b[2A\x1b[2Kfirst: 2\n\x1b[2Ksecond: 2\n")
    expect(_row(page, "second: 2")).to_be_visible()

    texts = ["begin", "Loading: 100%", "first: 2", "second: 2"]
    expect(_rows(page)).to_have_text(texts)


def test_the_whole_file_is_searched_from_the_keyboard(log, visit):
    """The key / leads to the search; Enter and Shift+Enter go through all matches."""
    lines = [f"{INFO} {n}" for n in range(20_000)]
    lines[3] += " <b>Needle</b>"
    lines[15_000] += " needle"
    log.write_text("\n".join(lines))
    page = visit("/logs")
    expect(_row(page, "line 19999")).to_be_visible()

    page.keyboard.press("/")
    expect(page.get_by_label("Search this log")).to_be_focused()
    page.keyboard.type("NEEDLE")
    expect(page.get_by_text("2 lines match")).to_be_visible()

    page.keyboard.press("Enter")
    expect(page.get_by_text("Match 1 of 2")).to_be_visible()
    expect(page.locator(".log-current")).to_have_text(re.compile("<b>Needle</b>"))
    expect(page.locator(".log-current mark")).to_have_text("Needle")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Match 2 of 2")).to_be_visible()
    expect(page.locator(".log-current")).to_be_in_viewport()
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_text("Match 1 of 2")).to_be_visible()
    page.get_by_role("button", name="Previous match").click()
    expect(page.get_by_text("Match 2 of 2")).to_be_visible()


def test_levels_are_chosen_by_chips(log, visit):
    """A chip shows its level only; two show both; a traceback belongs to its error."""
    log.write_text(
        f"{INFO}\nERROR 11-28 10:00:00 [a.py:1] boom\n  in file\n"
        "WARNING 11-28 10:00:00 [a.py:1] careful\nplain\n"
    )
    page = visit("/logs")
    errors = page.get_by_role("button", name="2 errors")
    errors.click()

    expect(_rows(page)).to_have_text([re.compile("boom"), re.compile("in file")])
    expect(errors).to_have_attribute("aria-pressed", "true")

    page.get_by_role("button", name="1 warning").click()
    expect(_rows(page)).to_have_count(3)
    _append(log, "ERROR 11-28 10:00:00 [a.py:1] again\nINFO: quiet\n")
    expect(_row(page, "again")).to_be_visible()
    expect(_rows(page)).to_have_count(4)

    page.get_by_role("button", name="3 errors").click()
    page.get_by_role("button", name="1 warning").click()
    expect(_rows(page)).to_have_count(7)


def test_a_failure_leads_to_its_first_line(logs_dir, log, settings, visit):
    """The log of the failed start is opened at the line that named the cause."""
    records.write_record(settings.failure_file, FAILURE)
    log.write_text("nothing of it here\n")
    start = logs_dir / "engine-20261128T100000Z.log"
    lines = [f"{INFO} {n}" for n in range(2_000)]
    lines[700] = f"(EngineCore pid=7) ERROR 11-28 10:00:00 [a.py:1] {FAILURE.evidence}"
    start.write_text("\n".join(lines))

    page = visit("/logs?failure=1")

    expect(page.locator(".log-current")).to_contain_text(FAILURE.evidence)
    expect(page.locator(".log-current")).to_be_in_viewport()
    expect(page.locator(".log-source select")).to_have_value("start-20261128T100000Z")

    page.locator(".log-source select").select_option("engine")
    expect(_row(page, "nothing of it here")).to_be_visible()
    page.get_by_role("button", name="Show where it says so").click()
    expect(page.locator(".log-current")).to_contain_text(FAILURE.evidence)


def test_a_failure_whose_line_is_gone_says_so(log, settings, visit):
    """When the log was thrown away the reader is told."""
    gone = replace(FAILURE, evidence="a line that is nowhere")
    records.write_record(settings.failure_file, gone)
    log.write_text("other\n")

    page = visit("/logs?failure=1")

    expect(page.get_by_text("That line is no longer in the log.")).to_be_visible()


def test_an_address_can_search(log, visit):
    """A link can lead to the first line with a text."""
    log.write_text("".join(f"{INFO} {n}\n" for n in range(300)))

    page = visit("/logs?find=line+7")

    expect(page.locator(".log-current")).to_have_text(re.compile(r"line 7$"))
    expect(page.get_by_label("Search this log")).to_have_value("line 7")


def test_lines_are_copied_and_downloaded(logs_dir, log, visit):
    """Copying gives plain text as it is shown; the download is the file itself."""
    older = logs_dir / "engine.log.1"
    older.write_bytes(b"older\n")
    log.write_bytes(b"\x1b[31mred\x1b[0m\n\tb <i>\n" + b"z" * 5000 + b"\xff\n")
    page = visit("/logs", permissions=["clipboard-read", "clipboard-write"])
    expect(_row(page, "red")).to_be_visible()

    page.get_by_role("button", name="Copy lines").click()
    wait_until(
        lambda: (
            page.evaluate("navigator.clipboard.readText()")
            == "older\nred\n        b <i>\n" + "z" * 5000 + "\ufffd"
        ),
        10,
        "the lines on the clipboard",
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()

    assert download.value.path().read_bytes() == older.read_bytes() + log.read_bytes()
    assert download.value.suggested_filename == "engine.log"


def test_selected_lines_are_plain_text(log, visit):
    """What is selected with the mouse is copied as lines, one below the other."""
    log.write_text("".join(f"{INFO} {n}\n" for n in range(4)))
    page = visit("/logs", permissions=["clipboard-read", "clipboard-write"])
    expect(_rows(page)).to_have_count(4)

    page.evaluate(
        "() => { const rows = document.querySelectorAll('.log-row');"
        " getSelection().setBaseAndExtent(rows[0].firstChild, 5,"
        " rows[2].firstChild, 4) }"
    )
    page.keyboard.press("Control+C")

    wait_until(
        lambda: (
            page.evaluate("navigator.clipboard.readText()")
            == f"{INFO[5:]} 0\n{INFO} 1\nINFO"
        ),
        10,
        "the lines on the clipboard",
    )


def test_an_empty_log_says_so_and_begins_by_itself(logs_dir, log, visit):
    """A log that does not exist yet is no error, and is followed once it does."""
    page = visit("/logs")
    expect(
        page.get_by_text("Nothing has been written to this log yet.")
    ).to_be_visible()

    log.write_text("the first line\n")

    expect(_row(page, "the first line")).to_be_visible()
    expect(page.get_by_text("Nothing has been written")).to_be_hidden()
    assert logs_dir.exists()


def test_a_log_that_there_is_not_cannot_be_downloaded(portal, visit):
    """A made-up name gives 404 and no file of the machine."""
    page = visit("/logs?log=../store.json")
    expect(page.locator(".log-source select")).to_have_value("engine")

    for name in ("nothing", "..%2Fstore.json", "start-20260101T000000Z"):
        answer = page.request.get(f"{portal.base_url}/logs/{name}/file")
        assert answer.status == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_the_page(log, settings, visit, scheme):
    """axe-core finds nothing, in either theme, with a search and a failure shown."""
    records.write_record(settings.failure_file, FAILURE)
    log.write_text(
        f"{INFO}\nERROR 11-28 10:00:00 [a.py:1] boom\nWARNING: w\nDEBUG: d\n"
    )
    page = visit("/logs?find=boom", color_scheme=scheme)
    expect(page.locator(".log-current")).to_be_visible()

    assert barriers(page) == []


def test_the_page_fits_a_phone(log, visit):
    """At 360 px nothing but the lines themselves scrolls sideways."""
    log.write_text(f"{INFO} {'long ' * 100}\n")
    page = visit("/logs", width=360, height=740)
    expect(_row(page, "long")).to_be_visible()

    assert overflow_px(page) <= 0
    page.locator(".log-view").focus()
    expect(page.locator(".log-view")).to_be_focused()
