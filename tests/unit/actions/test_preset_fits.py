"""Presets whose files are here: judged as a switch to them would be."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import sys

import pytest

from support.hub_cache import COMMIT, write_cached_model
from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.preset_fits import PresetFits
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.engine.fit_check import assess_serving, is_refused
from vllm_pkg.errors import InvalidArgument, PresetDoesNotFit
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.hardware.facts import Vendor
from vllm_pkg.models.fit import force_preset
from vllm_pkg.models.local import LocalModel, ensure_local_model, find_places
from vllm_pkg.models.presets import find_preset
from vllm_pkg.service.fits import presets_json

LARGE, SMALL = "qwen36-27b", "qwen3-1.7b"
GIB = 1024**3
WEIGHTS = "model.safetensors"
# About 6 when each header is read once: a second look at one is seen.
CALLS_PER_TENSOR_MAX = 8


@pytest.fixture(name="settings")
def settings_fixture(tmp_path, monkeypatch):
    """A machine with one card of 24 GiB, which may not ask the Hub."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    card = {"name": "Card", "compute_capability": "8.6", "memory_gib": 24.0}
    gpus = [{"vendor": Vendor.NVIDIA, "index": 0, **card}]
    recording = tmp_path / "hardware.json"
    recording.write_text(json.dumps({"gpus": gpus, "system_memory_gib": 64.0}))
    return make_settings(tmp_path, VLLM_PKG_HARDWARE=str(recording))


def decide(settings, preset_id):
    """Return the decision about one preset."""
    return PresetFits(settings, detect_hardware(settings)).decide(
        find_preset(preset_id)
    )


def cache(settings, preset_id, *sizes_bytes):
    """Put a preset into the cache: the tiny model, or tensors of these sizes."""
    repository = repository_of(settings, preset_id)
    folder = write_cached_model(settings.models_dir, repository)
    snapshot = folder / "snapshots" / COMMIT
    config = json.loads((snapshot / "config.json").read_text())
    longer = json.dumps(config | {"max_position_embeddings": 65_536})
    (snapshot / "config.json").write_text(longer)
    if sizes_bytes:
        write_tensors(snapshot / WEIGHTS, sizes_bytes)
    return folder


def repository_of(settings, preset_id):
    """Return the repository of a preset on this machine."""
    tier = detect_hardware(settings).tier
    assert tier is not None
    return find_preset(preset_id).tiers[tier].model


