"""Home in a real browser, over the records that the real program writes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from support.engine_supervisor import engine_state, engine_supervisor
from support.portal_states import MODEL, MODEL_NAME, PRESET, small_api
from vllm_pkg.state import atomic
from vllm_pkg.state.store import observe_store


def _headline(page):
    return page.locator(".vp-headline")


def _state(page):
    return page.get_by_role("status")


def test_each_state_is_told_without_a_reload(scene, visit):
    """From no model to a serving one, the open page says by itself what goes on."""
    page = visit()
    page.evaluate("window.isKept = true")

    expect(_headline(page)).to_have_text(
        "No model is selected. Choose one to start serving."
    )
    expect(_state(page)).to_contain_text("No model")

    scene.select(MODEL, selection=PRESET)
    expect(_headline(page)).to_have_text(
        "The service is not running. Start it with: vllm-pkg run"
    )

    scene.run_host()
    expect(_headline(page)).to_have_text(f"{MODEL_NAME} is starting.")
    expect(_state(page)).to_contain_text("Starting")

    scene.download()
    expect(_headline(page)).to_have_text(
        "Downloading 12.4 of 21.8 GiB at 84 MiB/s, about 2 minutes left; then the model"
        " is loaded."
    )
    bar = page.get_by_role("progressbar", name="Progress of the start")
    expect(bar).to_have_attribute("aria-valuenow", "41")

    scene.change_start(phase="load", percent=70.0, eta_s=40.0)
    expect(_headline(page)).to_have_text(
        re.compile(r"Loading the weights: about [34]0 seconds until it is ready\.")
    )
    expect(bar).to_have_attribute("aria-valuenow", "70")

    with small_api() as (port, _):
        scene.change_start(phase="ready", percent=100.0, ready_after_s=66.0, port=port)
        expect(_headline(page)).to_have_text(f"Serving {MODEL_NAME}. No request yet.")
        expect(_state(page)).to_contain_text("Ready")
        expect(bar).to_be_hidden()
        scene.use_key(seconds_ago=60)
        expect(_headline(page)).to_have_text(
            f"Serving {MODEL_NAME}. Last request 1 minute ago."
        )
        expect(page.get_by_role("link", name="2 requests running")).to_be_visible()
        expect(page.get_by_role("link", name="tokens/s")).to_be_visible()

    assert page.evaluate("window.isKept") is True


def test_a_state_that_cannot_be_read_is_told(settings, visit):
    """A damaged store.json is said to be one, and its repair ends that."""
    page = visit()
    expect(_state(page)).to_contain_text("No model")

    atomic.write_file(settings.store_file, b"{")

    expect(_headline(page)).to_have_text("The state of the service cannot be read.")
    expect(_state(page)).to_contain_text("Unknown")
    expect(page.get_by_text("store.json")).to_be_visible()

    settings.store_file.unlink()
    expect(_state(page)).to_contain_text("No model")


def test_the_critical_task_opens_its_action(visit):
    """Without a model the page's one primary button opens Set Model."""
    page = visit()
    tasks = page.get_by_role("region", name="To do")
    expect(tasks.get_by_text("Critical")).to_be_visible()

    tasks.get_by_role("button", name="Choose a model").click()

    expect(page.get_by_role("dialog")).to_contain_text("Set Model")


def test_the_result_of_a_task_outlives_the_task(visit):
    """What came of Set Model can be read although its task has left the page."""
    page = visit()
    tasks = page.get_by_role("region", name="To do")
    tasks.get_by_role("button", name="Choose a model").click()
    dialog = page.get_by_role("dialog", name="Set Model")
    dialog.get_by_role("radio", name="Tiny test model").check()
    dialog.get_by_role("button", name="Set Model").click()
    page.get_by_role("button", name="Go ahead").click()
    expect(tasks).to_be_hidden()

    result = page.get_by_role("dialog", name="Model Selected")
    expect(result).to_contain_text("It needs no download.")
    result.get_by_role("button", name="Close").click()
    expect(result).to_be_hidden()


@pytest.fixture(name="supervisor")
def supervisor_fixture(tmp_path):
    """The control socket of a supervisord whose engine waits."""
    with engine_supervisor(tmp_path) as socket:
        yield socket


def test_a_failure_is_mended_by_one_click(scene, settings, supervisor, visit):
    """The banner says what failed and why; its button changes that and restarts."""
    scene.select(MODEL, "--max-model-len", "40960")
    scene.run_host(str(supervisor))
    scene.fail()
    page = visit()
    banner = page.get_by_role("region", name="What went wrong")
    expect(banner).to_contain_text("The engine ended with exit code 1.")
    expect(banner).to_contain_text("needs 3.1 GiB more memory for its context.")
    expect(banner.get_by_role("link", name="Show log")).to_be_visible()

    banner.get_by_role("button", name="Set context to 24,576").click()

    expect(page.get_by_role("alert")).to_contain_text("--max-model-len to 24576")
    arguments = observe_store(settings).serve_args
    assert arguments == (MODEL, "--max-model-len", "24576")
    assert engine_state(supervisor) == "RUNNING"
    expect(banner).to_be_hidden()


def test_a_fix_that_cannot_be_made_says_why(scene, visit):
    """An error of the action is told in words, and the page goes on."""
    scene.select(MODEL, "--max-model-len", "40960")
    scene.run_host("/nowhere")
    scene.fail()
    page = visit()

    page.get_by_role("button", name="Set context to 24,576").click()

    expect(page.get_by_role("alert")).to_contain_text("The engine was not restarted")
    expect(_state(page)).to_contain_text("Starting")
