"""The presets as data: what is offered, and how wrong data is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from vllm_pkg.errors import PackageDataInvalid, PresetUnknown
from vllm_pkg.hardware.facts import Tier
from vllm_pkg.models import presets
from vllm_pkg.models.local import LocalModel
from vllm_pkg.models.presets import (
    Task,
    find_preset,
    load_presets,
    parse_presets,
)
from vllm_pkg.state.store import EnvironmentVariable

GOOD: dict[str, Any] = {
    "one": {
        "name": "One",
        "task": "chat",
        "attention_heads": 16,
        "kv_heads": [2],
        "tiers": {
            "cpu": {
                "args": ["org/one", "--enforce-eager"],
                "min_gib": 4,
                "context": [[4, 1024], [8, 2048, 512]],
                "env": [{"name": "A", "value": "1"}],
            }
        },
    }
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the good document with another value at a dotted path."""
    document = copy.deepcopy(GOOD)
    *folders, last = path.split(".")
    place = document
    for folder in folders:
        place = place[folder]
    place[last] = value
    return document


def test_offered_presets_in_order_of_preference():
    """The nine published presets come first, then the small ones, tiny last."""
    assert [preset.id for preset in load_presets()] == [
        "qwen36-35b-a3b",
        "qwen36-27b",
        "qwen3-next-80b-a3b",
        "qwen3-30b-a3b",
        "llama-33-70b",
        "mistral-small-32-24b",
        "gemma4-31b",
        "gemma4-26b-a4b",
        "nemotron3-elastic-30b-a3b",
        "qwen3-1.7b",
        "qwen3-0.6b",
        "minilm",
        "tiny",
    ]


@pytest.mark.parametrize(
    ("preset_id", "floors_gib"),
    [
        ("qwen36-35b-a3b", (32, 30, 30, 45, None)),
        ("qwen36-27b", (28, 25, 25, 35, None)),
        ("qwen3-next-80b-a3b", (56, 55, 55, 95, None)),
        ("qwen3-30b-a3b", (25, 22, 22, 38, None)),
        ("llama-33-70b", (60, 44, 44, 85, None)),
        ("mistral-small-32-24b", (22, 30, 30, 30, None)),
        ("gemma4-31b", (22, 32, 24, 40, None)),
        ("gemma4-26b-a4b", (16, 28, None, 32, None)),
        ("nemotron3-elastic-30b-a3b", (24, 40, None, 40, None)),
        ("qwen3-1.7b", (8, 8, 8, 8, 10)),
        ("qwen3-0.6b", (4, 4, 4, 4, 6)),
        ("minilm", (2, 2, 2, 2, 4)),
        ("tiny", (2, 2, 2, 2, 3)),
    ],
)
def test_tiers_and_floors(preset_id, floors_gib):
    """Each preset is offered on its tiers, with its floor in GiB."""
    tiers = find_preset(preset_id).tiers
    found = tuple(tiers[tier].min_gib if tier in tiers else None for tier in Tier)
    assert found == floors_gib


def test_repositories_per_tier():
    """The repository of each tier stands first in its arguments."""
    tiers = find_preset("mistral-small-32-24b").tiers
    fp8 = "RedHatAI/Mistral-Small-3.2-24B-Instruct-2506-FP8"
    assert {str(tier): found.model for tier, found in tiers.items()} == {
        "nvidia-blackwell": "RedHatAI/Mistral-Small-3.2-24B-Instruct-2506-NVFP4",
        "nvidia-hopper": fp8,
        "nvidia-older": fp8,
        "amd": fp8,
    }


def test_all_fp8_repositories_of_amd_need_fp8():
    """On AMD, FP8 repositories, and only they, are not offered without FP8."""
    for preset in load_presets():
        found = preset.tiers.get(Tier.AMD)
        if found is not None:
            assert found.requires_fp8 == ("fp8" in found.model.lower()), preset.id


def test_local_models():
    """Two presets serve models that the package brings itself."""
    found = {
        preset.id: configuration.local_model
        for preset in load_presets()
        for configuration in preset.tiers.values()
        if configuration.local_model is not None
    }
    assert found == {"minilm": LocalModel.MINILM, "tiny": LocalModel.TINY}


def test_tiny_says_what_it_is():
    """Nobody takes the test model for a real one."""
    preset = find_preset("tiny")
    assert preset.name == "Tiny test model (random weights, talks nonsense)"
    assert preset.is_never_default


