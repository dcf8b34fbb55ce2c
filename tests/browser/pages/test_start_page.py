"""The page Start in a real browser, over the records that the recorder writes."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from support.portal_states import MODEL, MODEL_NAME, PRESET, small_api
from vllm_pkg.state.switch_file import observe_switches


def _headline(page):
    return page.locator(".vp-headline")


def test_start_tells_how_far_it_is_and_how_that_is_known(scene, visit):
    """Sentence, bar, phases and chart follow the records of the recorder."""
    scene.select(MODEL, selection=PRESET)
    scene.run_host()
    scene.remember_two_starts()
    scene.begin_start(
        phase="load",
        percent=47.0,
        phase_percent=62.0,
        eta_s=52.0,
        phases=(("prepare", 1.0), ("starting", 21.0)),
    )
    page = visit("/start")

    expect(_headline(page)).to_contain_text("Loading the weights: about 50 seconds")
    expect(
        page.get_by_text("The estimate comes from 2 earlier starts.")
    ).to_be_visible()
    now = page.locator("[aria-current=step]")
    expect(now).to_contain_text("Loading the weights")
    expect(now).to_contain_text("62% done")
    bars = page.get_by_role("region", name="This and earlier starts").get_by_role("img")
    expect(bars).to_have_count(3)
    expect(bars.last).to_have_accessible_name(
        re.compile(r"Download: 3\smin 2\ss; Start of the engine: 22\ss; Load: 38\ss")
    )

    scene.change_start(
        phase="compile",
        percent=80.0,
        phase_percent=None,
        phases=(("prepare", 1.0), ("starting", 21.0), ("load", 40.0)),
    )
    expect(now).to_contain_text("Compiling the model")
    expect(page.get_by_text(re.compile(r"Done in 40\ss"))).to_be_visible()


def test_start_without_a_start_says_so(visit):
    """An empty page tells what will be seen there."""
    page = visit("/start")

    expect(_headline(page)).to_have_text("No start is under way.")
    expect(page.get_by_text("No start has become ready yet.")).to_be_visible()


def _phase(settings):
    current = observe_switches(settings).current
    return None if current is None else current.phase


def test_a_switch_is_watched_and_cancelled(scene, settings, visit):
    """While the old model serves, the switch is shown; ending it says what is lost."""
    with small_api() as (port, _):
        scene.serve(port)
        scene.switch_to("Qwen/Qwen3-0.6B", selection="qwen3-0.6b")
        scene.progress_switch(5.1, 10.2)
        page = visit("/start")
        bar = page.get_by_role("progressbar", name="Progress of the switch")
        expect(bar).to_have_attribute("aria-valuenow", "50")
        expect(page.get_by_text("Downloading Qwen3 0.6B: 5.1 of 10.2")).to_be_visible()

        page.get_by_role("button", name="Cancel the switch").click()
        dialog = page.get_by_role("dialog", name="Cancel the switch to Qwen3 0.6B?")
        expect(dialog).to_contain_text("Qwen3 0.6B is not served.")
        expect(dialog).to_contain_text(f"{MODEL_NAME} goes on serving.")
        dialog.get_by_role("button", name="Keep switching").click()
        expect(dialog).to_have_count(0)
        assert _phase(settings) == "preparing"

        page.get_by_role("button", name="Cancel the switch").click()
        dialog.get_by_role("button", name="Cancel the switch").click()
        expect(page.get_by_role("alert")).to_contain_text("The switch is cancelled.")
        expect(bar).to_have_count(0)
        assert _phase(settings) == "cancelled"
