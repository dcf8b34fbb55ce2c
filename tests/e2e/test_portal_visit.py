"""
A visit to the portal, from the printed link to a portal that was killed.

One service with the real vLLM runs through all tests of this file, and one browser over
the portal that the service starts; each test builds on the ones before it. The engine
starts three times, one of them in vain.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

import openai
import pytest
from playwright.sync_api import expect, sync_playwright

from support.browser_notes import note_changes, noted
from support.service import START_TIMEOUT_S, Service, free_port
from support.tools import require
from support.waiting import wait_until
from vllm_pkg.models.tiny import tiny_files
from vllm_pkg.service.processes import list_programs
from vllm_pkg.settings import load_settings

pytestmark = [pytest.mark.engine, pytest.mark.browser, pytest.mark.timeout(420)]

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 60_000
START_MS = START_TIMEOUT_S * 1000
TINY_NAME = "Tiny test model (random weights, talks nonsense)"
PHASES = ("Preparing the start", "Starting the engine", "Loading the weights")
PHASES_AFTER = ("Compiling the model", "Warming up")
READY_LINE = "Application startup complete"
# More than the model can read; what is the most stands in its config.json.
CONTEXT, CONTEXT_MAX = 4096, 2048
ANSWER_TOKENS = 1800


@pytest.fixture(name="service", scope="module")
def service_fixture(tmp_path_factory):
    """The service as `run` starts it, with no model selected."""
    require(shutil.which("vllm", path=Path(sys.executable).parent), "vLLM is missing")
    service = Service(tmp_path_factory.mktemp("visit"), free_port())
    service.start("--no-default")
    yield service
    service.close()


@pytest.fixture(name="page", scope="module")
def page_fixture(service):
    """The only page of the whole visit, of a browser that has never been here."""
    require(CHROMIUM.exists(), f"{CHROMIUM} is not there")
    assert service.process is not None
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"]
        )
        context = browser.new_context(
            locale="en-US", permissions=["clipboard-read", "clipboard-write"]
        )
        context.set_default_timeout(PATIENCE_MS)
        yield context.new_page()
        browser.close()


def _go(page, name):
    """Follow a link of the navigation."""
    link = page.get_by_role("navigation", name="Pages").get_by_role("link", name=name)
    link.click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_attached()


def _headline(page):
    return page.locator(".vp-headline")


def _portal_pid(service):
    programs = list_programs(load_settings(service.environment))
    return next(program.pid for program in programs if program.name == "portal")


def _is_listening(service):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", service.portal_port)) == 0


@pytest.fixture(name="model", scope="module")
def model_fixture(service):
    """A folder with a model of one's own."""
    folder = service.folder / "my-model"
    folder.mkdir()
    for name, content in tiny_files().items():
        (folder / name).write_bytes(content)
    return folder


def _arguments(model, context):
    return (
        f"{model} --served-model-name mine --max-model-len {context}"
        " --enforce-eager --kv-cache-memory-bytes 64M"
    )


def _open_custom(page):
    """Open Set Model from a preset of the page Models, and go over to Custom."""
    page.get_by_role("button", name=f"Use this model: {TINY_NAME}").click()
    dialog = page.get_by_role("dialog", name="Set Model")
    dialog.get_by_role("radio", name="Custom").check()
    return dialog, dialog.get_by_role("textbox", name="Arguments of vllm serve")


def _submit(page, dialog):
    dialog.get_by_role("button", name="Set Model").click()
    page.get_by_role("button", name="Go ahead").click()


def test_the_printed_link_leads_to_the_critical_task(service, page):
    """The link that `run` prints opens Home, which says what is to be done."""
    log = service.folder / "run.log"
    link = wait_until(
        lambda: re.search(r"^ +Portal +(http\S+)$", log.read_text(), re.MULTILINE),
        *(60, "the link"),
    )[1]
    # The portal has its port a moment after `run` has said where it is.
    wait_until(lambda: _is_listening(service), 60, "the portal's port")

    page.goto(link)

    assert "token" not in page.url
    expect(_headline(page)).to_have_text(
        "No model is selected. Choose one to start serving."
    )
    tasks = page.get_by_role("region", name="To do")
    expect(tasks).to_contain_text("Critical")


