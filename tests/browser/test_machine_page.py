"""Machine: what it has, how it was in the last minutes, and its programs."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.portal_process import portal_process
from support.waiting import wait_until

GPU = {
    "vendor": "nvidia",
    "index": 0,
    "name": "Test GPU",
    "compute_capability": "8.9",
    "memory_gib": 24.0,
    "free_gib": 18.0,
}
OLD = GPU | {"name": "Old GPU", "compute_capability": "3.5"}
SERIOUS = {"serious", "critical"}
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(name="gpu")
def gpu_fixture(request):
    """The GPU of the recorded machine."""
    return getattr(request, "param", GPU)


@pytest.fixture(name="portal")
def portal_fixture(settings, tmp_path, gpu):
    """A portal on a recorded machine with one GPU."""
    hardware = tmp_path / "hardware.json"
    hardware.write_text(json.dumps({"gpus": [gpu], "system_memory_gib": 62.6}))
    variables = {"VLLM_PKG_HARDWARE": str(hardware)}
    with portal_process(settings, tmp_path, **variables) as running:
        yield running


def _region(page, name):
    return page.get_by_role("region", name=name)


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
    expect(chart.first).to_be_visible(timeout=30_000)

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


@pytest.mark.parametrize("gpu", [OLD], indirect=True)
def test_what_cannot_be_used_says_why(visit):
    """The notes of the detection stand on the page."""
    page = visit("/machine")

    notes = _region(page, "What was found out about this machine")
    expect(notes).to_contain_text("Old GPU")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_use_it(visit, width, color_scheme):
    """axe-core finds nothing serious, and nothing is wider than the screen."""
    page = visit("/machine", width=width, color_scheme=color_scheme)
    expect(page.locator(".vp-chart-svg").first).to_be_visible(timeout=30_000)

    found = Axe().run(page).response["violations"]

    assert [item["id"] for item in found if item["impact"] in SERIOUS] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
