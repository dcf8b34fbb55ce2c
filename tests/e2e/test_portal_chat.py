"""
The pages Try it and Logs in Chromium, over a real vLLM.

One service with the tiny model runs through all tests of this file, each with a portal
of its own beside it. The embedding model is served in the last one.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
from pathlib import Path

import httpx
import openai
import pytest
from playwright.sync_api import expect, sync_playwright

from support.portal_process import portal_process
from support.service import Service, free_port
from support.tools import require
from support.waiting import wait_until
from vllm_pkg.settings import load_settings

pytestmark = [pytest.mark.engine, pytest.mark.browser, pytest.mark.timeout(420)]

CHROMIUM = Path("/usr/bin/chromium")
TINY = {"config": {"selection": "tiny", "value": {}}}
MINILM = {"config": {"selection": "minilm", "value": {}}}
PATIENCE_MS = 60_000


@pytest.fixture(name="service", scope="module")
def service_fixture(tmp_path_factory):
    """The service with the tiny model, ready."""
    require(shutil.which("vllm", path=Path(sys.executable).parent), "vLLM is missing")
    require(CHROMIUM.exists(), f"{CHROMIUM} is not there")
    service = Service(tmp_path_factory.mktemp("service"), free_port())
    service.json("init", "--kind", "install", "--json")
    _select(service, TINY)
    service.start("--no-default")
    service.wait_result("success")
    yield service
    service.close()


@pytest.fixture(name="page")
def page_fixture(service, tmp_path):
    """A browser over a portal of that service."""
    settings = load_settings(service.environment)
    with (
        portal_process(settings, tmp_path) as portal,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"]
        )
        page = browser.new_page(base_url=portal.base_url, locale="en-US")
        page.context.request.get(portal.login_path)
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield page
        browser.close()


def _select(service, selection):
    command = ("action", "run", "set-model", "--input", "-")
    service.json(*command, stdin=json.dumps(selection))


def _running(service):
    """Return how many requests the engine works on, by its own count."""
    address = service.base_url.removesuffix("/v1") + "/metrics"
    key = {"Authorization": f"Bearer {service.key()}"}
    text = httpx.get(address, headers=key, timeout=10).text
    found = re.search(r"^vllm:num_requests_running\{.*\} ([\d.]+)$", text, re.MULTILINE)
    return None if found is None else float(found[1])


def _ask(page, text):
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")


def _ask_for_much(page):
    """Ask for an answer without end: the tiny model ends one by chance only."""
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    page.get_by_text("How it answers").click()
    page.get_by_label("Temperature, 0 to 2").fill("0")
    page.get_by_label("Temperature, 0 to 2").press("Tab")
    _ask(page, "Tell a long story")


def test_a_chat_answer_streams_from_the_engine(service, page):
    """An answer of the model is shown and measured with the engine's own count."""
    page.goto("/try")
    page.get_by_text("How it answers").click()
    page.get_by_label("Longest answer, in tokens").fill("256")
    page.get_by_label("Longest answer, in tokens").press("Tab")

    _ask(page, "Hello!")

    answer = page.locator(".chat-answer")
    expect(answer).to_contain_text(
        re.compile(r"First token after .*tokens per second; [1-9]\d* tokens\.")
    )
    assert service.key() not in page.content()


def test_stop_frees_the_engine(service, page):
    """A long answer that is stopped is worked on no longer."""
    page.goto("/try")
    _ask_for_much(page)
    expect(page.locator(".chat-answer p").first).to_have_text(re.compile("[a-z]"))
    page.get_by_role("button", name="Stop").click()

    expect(page.locator(".chat-answer")).to_contain_text("You stopped the answer.")
    wait_until(lambda: _running(service) == 0.0, 30, "the engine is free")


def test_a_conversation_that_is_too_long_is_told(service, page):
    """What vLLM refuses is told in words, with the limit of the model."""
    assert service.key()
    page.goto("/try")

    _ask(page, "word " * 20_000)

    expect(page.locator(".chat-answer")).to_contain_text(
        re.compile(r"longer than the model can read, which is [\d,]+ tokens")
    )


def test_a_portal_that_is_killed_disturbs_no_client_of_the_api(service, page, tmp_path):
    """A stream of the API goes on while a portal with an answer is killed."""
    with portal_process(load_settings(service.environment), tmp_path) as doomed:
        page.goto(f"{doomed.base_url}{doomed.login_path}")
        page.goto(f"{doomed.base_url}/try")
        pieces: list[str] = []
        client = threading.Thread(target=_stream, args=(service, pieces))
        client.start()
        _ask_for_much(page)
        wait_until(lambda: pieces, 60, "the first piece")

        doomed.process.kill()

        client.join(120)
    assert pieces[-1] == "length"


def _stream(service, pieces):
    with openai.OpenAI(base_url=service.base_url, api_key=service.key()) as client:
        stream = client.chat.completions.create(
            model=client.models.list().data[0].id,
            messages=[{"role": "user", "content": "Hello!"}],
            max_tokens=128,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        for chunk in stream:
            choice = chunk.choices[0]
            pieces.append(choice.finish_reason or choice.delta.content or "")


def test_the_log_of_the_start_is_searched(service, page):
    """The engine's log is there, and the line of its readiness is found."""
    assert service.key()
    page.goto("/logs?find=Application+startup+complete")

    current = page.locator(".log-current")
    expect(current).to_contain_text("Application startup complete")
    assert not re.search("[\x1b\r]", page.locator(".log-rows").inner_text())


def test_texts_are_compared_by_an_embedding_model(service, page):
    """After a switch to the embedding model, like texts are nearer than unlike ones."""
    _select(service, MINILM)
    assert service.wait_switch()["phase"] == "done"
    page.goto("/try")
    compare = page.get_by_role("button", name="Compare")
    expect(compare).to_be_enabled(timeout=300_000)
    page.get_by_role("button", name="Add a text").click()
    texts = ("A cat sleeps.", "A kitten is asleep.", "Interest rates rose again.")
    for number, text in enumerate(texts, 1):
        page.get_by_label(f"Text {number}").fill(text)
    compare.click()

    told = page.get_by_text(re.compile("compared with the first"))
    expect(told).to_have_count(2)
    near, far = (float(text.rsplit(" ", 1)[1]) for text in told.all_inner_texts())

    assert near > far + 0.2