def test_the_task_opens_set_model(service, page):
    """The form of Set Model is filled in, and the embedded model is selected."""
    tasks = page.get_by_role("region", name="To do")
    tasks.get_by_role("button", name="Choose a model").click()
    dialog = page.get_by_role("dialog", name="Set Model")

    dialog.get_by_role("radio", name=TINY_NAME).check()
    _submit(page, dialog)

    selected = page.get_by_role("dialog", name="Model Selected")
    expect(selected).to_contain_text("It needs no download.")
    selected.get_by_role("button", name="Close").click()
    expect(tasks).to_be_hidden()
    store = json.loads((service.main / "store.json").read_text())
    assert store["modelSelection"] == {"selection": "tiny"}


def test_the_start_is_watched_until_it_is_ready(page):
    """Sentence, phases and bar change in the open page, in their order, to ready."""
    _go(page, "Start")
    page.evaluate("window.isKept = true")
    note_changes(page, "phases", "[aria-current=step] > span", "main")
    bar = page.get_by_role("progressbar", name="Progress of the start")
    note_changes(page, "percents", "[aria-valuenow]", "main", "aria-valuenow")
    expect(bar).to_be_visible()

    expect(_headline(page)).to_contain_text("Ready. The start took", timeout=START_MS)

    phases = list(dict.fromkeys(noted(page, "phases")))
    percents = [float(percent) for percent in noted(page, "percents")]
    order = (*PHASES, *PHASES_AFTER)
    assert page.evaluate("window.isKept") is True
    assert phases == sorted(phases, key=order.index)
    assert {"Starting the engine", "Loading the weights"} <= set(phases)
    assert percents == sorted(percents)
    assert len(set(percents)) > 3
    expect(bar).to_be_hidden()
    expect(page.get_by_role("status")).to_contain_text("Ready")


def test_an_answer_streams_into_the_page(page):
    """The answer grows in many steps, and is measured when it is complete."""
    _go(page, "Try it")
    page.get_by_text("How it answers").click()
    page.get_by_label("Longest answer, in tokens").fill("128")
    page.get_by_label("Longest answer, in tokens").press("Tab")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    note_changes(page, "answer", ".chat-answer", ".chat-list")

    page.get_by_label("Your message").fill("Hello!")
    page.get_by_label("Your message").press("Enter")

    answer = page.locator(".chat-answer")
    expect(answer).to_contain_text(
        re.compile(r"First token after .* tokens per second; [1-9]\d* tokens\.")
    )
    lengths = [len(text) for text in noted(page, "answer")]
    grown = [later for now, later in itertools.pairwise(lengths) if later > now]
    assert len(grown) > 3


def test_the_key_is_copied_on_home(service, page):
    """The button puts the key on the clipboard, and the page does not show it."""
    _go(page, "Home")
    expect(_headline(page)).to_contain_text("Serving Tiny test model")

    page.get_by_role("button", name="Copy: API key").click()

    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == service.key()
    assert service.key() not in page.content()


def test_a_wrong_argument_is_shown_at_its_field(service, page, model):
    """What cannot be served is told in place of the help, and what was typed stays."""
    before = (service.main / "store.json").read_text()
    _go(page, "Models")
    dialog, arguments = _open_custom(page)

    for typed, problem in (
        (f"{_arguments(model, 512)} --host 0.0.0.0", "--host"),
        (_arguments(model, CONTEXT), f"--max-model-len {CONTEXT_MAX}"),
    ):
        arguments.fill(typed)
        _submit(page, dialog)
        expect(arguments).to_have_attribute("aria-invalid", "true")
        expect(arguments).to_have_accessible_description(re.compile(problem))
        expect(arguments).to_have_value(typed)

    assert (service.main / "store.json").read_text() == before
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Leave").click()
    expect(dialog).to_be_hidden()


