"""What earlier starts teach, and how they are kept."""

from __future__ import annotations

import json

import pytest

from support.settings_factory import make_settings
from vllm_pkg.models.sizing.estimate import Correction
from vllm_pkg.models.sizing.learned import (
    KEPT_MAX,
    Memory,
    Start,
    choose,
    compare,
    keep_start,
    model_key,
    read_starts,
)
from vllm_pkg.models.sizing.machine import GIB

PREDICTED = Memory(10.0, 5.0, 50000)


def start(measured: Memory, *, is_cpu: bool = False) -> Start:
    """Return a start whose prediction is always the same."""
    return Start(PREDICTED, measured, is_cpu=is_cpu)


@pytest.mark.parametrize(
    ("measured", "weights", "reserve_gib", "cache"),
    [
        (Memory(10.0, 5.0, 50000), 1.0, 0.0, 1.0),
        (Memory(11.0, 4.0, 40000), 1.1, 0.0, 1.0),
        (Memory(10.0, 4.0, 40000), 1.0, 1.0, 1.0),
        (Memory(10.0, 6.0, 60000), 1.0, -1.0, 1.0),
        (Memory(10.0, 5.0, 25000), 1.0, 0.0, 2.0),
        (Memory(10.01, 5.0, 50100), 1.0, -0.01, 1.0),
        (Memory(100.0, 5.0, 50000), 2.0, -16.0, 1.0),
        (Memory(None, 4.0, None), 1.0, 1.0, 1.0),
        (Memory(10.0, None, 50000), 1.0, 0.0, 1.0),
        (Memory(), 1.0, 0.0, 1.0),
    ],
)
def test_what_one_start_teaches(measured, weights, reserve_gib, cache):
    """Weights, what is needed beside them, and bytes per token are told apart."""
    found = compare(start(measured))
    assert found.weights_factor == pytest.approx(weights)
    assert found.reserve_bytes == pytest.approx(reserve_gib * GIB, abs=1)
    assert found.cache_factor == pytest.approx(cache)
    assert found.is_learned


def test_the_models_own_start_counts_first():
    """The same model and arguments teach all; other models only what is beside."""
    starts = {
        "own": start(Memory(11.0, 4.0, 40000)),
        "a": start(Memory(10.0, 4.5, 45000)),
        "b": start(Memory(10.0, 4.0, 40000)),
        "c": start(Memory(20.0, 1.0, 40000), is_cpu=True),
    }
    assert choose("own", starts, is_cpu=False).weights_factor == pytest.approx(1.1)
    other = choose("new", starts, is_cpu=False)
    assert other.weights_factor == 1.0
    assert other.reserve_bytes == GIB // 2
    assert choose("new", {}, is_cpu=False) == Correction()
    assert choose("new", {"a": starts["a"]}, is_cpu=True) == Correction()


def test_starts_are_kept(tmp_path):
    """A start is read back; of equal ones the last counts, and the oldest goes."""
    settings = make_settings(tmp_path)
    assert read_starts(settings) == {}
    for number in range(KEPT_MAX + 1):
        keep_start(settings, f"model {number}", start(Memory(float(number), None, 7)))
    keep_start(settings, "model 1", start(Memory(1.5, 2.5, 8), is_cpu=True))
    found = read_starts(settings)
    assert len(found) == KEPT_MAX
    assert "model 0" not in found
    assert list(found)[-1] == "model 1"
    assert found["model 1"] == start(Memory(1.5, 2.5, 8), is_cpu=True)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"starts": 1}', '{"starts": {"a": {}}}']
)
def test_a_damaged_file_reads_as_empty(tmp_path, content):
    """What cannot be understood is no start, and is left where it is."""
    settings = make_settings(tmp_path)
    settings.run_dir.mkdir(parents=True)
    settings.estimates_file.write_text(content)
    assert read_starts(settings) == {}
    assert settings.estimates_file.read_text() == content
    keep_start(settings, "new", start(Memory()))
    assert list(json.loads(settings.estimates_file.read_text())["starts"]) == ["new"]


def test_keys_name_model_and_arguments():
    """The order of arguments does not matter."""
    one = model_key("org/name", [("--b", "1"), ("--a", "")])
    assert one == model_key("org/name", [("--a", ""), ("--b", "1")])
    assert one == "org/name --a= --b=1"
    assert model_key("org/name", []) == "org/name"