def test_every_cpu_configuration_bounds_its_cache():
    """On a CPU vLLM would take 92 % of the memory, so each step gives a size."""
    steps = [
        step
        for preset in load_presets()
        for tier, configuration in preset.tiers.items()
        if tier is Tier.CPU
        for step in configuration.context
    ]
    assert len(steps) == 8
    assert all(step.kv_cache_mib for step in steps)


def test_good_document_is_understood():
    """Every key of the format arrives."""
    (preset,) = parse_presets(GOOD)
    configuration = preset.tiers[Tier.CPU]
    assert (preset.id, preset.task, preset.other_heads) == ("one", Task.CHAT, ())
    assert configuration.args == ("org/one", "--enforce-eager")
    assert configuration.context == ((4, 1024, None), (8, 2048, 512))
    assert configuration.env == (EnvironmentVariable("A", "1"),)
    assert not configuration.requires_fp8


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, "presets.yaml does not map ids of presets to presets"),
        ({}, "presets.yaml does not map ids of presets to presets"),
        ({"one": 1}, "presets.yaml: one is not a preset"),
        (changed("one.size", 1), "one.size: extra inputs are not permitted"),
        (changed("one.name", ""), "one.name: string should have at least 1 character"),
        (
            changed("one.task", "draw"),
            "one.task: input should be 'chat' or 'embedding'",
        ),
        (changed("one.attention_heads", 0), "one.attention_heads: input should be gre"),
        (
            changed("one.attention_heads", "16"),
            "one.attention_heads: input should be a",
        ),
        (
            changed("one.kv_heads", []),
            "one.kv_heads: tuple should have at least 1 item",
        ),
        (changed("one.tiers.gpu", {}), "one.tiers.gpu.[key]: input should be 'nvidia-"),
        (changed("one.tiers.cpu.min_gib", None), "one.tiers.cpu.min_gib: input should"),
        (
            changed("one.tiers.cpu.context", [[4]]),
            "one.tiers.cpu.context.0.1: field required",
        ),
        (
            changed("one.tiers.cpu.context", [[5, 1024]]),
            "one.tiers.cpu: context must have a step for min_gib, which is 4 GiB",
        ),
        (
            changed("one.tiers.cpu.context", [[4, 1024], [4, 2048]]),
            "one.tiers.cpu: context must ascend in memory, and not fall in length",
        ),
        (
            changed("one.tiers.cpu.context", [[4, 1024], [8, 512]]),
            "one.tiers.cpu: context must ascend in memory, and not fall in length",
        ),
        (
            changed("one.tiers.cpu.args", ["--model", "x"]),
            "one.tiers.cpu: args must begin with a model, not with --model",
        ),
        (
            changed("one.tiers.cpu.args", ["x", "--moe_backend", "triton"]),
            "one.tiers.cpu: args must spell --moe_backend with hyphens",
        ),
        (
            changed("one.tiers.cpu.args", ["x", "--port=1"]),
            "one.tiers.cpu: args must spell --port=1 with hyphens and without a value",
        ),
        (
            changed("one.tiers.cpu.args", ["x", "--max-model-len", "1"]),
            "one.tiers.cpu: args must not hold --max-model-len: the fit computes it",
        ),
        (
            changed("one.tiers.cpu.args", ["{local}/big"]),
            "one.tiers.cpu: args must name a local model of tiny, minilm",
        ),
    ],
)
def test_wrong_data_is_refused(document, expected):
    """The error names the key and what was expected there."""
    with pytest.raises(PackageDataInvalid) as caught:
        parse_presets(document)
    assert expected in caught.value.message


@pytest.mark.parametrize("content", [b"one: [", b"\xff\xfe\xfd"])
def test_unreadable_file_is_refused(tmp_path, monkeypatch, content):
    """A file that is no YAML gives the package's own error, not a traceback."""
    file = tmp_path / "presets.yaml"
    file.write_bytes(content)
    monkeypatch.setattr(presets, "PRESETS_FILE", file)
    with pytest.raises(PackageDataInvalid, match="cannot read presets"):
        load_presets.__wrapped__()


def test_unknown_preset_gets_a_suggestion():
    """A typing error is answered with the id that was meant."""
    with pytest.raises(PresetUnknown) as caught:
        find_preset("qwen36-27")
    assert caught.value.message == "there is no preset 'qwen36-27'"
    assert caught.value.hint == "did you mean qwen36-27b?"


def test_unknown_preset_without_a_similar_one():
    """With nothing similar the hint says where the list is."""
    with pytest.raises(PresetUnknown) as caught:
        find_preset("?")
    assert caught.value.hint == (
        "see vllm-pkg preset list; a repository is named org/name"
    )
