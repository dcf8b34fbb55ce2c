"""Machine: what it has, how it was in the last minutes, and its programs."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from support.accessibility import barriers, overflow_px
from support.engine_supervisor import engine_state, engine_supervisor
from support.portal_process import portal_process
from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.engine import processes
from vllm_pkg.state.records import HostRecord, write_record

GPU = {
    "vendor": "nvidia",
    "index": 0,
    "name": "Test GPU",
    "compute_capability": "8.9",
    "memory_gib": 24.0,
    "free_gib": 18.0,
}
OLD = GPU | {"name": "Old GPU", "compute_capability": "3.5"}


@pytest.fixture(name="settings", scope="module")
def settings_fixture(tmp_path_factory):
    """Settings over volumes that all tests of this file share."""
    return make_settings(tmp_path_factory.mktemp("volumes"))


@pytest.fixture(name="hardware", scope="module")
def hardware_fixture(tmp_path_factory):
    """The recorded machine; it may be exchanged, and is put back afterwards."""
    return tmp_path_factory.mktemp("hardware") / "hardware.json"


@pytest.fixture(name="portal", scope="module")
def portal_fixture(settings, tmp_path_factory, hardware):
    """A portal on a recorded machine with one GPU."""
    _record(hardware, GPU)
    folder = tmp_path_factory.mktemp("portal")
    variables = {"VLLM_PKG_HARDWARE": str(hardware)}
    with portal_process(settings, folder, **variables) as running:
        yield running


def _record(hardware, gpu):
    hardware.write_text(json.dumps({"gpus": [gpu], "system_memory_gib": 62.6}))


def _region(page, name):
    return page.get_by_role("region", name=name, exact=True)


def test_the_first_line_and_the_gpu(visit):
    """The sentence says what there is; the GPU has a bar with the same in words."""
    page = visit("/machine")

    expect(page.locator(".vp-headline")).to_contain_text("1 GPU with 24.0")
    bar = _region(page, "GPUs").get_by_role("progressbar", name="GPU 0: Test GPU")
    expect(bar).to_have_attribute("aria-valuenow", "25")
    expect(_region(page, "Memory, disk and network")).to_contain_text("free")


def test_charts_grow_while_the_portal_runs(visit):
    """Each has its value as text; more points come without a reload."""
    page = visit("/machine")
    chart = (
        _region(page, "The last five minutes")
        .get_by_role("img")
        .filter(has=page.locator("polyline"))
    )
    expect(chart.first).to_be_visible()

    def points():
        drawn = page.locator(".vp-chart-svg polyline").first
        return len((drawn.get_attribute("points") or "").split())

    few = points()
    wait_until(lambda: points() > few, 30, "a further point is drawn")
    label = chart.first.get_attribute("aria-label")
    assert "at the highest" in label


def test_the_charts_of_an_earlier_visit_are_there_at_once(visit):
    """The portal keeps them; they do not begin anew with each visitor."""
    first = visit("/machine")
    drawn = first.locator(".vp-chart-svg polyline").first
    wait_until(
        lambda: len((drawn.get_attribute("points") or "").split()) > 2, 30, "points"
    )

    second = visit("/machine")

    points = second.locator(".vp-chart-svg polyline").first.get_attribute("points")
    assert len(points.split()) > 2


def test_without_a_service_there_is_nothing_to_steer(visit):
    """The page says so, and offers no button."""
    page = visit("/machine")

    programs = _region(page, "Programs of the service")
    expect(programs).to_contain_text("there is nothing to start or stop")
    assert programs.get_by_role("button").count() == 0


def test_a_program_is_started_and_stopped(visit, settings, tmp_path):
    """Stopping says first what it interrupts; supervisord does what was clicked."""
    with engine_supervisor(tmp_path) as socket:
        record = HostRecord(processes.own_identity(), "127.0.0.1", 1, str(socket))
        write_record(settings.host_file, record)
        try:
            _start_and_stop(visit("/machine"), socket)
        finally:
            settings.host_file.unlink()


def _start_and_stop(page, socket):
    programs = _region(page, "Programs of the service")
    programs.get_by_role("button", name="Start: Engine").click()
    expect(programs).to_contain_text("Running")
    assert engine_state(socket) == "RUNNING"

    programs.get_by_role("button", name="Stop: Engine").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Requests that run are cut")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert engine_state(socket) == "RUNNING"

    programs.get_by_role("button", name="Stop: Engine").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(programs).to_contain_text("Stopped")
    assert engine_state(socket) == "STOPPED"


def test_what_cannot_be_used_says_why(visit, hardware):
    """The notes of the detection come and go with what is found, without a reload."""
    page = visit("/machine")
    notes = _region(page, "What was found out about this machine")
    expect(page.locator(".vp-headline")).to_contain_text("1 GPU with 24.0")
    assert notes.count() == 0

    _record(hardware, OLD)
    try:
        expect(notes).to_contain_text("Old GPU")
        expect(page.locator(".vp-headline")).to_contain_text("Nothing here can serve")
    finally:
        _record(hardware, GPU)

    expect(notes).to_have_count(0)


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_use_it(visit, width, color_scheme):
    """axe-core finds no barrier, and nothing is wider than the screen."""
    page = visit("/machine", width=width, color_scheme=color_scheme)
    expect(page.locator(".vp-chart-svg").first).to_be_visible()

    assert barriers(page) == []
    assert overflow_px(page) <= 0
