"""Models: what could run here, fetching it, checking it, and removing it."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from playwright.sync_api import expect

from support.accessibility import barriers, overflow_px
from support.downloads import WEIGHTS, write_model
from support.hub_cache import write_cached_model
from support.hub_faults import slow
from support.hub_server import HubServer
from support.model_cache import ONE, TWO, add_revision, occupied_bytes, weights_of
from support.portal_process import portal_process
from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.models.download.layout import RepositoryFolder

GPU = {
    "vendor": "nvidia",
    "index": 0,
    "name": "Test GPU",
    "compute_capability": "8.9",
    "memory_gib": 24.0,
    "free_gib": 23.0,
}
LARGE_BYTES = 3_000_000


@pytest.fixture(name="settings", scope="module")
def settings_fixture(tmp_path_factory):
    """Settings over volumes that all tests of this file share."""
    return make_settings(tmp_path_factory.mktemp("volumes"))


@pytest.fixture(name="hub", scope="module")
def hub_fixture(tmp_path_factory):
    """A Hub on loopback with a small model under several names."""
    folder = write_model(tmp_path_factory.mktemp("hub"))
    with HubServer() as hub:
        for name in ("acme/new", "acme/slow", "acme/damaged"):
            hub.add(name, folder)
        yield hub


@pytest.fixture(name="hardware", scope="module")
def hardware_fixture(tmp_path_factory):
    """The recorded machine; it may be exchanged, and is put back afterwards."""
    path = tmp_path_factory.mktemp("hardware") / "hardware.json"
    _record(path, GPU)
    return path


def _record(hardware, gpu):
    hardware.write_text(json.dumps({"gpus": [gpu], "system_memory_gib": 62.6}))


@pytest.fixture(name="portal", scope="module")
def portal_fixture(settings, tmp_path_factory, hub, hardware):
    """A portal over a small cache, on a recorded machine with one GPU."""
    folder = tmp_path_factory.mktemp("portal")
    write_cached_model(settings.models_dir, "acme/tiny")
    large = settings.models_dir / "models--acme--large"
    files = {"config.json": b"{}", "model.safetensors": weights_of(LARGE_BYTES)}
    add_revision(large, ONE, files, ("main",))
    add_revision(large, TWO, files | {"more.safetensors": weights_of(LARGE_BYTES + 1)})
    variables = {"VLLM_PKG_HARDWARE": str(hardware), "HF_ENDPOINT": hub.url}
    with portal_process(settings, folder, **variables) as running:
        yield running


def _region(page, name):
    return page.get_by_role("region", name=name, exact=True)


def _job(page, name):
    """Return the downloads and checks of a model."""
    return (
        _region(page, "Downloads and checks")
        .get_by_role("listitem")
        .filter(has_text=name)
    )


def test_the_first_line_and_the_presets(visit):
    """The sentence counts what fits; the best preset is first, with the one button."""
    page = visit("/models")

    expect(page.locator(".vp-headline")).to_contain_text("of 13 presets fit.")
    presets = _region(page, "Presets").get_by_role("listitem")
    expect(presets.first).to_contain_text("Best for this machine")
    expect(page.locator(".vp-primary")).to_have_count(1)
    expect(_region(page, "Presets")).to_contain_text("and this machine has 24.0")


def test_a_preset_opens_the_form_of_set_model(visit):
    """The form begins with the preset that was clicked."""
    page = visit("/models")

    page.get_by_role("button", name="Use this model: Qwen3 0.6B").click()

    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    chosen = dialog.get_by_role("radio", name="Qwen3 0.6B", exact=True)
    expect(chosen).to_be_checked()


def test_any_repository_has_its_answer(visit):
    """Asked by keyboard alone; a name that is none is told at its field."""
    page = visit("/models")
    field = page.get_by_label("Repository", exact=True)

    field.fill("nonsense")
    field.press("Enter")
    expect(page.get_by_text("Enter a repository such as org/name.")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")

    field.fill("acme/new")
    field.press("Enter")
    question = _region(page, "Any other model")
    expect(question.get_by_role("heading", level=3)).to_contain_text(
        "acme/new runs here"
    )

    question.get_by_label("Arguments of vllm serve").fill("--nonsense 1")
    question.get_by_role("button", name="Check whether it runs").click()
    expect(question).to_contain_text("--nonsense")


def test_an_answer_with_a_change_is_taken_over_by_one_click(visit):
    """A context that the model does not have is exchanged for the one it has."""
    page = visit("/models")
    question = _region(page, "Any other model")
    question.get_by_label("Repository", exact=True).fill("acme/new")
    question.get_by_label("Arguments of vllm serve").fill("--max-model-len 1000000")
    question.get_by_role("button", name="Check whether it runs").click()

    take_over = question.get_by_role("button", name="Use it with --max-model-len")
    take_over.first.click()

    typed = page.get_by_role("dialog").get_by_label("Arguments of vllm serve")
    expect(typed).to_have_value("acme/new --max-model-len 2048")


def test_a_model_that_nobody_has_is_unknown(visit):
    """The answer says why, in the words of the Hub's answer."""
    page = visit("/models")
    page.get_by_label("Repository", exact=True).fill("acme/missing")
    page.get_by_role("button", name="Check whether it runs").click()

    question = _region(page, "Any other model")
    expect(question).to_contain_text("Whether acme/missing runs here is not known.")
    expect(question.get_by_role("status").locator("p").first).not_to_be_empty()


def _arrived_bytes(settings):
    arrived = 0
    for path in settings.models_dir.glob("models--acme--slow/blobs/*.incomplete"):
        # The small files are whole, and get another name, before the weights are.
        with contextlib.suppress(FileNotFoundError):
            arrived += path.stat().st_size
    return arrived


