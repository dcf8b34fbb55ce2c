"""What is remembered of earlier starts."""

from __future__ import annotations

import json

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine.phases import Phase
from vllm_pkg.engine.recorder.history import (
    StartRun,
    add_run,
    expected_phases,
    read_runs,
    start_id,
)
from vllm_pkg.engine.recorder.measured import MeasuredMemory

MEMORY = MeasuredMemory(1.5, 2.5, 1000)


def run(number, **seconds):
    """Return a start with these phases."""
    phases = tuple((Phase(name), value) for name, value in seconds.items())
    return StartRun(f"start {number}", phases, MEMORY)


def test_what_is_added_is_read(tmp_path):
    """A start comes back as it was, in a private file; other keys have none."""
    settings = make_settings(tmp_path)
    first = StartRun("t", ((Phase.LOAD, 2.5), (Phase.WARM_UP, 1.0)), MEMORY)
    second = StartRun("u", ((Phase.LOAD, 3.5),), MeasuredMemory())

    add_run(settings, "key", "org/name", first)
    add_run(settings, "key", "org/name", second)

    assert read_runs(settings, "key") == (first, second)
    assert read_runs(settings, "other") == ()
    assert settings.start_history_file.stat().st_mode & 0o777 == 0o600
    document = json.loads(settings.start_history_file.read_text())
    assert document["starts"]["key"]["model"] == "org/name"


def test_the_file_is_bounded(tmp_path):
    """Of each model the last five starts are kept, and thirty models used last."""
    settings = make_settings(tmp_path)
    for number in range(7):
        add_run(settings, "first", "m", run(number, load=1.0))
    for number in range(29):
        add_run(settings, f"key {number}", "m", run(0, load=1.0))
    add_run(settings, "key 0", "m", run(1, load=1.0))
    kept = [item.at for item in read_runs(settings, "first")]

    add_run(settings, "last", "m", run(0, load=1.0))

    assert kept == ["start 2", "start 3", "start 4", "start 5", "start 6"]
    assert read_runs(settings, "first") == ()
    assert len(read_runs(settings, "key 0")) == 2
    assert len(json.loads(settings.start_history_file.read_text())["starts"]) == 30


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"starts": []}',
        '{"starts": {"key": null}}',
        '{"starts": {"key": {"runs": [{"at": "t"}]}}}',
        '{"starts": {"key": {"runs": [{"at": "t", "phases": 1, "memory": {}}]}}}',
        '{"starts": {"key": {"runs": [{"at": "t", "phases": [["x", 1]]}]}}}',
    ],
)
def test_a_strange_file_counts_as_none(tmp_path, text):
    """What cannot be understood is not there, and the next start replaces it."""
    settings = make_settings(tmp_path)
    settings.run_dir.mkdir(parents=True)
    settings.start_history_file.write_text(text)
    before = read_runs(settings, "key")

    add_run(settings, "key", "m", run(1, load=1.0))

    assert before == ()
    assert read_runs(settings, "key") == (run(1, load=1.0),)


def test_the_lower_middle_is_expected():
    """A first start that compiles does not spoil the times of those after it."""
    first = run(1, starting=10.0, load=5.0, compile=60.0)
    second = run(2, starting=11.0, load=4.0, compile=8.0)
    third = run(3, starting=9.0, load=6.0, compile=9.0, download=500.0)

    assert expected_phases([]) == {}
    assert expected_phases([first, second]) == {
        Phase.STARTING: 10.0,
        Phase.LOAD: 4.0,
        Phase.COMPILE: 8.0,
    }
    assert expected_phases([first, second, third]) == {
        Phase.STARTING: 10.0,
        Phase.LOAD: 5.0,
        Phase.COMPILE: 9.0,
    }


def test_arguments_and_version_make_the_key():
    """The same model with other arguments, or another vLLM, has another key."""
    keys = {
        start_id(("a", "b"), "1"),
        start_id(("a", "b"), "2"),
        start_id(("ab",), "1"),
        start_id((), "1"),
    }

    assert len(keys) == 4
    assert start_id(("a", "b"), "1") in keys
    assert {len(key) for key in keys} == {16}