def write_tensors(path, sizes_bytes):
    """Write weights of which only the header takes place on the disk."""
    header, end = {}, 0
    for number, size_bytes in enumerate(sizes_bytes):
        offsets = [end, end + size_bytes]
        header[f"model.{number}"] = {
            "dtype": "BF16",
            "shape": [size_bytes // 2],
            "data_offsets": offsets,
        }
        end += size_bytes
    data = json.dumps(header).encode()
    path.unlink()
    path.write_bytes(struct.pack("<Q", len(data)) + data)
    os.truncate(path, 8 + len(data) + end)


def form(settings):
    """Return the field of the form of Set Model."""
    context = ActionContext(settings=settings, is_running=False)
    return registry.action_input(context, "set-model").spec["config"]


def test_without_files_the_floor_decides(settings):
    """Nobody is asked, and the form says nothing of files."""
    large, small = decide(settings, LARGE), decide(settings, SMALL)

    assert (large.is_fitting, large.is_estimated) == (False, False)
    assert (small.is_fitting, small.is_estimated) == (True, False)
    assert large.reason == "needs 25 GiB, this machine has 24 GiB"
    assert "files" not in form(settings)["description"]


def test_files_that_are_small_enough_are_offered(settings):
    """What the estimate says runs here is not disabled because of a floor."""
    cache(settings, LARGE)

    fit = decide(settings, LARGE)

    assert (fit.is_fitting, fit.is_estimated) == (True, True)
    assert fit.serve_args[0] == repository_of(settings, LARGE)
    assert LARGE not in form(settings)["disabled"]
    told = "Those whose files are on this machine are judged by these."
    assert told in form(settings)["description"]


@pytest.mark.parametrize(
    ("size_bytes", "reason"),
    [
        (30 * GIB, r"by its files here, \d+\.\d GiB are missing"),
        (
            22 * GIB,
            r"by its files here, it runs only with --[a-z-]+ [\d.]+",
        ),
    ],
)
def test_files_that_are_too_large_are_not_offered(settings, size_bytes, reason):
    """The form refuses what a switch would refuse, and says by what it knows it."""
    cache(settings, SMALL, size_bytes)

    fit = decide(settings, SMALL)
    field = form(settings)
    context = ActionContext(settings=settings, is_running=False)

    assert (fit.is_fitting, fit.is_estimated) == (False, True)
    assert fit.reason is not None
    assert re.fullmatch(reason, fit.reason)
    assert SMALL in field["disabled"]
    assert fit.reason in field["variants"][SMALL]["name"]
    with pytest.raises(InvalidArgument):
        registry.run_action(
            context, "set-model", {"config": {"selection": SMALL, "value": {}}}
        )
    with pytest.raises(PresetDoesNotFit, match=reason):
        PresetFits(settings, detect_hardware(settings)).require(find_preset(SMALL))


def test_the_answer_is_the_one_of_a_switch(settings):
    """For each preset in the cache both say the same, whatever its floor says."""
    hardware = detect_hardware(settings)
    cache(settings, LARGE)
    cache(settings, SMALL, 30 * GIB)

    for fit in (decide(settings, LARGE), decide(settings, SMALL)):
        asked = force_preset(fit.preset, hardware, find_places(settings))
        answer = assess_serving(settings, hardware, asked.serve_args)
        assert fit.is_fitting is not is_refused(answer)


def test_a_model_of_the_package_is_not_judged(settings):
    """Its floor is enough, whether its folder is there or not."""
    before = decide(settings, "tiny")
    ensure_local_model(settings, LocalModel.TINY)

    assert decide(settings, "tiny") == before
    assert (before.is_fitting, before.is_estimated) == (True, False)


def test_what_is_not_about_memory_stays(settings):
    """No files make a preset run on a kind of machine that it has nothing for."""
    fit = decide(settings, "gemma4-26b-a4b")

    assert (fit.is_fitting, fit.is_estimated) == (False, False)


def test_a_partial_download_is_not_judged(settings):
    """Without all weights the floor decides."""
    folder = cache(settings, SMALL, 30 * GIB)
    (folder / "snapshots" / COMMIT / WEIGHTS).unlink()

    assert decide(settings, SMALL).is_estimated is False
    shutil.rmtree(folder)


def test_the_list_says_what_decided(settings):
    """Programs are told, preset by preset."""
    cache(settings, LARGE)

    told = {item["id"]: item["isEstimated"] for item in presets_json(settings)}

    assert told[LARGE] is True
    assert told[SMALL] is False


def test_a_form_with_many_tensors_opens_at_once(settings):
    """Of two large mixtures of experts in the cache each tensor is looked at once."""
    tensors = 0
    for preset_id in (LARGE, SMALL):
        cache(settings, preset_id, *[2 * 1024] * 20_000)
        tensors += 20_000
    context = ActionContext(settings=settings, is_running=False)
    registry.action_input(context, "set-model")

    field, calls = count_calls(
        lambda: registry.action_input(context, "set-model").spec["config"]
    )

    assert LARGE not in field["disabled"]
    assert calls / tensors < CALLS_PER_TENSOR_MAX


def count_calls(ask):
    """Return what *ask* returns, and how many functions were called for it."""
    calls = 0

    def count(_frame, event, _arg):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        answer = ask()
    finally:
        sys.setprofile(None)
    return answer, calls
