"""The page Try it in a real browser, over a server that answers on command."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from support.accessibility import barriers, overflow_px
from support.openai_server import EMBEDDING, OpenAIServer, serve
from support.service import free_port


@pytest.fixture(name="server")
def server_fixture(settings):
    """An engine that is ready; tests ask for it before they ask for the page."""
    with OpenAIServer() as server:
        serve(settings, server)
        yield server


def _field(page):
    return page.get_by_label("Your message")


def _open(visit, **options):
    page = visit("/try", **options)
    expect(page.get_by_text("Ask test-model something.")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    return page


def _ask(page, text):
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    _field(page).fill(text)
    _field(page).press("Enter")


def _answers(page):
    return page.locator(".chat-answer")


def test_an_answer_streams_and_is_measured(server, visit):
    """The first words are there before the last; then time and rate are told."""
    page = _open(visit)
    _field(page).fill("say Hello")
    _field(page).press("Shift+Enter")
    expect(_field(page)).to_have_value("say Hello\n")

    _ask(page, "say Hello **there** PAUSE you")
    expect(_answers(page)).to_contain_text("Hello there")
    expect(_answers(page).locator("strong")).to_have_text("there")
    expect(page.locator(".chat-list")).to_have_attribute("aria-busy", "true")
    expect(_field(page)).to_have_value("")
    server.go_on.set()

    expect(_answers(page)).to_contain_text("Hello there you")
    expect(_answers(page)).to_contain_text(
        re.compile(
            r"First token after \d+\.\d\d s, then [\d,.]+ tokens per second; 4 tokens\."
        )
    )
    expect(page.locator(".chat-list")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_text("The answer is complete.")).to_be_attached()
    assert server.key not in page.content()


def test_stop_ends_the_work_of_the_engine(server, visit):
    """The engine notices, and what had come stays and belongs to the conversation."""
    page = _open(visit)
    _ask(page, "say one PAUSE two")
    expect(_answers(page)).to_contain_text("one")

    page.get_by_role("button", name="Stop").click()

    assert server.given_up.wait(10)
    expect(_answers(page)).to_contain_text("You stopped the answer.")
    expect(_answers(page)).to_contain_text(re.compile("First token after .* tokens?"))
    _ask(page, "say more")
    expect(_answers(page).last).to_contain_text("more")
    roles = [message["role"] for message in server.questions()[-1]["messages"]]
    assert roles == ["user", "assistant", "user"]


def test_settings_are_sent_and_the_conversation_is_cleared(server, visit):
    """What is folded away reaches the engine; clearing forgets all of it."""
    page = _open(visit)
    page.get_by_text("How it answers").click()
    page.get_by_label("Told to the model before the conversation").fill("be brief")
    page.get_by_label("Temperature, 0 to 2").fill("0.3")
    page.get_by_label("Longest answer, in tokens").fill("9")
    _ask(page, "say CUT")
    expect(_answers(page)).to_contain_text("it has reached its longest length")

    body = server.questions()[-1]
    assert (body["temperature"], body["max_tokens"]) == (0.3, 9)
    assert body["messages"][0] == {"role": "system", "content": "be brief"}

    page.get_by_role("button", name="Clear the conversation").click()
    expect(_answers(page)).to_have_count(0)
    _ask(page, "say again")
    expect(_answers(page)).to_contain_text("again")
    assert len(server.questions()[-1]["messages"]) == 2


@pytest.mark.usefixtures("server")
def test_an_answer_cannot_harm_the_page(visit):
    """Markup is text, a script does not run, and a picture is not loaded."""
    loaded, dialogs = [], []
    page = _open(visit)
    page.on("request", lambda request: loaded.append(request.url))
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))

    _ask(
        page,
        "say <img src=x onerror=alert(1)> <script>alert(2)</script> "
        "[a](javascript:alert(3)) ![cat](http://192.0.2.1/cat.png) end",
    )

    answer = _answers(page)
    expect(answer).to_contain_text("<script>alert(2)</script>")
    expect(answer).to_contain_text("end")
    expect(answer.get_by_role("link", name="cat")).to_have_attribute(
        "href", "http://192.0.2.1/cat.png"
    )
    assert answer.locator("img, script").count() == 0
    assert answer.get_by_role("link").count() == 1
    assert not [url for url in loaded if "192.0.2.1" in url]
    assert dialogs == []


@pytest.mark.usefixtures("server")
def test_a_link_opens_beside_the_conversation(visit):
    """Following a link of an answer does not lose the conversation."""
    page = _open(visit)
    _ask(page, "say [here](http://192.0.2.1/)")
    page.context.route("http://192.0.2.1/", lambda route: route.fulfill(body="there"))

    with page.context.expect_page() as opened:
        _answers(page).get_by_role("link", name="here").click()

    assert opened.value.url == "http://192.0.2.1/"
    expect(_answers(page)).to_contain_text("here")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("too long", "longer than the model can read, which is 512 tokens"),
        ("refuse", "The engine refused the question: temperature must be in"),
        ("busy", "The engine has too much to do."),
        ("say kept BREAK", "The connection to the engine was lost."),
        ("say kept FAIL", "The engine failed while it answered: EngineCore died"),
    ],
)
def test_what_goes_wrong_is_told_in_words(visit, asked, told):
    """The partial answer is kept, and another question can be asked."""
    page = _open(visit)

    _ask(page, asked)

    expect(_answers(page)).to_contain_text(told)
    if "kept" in asked:
        expect(_answers(page)).to_contain_text("kept")
    _ask(page, "say fine")
    expect(_answers(page).last).to_contain_text("fine")


def test_a_wrong_key_is_told(server, visit):
    """An engine that has another key than the service is named as such."""
    server.key = "another"

    page = visit("/try")

    expect(
        page.get_by_text("The engine does not accept the service's key.")
    ).to_be_visible()


@pytest.mark.usefixtures("server")
def test_reasoning_is_folded_away(visit):
    """What a model thinks first can be read, and is not part of the answer."""
    page = _open(visit)
    _ask(page, "say THINKhmm yes")
    expect(_answers(page)).to_contain_text("yes")
    expect(page.get_by_text("hmm", exact=True)).to_be_hidden()

    page.get_by_text("What the model thought first").click()

    expect(page.get_by_text("hmm", exact=True)).to_be_visible()


def test_a_long_answer_does_not_move_who_reads_further_up(server, visit):
    """The list stays at its end, until the reader scrolls up."""
    page = _open(visit)
    listed = page.locator(".chat-list")
    _ask(page, "say " + "line\n\n" * 60 + " PAUSE " + "more\n\n" * 60)
    expect(_answers(page)).to_contain_text("line")
    page.wait_for_function(
        "() => { const e = document.querySelector('.chat-list');"
        " return e.scrollHeight > e.clientHeight + 200"
        " && e.scrollTop + e.clientHeight > e.scrollHeight - 10 }"
    )

    listed.evaluate("element => { element.scrollTop = 100 }")
    server.go_on.set()

    expect(page.get_by_text("The answer is complete.")).to_be_attached()
    assert listed.evaluate("element => element.scrollTop") == 100


def test_an_answer_goes_on_while_the_browser_is_away(server, visit):
    """The connection of the page breaks and comes back; the answer is whole."""
    page = _open(visit)
    _ask(page, "say before PAUSE after")
    expect(_answers(page)).to_contain_text("before")

    page.evaluate("window.socket.io.engine.close()")
    server.go_on.set()

    expect(_answers(page)).to_contain_text("before after")
    expect(_answers(page)).to_contain_text("First token after")
    assert not server.given_up.is_set()


def test_a_model_without_chat_template_goes_on_with_a_text(server, visit):
    """Its text is sent as it is, and no system prompt is offered."""
    server.has_template = False
    page = visit("/try")
    expect(page.get_by_text("test-model has no chat template")).to_be_visible()

    _ask(page, "say and so on")

    expect(_answers(page)).to_contain_text("and so on")
    assert server.questions()[-1]["prompt"] == "say and so on"
    page.get_by_text("How it answers").click()
    expect(page.get_by_label("Told to the model before")).to_be_hidden()


def test_texts_are_compared_by_an_embedding_model(server, visit):
    """Each text is compared with the first; two are needed."""
    server.paths = EMBEDDING
    page = visit("/try")
    expect(
        page.get_by_text("test-model compares texts by their meaning.")
    ).to_be_visible()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("Write at least two texts to compare.")).to_be_visible()

    page.get_by_role("button", name="Add a text").click()
    for number, text in enumerate(("aa", "a", "ab"), 1):
        page.get_by_label(f"Text {number}").fill(text)
    page.get_by_role("button", name="Compare").click()

    expect(page.get_by_text("Text 2 compared with the first: 1.00")).to_be_visible()
    expect(page.get_by_text("Text 3 compared with the first: 0.71")).to_be_visible()
    assert barriers(page) == []


def test_without_a_model_the_page_leads_to_the_models(visit):
    """Nothing to try is told in a sentence, with what to do."""
    page = visit("/try")

    expect(page.get_by_text("No model is selected. Choose one")).to_be_visible()
    expect(page.get_by_role("link", name="Choose a model")).to_have_attribute(
        "href", "/models"
    )
    assert barriers(page) == []


def test_a_model_that_loads_can_be_asked_once_it_is_ready(settings, visit):
    """The page changes by itself, and keeps what was asked when the engine goes."""
    with OpenAIServer() as server:
        serve(settings, server, port=free_port())
        page = visit("/try")
        expect(page.get_by_text(re.compile("You can ask it as soon"))).to_be_visible()

        serve(settings, server)
        expect(page.get_by_text("Ask test-model something.")).to_be_visible()
        _ask(page, "say kept")
        expect(_answers(page)).to_contain_text("kept")

    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    expect(_answers(page)).to_contain_text("kept")
    _field(page).fill("not lost")
    _field(page).press("Enter")
    expect(page.get_by_text("The model cannot be asked right now.")).to_be_visible()
    expect(_field(page)).to_have_value("not lost")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_the_page(visit, scheme):
    """axe-core finds nothing in either theme, with an answer and the settings."""
    page = _open(visit, color_scheme=scheme)
    page.get_by_text("How it answers").click()
    _ask(page, "say # Head\n\n- a `b`\n\n|x|\n|-|\n|y|\n\n```\nlong code\n``` FAIL")
    expect(_answers(page)).to_contain_text("EngineCore died")

    assert barriers(page) == []


@pytest.mark.usefixtures("server")
def test_the_page_fits_a_phone_and_a_keyboard(visit):
    """At 360 px nothing is cut off, also with long code; Tab leads to the button."""
    page = _open(visit, width=360, height=740)
    _ask(page, "say ```\n" + "x" * 300 + "\n```")
    expect(_answers(page)).to_contain_text("First token")

    assert overflow_px(page) <= 0
    _field(page).fill("say done")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Send")).to_be_focused()
    page.keyboard.press("Enter")
    expect(_answers(page).last).to_contain_text("done")
