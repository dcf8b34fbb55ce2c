"""The starts of the engine: the present one and those before it."""

from __future__ import annotations

from support.settings_factory import make_settings
from vllm_pkg.engine.phases import Phase
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.engine.recorder.history import StartRun, add_run
from vllm_pkg.engine.recorder.measured import MeasuredMemory
from vllm_pkg.service.starts import starts_json
from vllm_pkg.state import records

MEMORY = MeasuredMemory(weights_gib=1.5, kv_cache_gib=2.0, kv_cache_tokens=4096)


def _run(at: str) -> StartRun:
    phases = ((Phase.LOAD, 10.0), (Phase.COMPILE, 2.5))
    return StartRun(at=at, phases=phases, memory=MEMORY)


def test_nothing_has_started_yet(tmp_path):
    """Without any start there is no present one and no earlier one."""
    assert starts_json(make_settings(tmp_path)) == {"present": None, "earlier": []}


def test_earlier_starts_come_with_their_phases(tmp_path):
    """The newest first, whatever their model, and told whether it is the same."""
    settings = make_settings(tmp_path)
    add_run(settings, "one", "org/one", _run("2026-01-01T00:00:00+00:00"))
    add_run(settings, "two", "org/two", _run("2026-01-03T00:00:00+00:00"))
    add_run(settings, "one", "org/one", _run("2026-01-02T00:00:00+00:00"))
    process = own_identity()
    start = records.StartRecord(
        process, 1.0, "127.0.0.1", 8000, "org/one", key="one", started_at="2026-01-04"
    )
    records.write_record(settings.start_file, start)

    document = starts_json(settings)

    assert document["present"]["model"] == "org/one"
    assert document["present"]["startedAt"] == "2026-01-04"
    assert [(run["model"], run["isSame"]) for run in document["earlier"]] == [
        ("org/two", False),
        ("org/one", True),
        ("org/one", True),
    ]
    assert document["earlier"][0] == {
        "startedAt": "2026-01-03T00:00:00+00:00",
        "model": "org/two",
        "seconds": 12.5,
        "phases": [
            {"phase": "load", "seconds": 10.0},
            {"phase": "compile", "seconds": 2.5},
        ],
        "weightsGib": 1.5,
        "kvCacheGib": 2.0,
        "kvCacheTokens": 4096,
        "isSame": False,
    }
