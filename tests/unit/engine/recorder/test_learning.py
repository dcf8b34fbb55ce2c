"""What a start teaches the estimates: of itself, and only when it told something."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine.recorder.history import start_id
from vllm_pkg.engine.recorder.learning import learn
from vllm_pkg.engine.recorder.measured import MeasuredMemory
from vllm_pkg.models.local import LocalModel, ensure_local_model
from vllm_pkg.models.sizing.learned import Memory, read_starts
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.state.identity import ProcessIdentity
from vllm_pkg.state.records import StartRecord

HARDWARE = Path(__file__).parents[3] / "data" / "hardware" / "cpu-24gib.json"
MEASURED = MeasuredMemory(kv_cache_gib=6.0, kv_cache_tokens=100_000)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """An instance with the tiny model selected."""
    settings = make_settings(tmp_path, VLLM_PKG_HARDWARE=str(HARDWARE))
    ensure_local_model(settings, LocalModel.TINY)
    select(settings, str(settings.local_models_dir / "tiny"))
    return settings


def select(settings, *serve_args):
    """Select a model."""
    document = {"serveArgs": [*serve_args, "--max-model-len", "512"]}
    settings.store_file.write_text(json.dumps(document))


def make_start(settings):
    """Return the record of a start of what is selected."""
    serve_args = json.loads(settings.store_file.read_text())["serveArgs"]
    return StartRecord(
        process=ProcessIdentity(1, 1, "boot"),
        started_s=1.0,
        host="127.0.0.1",
        port=8000,
        model="tiny",
        key=start_id(serve_args, load_manifest().engine_version),
    )


def test_a_start_is_kept_beside_its_prediction(settings):
    """What the log told stands there, with the weights that were predicted."""
    assert learn(settings, make_start(settings), MEASURED, {})

    ((key, kept),) = read_starts(settings).items()
    assert key.startswith(str(settings.local_models_dir / "tiny"))
    assert kept.measured == Memory(None, 6.0, 100_000)
    assert kept.predicted.kv_cache_gib == pytest.approx(5.0)
    assert kept.predicted.weights_gib is not None
    assert kept.is_cpu


@pytest.mark.parametrize("case", ["told nothing", "another selection", "no model"])
def test_nothing_is_kept_where_nothing_can_be_compared(settings, case):
    """A silent log, a model selected meanwhile and a missing one teach nothing."""
    start, measured = make_start(settings), MEASURED
    if case == "told nothing":
        measured = MeasuredMemory(kv_cache_gib=6.0)
    elif case == "another selection":
        select(settings, "org/other")
    else:
        select(settings, "org/missing")
        start = replace(start, key=make_start(settings).key)

    assert not learn(settings, start, measured, {})
    assert read_starts(settings) == {}


def test_a_damaged_store_disturbs_no_start(settings):
    """An estimate is an aid: what cannot be read is left alone."""
    start = make_start(settings)
    settings.store_file.write_text("{")

    assert not learn(settings, start, MEASURED, {})
    assert settings.store_file.read_text() == "{"