def test_the_engine_is_stopped_on_the_page_machine(page):
    """With the engine stopped by a person, what is chosen next is started at once."""
    _go(page, "Machine")
    page.get_by_role("button", name="Stop: Engine").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()

    expect(page.get_by_text("Engine has been stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Start: Engine")).to_be_visible()


def test_a_start_that_fails_says_why(page, model):
    """What vLLM refuses stands on Home in words, with the change that helps."""
    _go(page, "Models")
    dialog, arguments = _open_custom(page)
    arguments.fill(_arguments(model, CONTEXT))
    _submit(page, dialog)
    selected = page.get_by_role("dialog", name="Model Selected")
    selected.get_by_role("button", name="Close").click()
    _go(page, "Home")

    banner = page.get_by_role("region", name="What went wrong")
    expect(banner).to_contain_text("exit code 1", timeout=START_MS)
    expect(banner.get_by_role("button", name="Set context to 2,048")).to_be_visible()
    expect(banner).to_contain_text(str(CONTEXT))


def test_one_click_mends_the_start(service, page, model):
    """The button makes the change, and the page goes on to ready without a reload."""
    page.evaluate("window.isKept = true")
    banner = page.get_by_role("region", name="What went wrong")

    banner.get_by_role("button", name="Set context to 2,048").click()

    expect(_headline(page)).to_contain_text("Serving mine.", timeout=START_MS)
    expect(banner).to_be_hidden()
    assert page.evaluate("window.isKept") is True
    store = json.loads((service.main / "store.json").read_text())
    assert sorted(store["serveArgs"]) == sorted(_arguments(model, CONTEXT_MAX).split())
    with openai.OpenAI(base_url=service.base_url, api_key=service.key()) as client:
        (served,) = client.models.list().data
    assert served.model_dump()["max_model_len"] == CONTEXT_MAX


def test_the_logs_are_searched(service, page):
    """Both starts that became ready are found in the engine's log, and counted."""
    _go(page, "Logs")
    page.keyboard.press("/")
    page.keyboard.type(READY_LINE.upper())

    expect(page.get_by_text("2 lines match")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Match 1 of 2")).to_be_visible()
    expect(page.locator(".log-current")).to_contain_text(READY_LINE)
    expect(page.locator(".log-current mark")).to_have_text(READY_LINE)
    assert (service.main / "logs" / "engine.log").read_text().count(READY_LINE) == 2


def test_a_chat_goes_on_while_the_portal_is_killed(service, page):
    """The stream ends whole; the page finds the new portal, and is still logged in."""
    _go(page, "Home")
    expect(_headline(page)).to_contain_text("Serving mine.")
    page.evaluate("window.isKept = true")
    pid = _portal_pid(service)
    pieces: list[str] = []
    client = threading.Thread(target=_stream, args=(service, pieces))
    client.start()
    wait_until(lambda: pieces, 60, "the first piece")

    os.kill(pid, signal.SIGKILL)
    at_kill = len(pieces)
    wait_until(lambda: _portal_pid(service) not in {pid, None}, 60, "another portal")
    expect(page.get_by_role("status")).to_contain_text("Ready")
    page.wait_for_function("!window.isKept && window.did_handshake === true")
    at_return = len(pieces)

    expect(_headline(page)).to_contain_text("Serving mine.")
    assert "/login" not in page.url
    _go(page, "Keys")
    client.join(300)
    assert at_kill < at_return
    assert pieces[-1] == f"length, {ANSWER_TOKENS} tokens"


def _stream(service, pieces):
    with openai.OpenAI(base_url=service.base_url, api_key=service.key()) as client:
        stream = client.chat.completions.create(
            model="mine",
            messages=[{"role": "user", "content": "Hello!"}],
            max_tokens=ANSWER_TOKENS,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"ignore_eos": True},
        )
        reason = None
        for chunk in stream:
            if chunk.usage:
                pieces.append(f"{reason}, {chunk.usage.completion_tokens} tokens")
            else:
                reason = chunk.choices[0].finish_reason
                pieces.append(chunk.choices[0].delta.content or "")
