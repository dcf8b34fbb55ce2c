"""Recorded machines are understood exactly, or refused with the key that is wrong."""

from __future__ import annotations

import json

import pytest

from vllm_pkg.errors import SettingsInvalid
from vllm_pkg.hardware.facts import Gpu, Vendor
from vllm_pkg.hardware.recorded import parse_recording, read_recording

GPU = {
    "vendor": "nvidia",
    "index": 3,
    "name": "NVIDIA H100",
    "compute_capability": "9.0",
    "memory_gib": 79.65,
}


def test_a_printed_document_is_understood():
    """What the program prints can be replayed; what is derived is passed over."""
    recording = parse_recording(
        {
            "tier": "cpu",
            "memory_gib": 1,
            "system_memory_gib": 64,
            "gpus": [GPU],
            "source": "nvml",
            "notes": ["old"],
            "probe_failures": ["It failed."],
        }
    )
    assert recording.gpus == (Gpu(Vendor.NVIDIA, 3, "NVIDIA H100", "9.0", 79.65),)
    assert recording.system_memory_gib == 64.0
    assert recording.probe_failures == ("It failed.",)


def test_the_index_may_be_left_out():
    """A GPU without an index has its place in the list."""
    bare = {k: v for k, v in GPU.items() if k != "index"}
    recording = parse_recording({"gpus": [bare, bare], "system_memory_gib": 8})
    assert [gpu.index for gpu in recording.gpus] == [0, 1]


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"gpus": None}, "None at gpus", "a list of objects"),
        ({"gpus": [7]}, "7 at gpus[0]", "an object"),
        ({"gpus": [GPU | {"vendor": "intel"}]}, "gpus[0].vendor", "nvidia or amd"),
        ({"gpus": [GPU | {"vendor": []}]}, "gpus[0].vendor", "nvidia or amd"),
        ({"gpus": [GPU, GPU | {"index": -1}]}, "gpus[1].index", "a whole number"),
        ({"gpus": [GPU | {"index": True}]}, "gpus[0].index", "a whole number"),
        ({"gpus": [GPU | {"index": "0"}]}, "gpus[0].index", "a whole number"),
        ({"gpus": [GPU | {"name": " "}]}, "gpus[0].name", "a text"),
        (
            {"gpus": [GPU | {"compute_capability": 9.0}]},
            "9.0 at gpus[0].compute_capability",
            "a text",
        ),
        ({"gpus": [GPU | {"memory_gib": 0}]}, "gpus[0].memory_gib", "or null"),
        ({"gpus": [GPU | {"memory_gib": "8"}]}, "gpus[0].memory_gib", "or null"),
        (
            {"gpus": [{k: v for k, v in GPU.items() if k != "memory_gib"}]},
            "gpus[0].memory_gib",
            "or null",
        ),
        ({"system_memory_gib": None}, "None at system_memory_gib", "GiB above 0"),
        ({"system_memory_gib": True}, "True at system_memory_gib", "GiB above 0"),
        ({"system_memory_gib": -1}, "-1 at system_memory_gib", "GiB above 0"),
        ({"system_memory_gib": float("inf")}, "system_memory_gib", "GiB above 0"),
        ({"gpus": [GPU | {"free_gib": -1}]}, "-1 at gpus[0].free_gib", "GiB from 0"),
        ({"system_free_gib": True}, "True at system_free_gib", "GiB from 0"),
        ({"probe_failures": "x"}, "probe_failures", "a list of sentences"),
        ({"probe_failures": [1]}, "probe_failures", "a list of sentences"),
    ],
)
def test_a_wrong_value_is_named(change, message, hint):
    """A wrong value is refused; the message names its key, the hint what belongs."""
    with pytest.raises(SettingsInvalid) as caught:
        parse_recording({"gpus": [], "system_memory_gib": 64} | change)
    assert message in caught.value.message
    assert caught.value.message.startswith("the file in VLLM_PKG_HARDWARE has ")
    assert hint in caught.value.hint


def test_free_memory_may_be_recorded():
    """Free memory is read when it is there, also when nothing is free."""
    document = {
        "gpus": [GPU, GPU | {"free_gib": 0}],
        "system_memory_gib": 8,
        "system_free_gib": 5.5,
    }
    recording = parse_recording(document)
    assert [gpu.free_gib for gpu in recording.gpus] == [None, 0.0]
    assert recording.system_free_gib == 5.5


def test_something_else_than_an_object_is_refused():
    """A JSON value that is no object is refused."""
    with pytest.raises(SettingsInvalid, match="is no JSON object"):
        parse_recording([])


def test_a_file_is_read(tmp_path):
    """A good file is read; its null memory stays None."""
    path = tmp_path / "machine.json"
    machine = {"gpus": [GPU | {"memory_gib": None}], "system_memory_gib": 119.7}
    path.write_text(json.dumps(machine))
    assert read_recording(path).gpus[0].memory_gib is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, words):
    """A file that is missing or no JSON is refused, and left as it is."""
    path = tmp_path / "machine.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=words):
        read_recording(path)
    assert path.exists() is (content is not None)