def test_a_download_is_cancelled_and_goes_on(visit, settings, hub):
    """It moves, ends when told to, keeps what has arrived, and is whole in the end."""
    weights = hub.repositories["acme/slow"].files("main")[WEIGHTS].size_bytes
    hub.fail("acme/slow", WEIGHTS, slow(weights // 20))
    page = visit("/models")
    page.get_by_label("Repository", exact=True).fill("acme/slow")
    page.get_by_role("button", name="Check whether it runs").click()
    page.get_by_role("button", name="Download it first").click()

    downloads = _job(page, "acme/slow")
    bar = downloads.get_by_role("progressbar", name="Progress of acme/slow")
    expect(bar).to_have_attribute("aria-valuetext", re.compile(" of "))
    wait_until(lambda: _arrived_bytes(settings) > 0, 30, "a piece of the weights")
    downloads.get_by_role("button", name="Cancel the download").click()
    expect(downloads).to_contain_text("What has arrived is kept.")
    assert _arrived_bytes(settings) > 0

    hub.fail("acme/slow", WEIGHTS)
    downloads.get_by_role("button", name="Go on").click()
    expect(downloads).to_contain_text("acme/slow is complete on the disk.")
    expect(_region(page, "On this disk")).to_contain_text("acme/slow")
    folder = RepositoryFolder(settings.models_dir, "acme/slow")
    path = folder.pointer(folder.commit_of("main") or "", WEIGHTS)
    assert path.stat().st_size == weights


def test_a_damaged_file_is_found_and_fetched_again(visit, settings, hub):
    """A check of all content finds what a quick one cannot, and a click mends it."""
    page = visit("/models")
    page.get_by_label("Repository", exact=True).fill("acme/damaged")
    page.get_by_role("button", name="Check whether it runs").click()
    page.get_by_role("button", name="Download it first").click()
    done = _region(page, "Downloads and checks")
    expect(done).to_contain_text("acme/damaged is complete on the disk.")
    folder = RepositoryFolder(settings.models_dir, "acme/damaged")
    path = folder.pointer(folder.commit_of("main") or "", WEIGHTS).resolve()
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    page.get_by_role("button", name="Check all content of acme/damaged").click()
    expect(done).to_contain_text("1 file of acme/damaged is damaged.")
    expect(done).to_contain_text(f"{WEIGHTS} has the wrong content.")
    done.get_by_role("button", name="Fetch the damaged files again").click()

    expect(done).to_contain_text("1 file was fetched anew.")
    assert path.read_bytes() == content
    assert hub.sent_bytes["acme/damaged", WEIGHTS] >= 2 * len(content)


def test_a_removal_frees_what_its_plan_says(visit, settings):
    """Nothing goes before it is confirmed; then the bytes on the disk come free."""
    page = visit("/models")
    cache = _region(page, "On this disk")
    revision = cache.get_by_role("listitem").filter(has_text=f"Revision {TWO[:12]}")
    before = occupied_bytes(settings.models_dir)

    revision.last.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It must be downloaded again to be used.")
    expect(dialog).to_contain_text("3 MiB of disk space.".replace(" MiB", "\xa0MiB"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert occupied_bytes(settings.models_dir) == before

    revision.last.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Delete 3").click()
    expect(page.get_by_text("came free.")).to_be_visible()

    freed = before - occupied_bytes(settings.models_dir)
    assert LARGE_BYTES <= freed <= LARGE_BYTES + 10_000
    expect(cache).not_to_contain_text(TWO[:12])
    assert (settings.models_dir / "models--acme--large/snapshots" / ONE).is_dir()


def test_the_picture_of_the_disk_has_the_same_in_numbers(visit):
    """Each part has its name and size in the label, and a line of the table."""
    page = visit("/models")

    disk = _region(page, "Disk")
    label = disk.get_by_role("img").get_attribute("aria-label")
    assert "acme/large" in label
    names = disk.get_by_role("rowheader").all_inner_texts()
    assert {"acme/large", "acme/tiny"} < set(names)
    assert names[-1] == "Free"


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_use_it(visit, width, color_scheme):
    """axe-core finds no barrier, and nothing is wider than the screen."""
    page = visit("/models", width=width, color_scheme=color_scheme)
    expect(_region(page, "Disk")).to_be_visible()

    assert barriers(page) == []
    assert overflow_px(page) <= 0


def test_a_machine_that_can_run_nothing_says_why(visit, hardware):
    """Below the first line stands what the detection has found."""
    _record(hardware, GPU | {"name": "Old GPU", "compute_capability": "3.5"})
    try:
        page = visit("/models")
        expect(page.locator(".vp-headline")).to_contain_text("no preset fits.")
        told = page.get_by_text("Old GPU has compute capability 3.5")
        expect(told.first).to_be_visible()
    finally:
        _record(hardware, GPU)


def test_every_button_is_reached_by_keyboard(visit):
    """The way from the first button to the last one needs no mouse."""
    page = visit("/models")
    last = _region(page, "On this disk").get_by_role("button", name="Remove").last
    expect(last).to_be_visible()
    buttons = page.locator(".vp-main").get_by_role("button").count()
    page.locator(".vp-main").focus()

    def is_reached():
        page.keyboard.press("Tab")
        return last.evaluate("element => element === document.activeElement")

    assert any(is_reached() for _ in range(buttons + 20))


def test_what_another_program_does_is_seen(visit, settings):
    """A model that appears in the cache is listed without a reload."""
    page = visit("/models")
    expect(_region(page, "On this disk")).to_contain_text("acme/tiny")

    write_cached_model(settings.models_dir, "acme/later")

    cache = _region(page, "On this disk")
    wait_until(lambda: "acme/later" in cache.inner_text(), 60, "it is listed")
