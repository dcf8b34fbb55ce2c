"""What is to be served is judged on this machine before it is fetched."""

from __future__ import annotations

import pytest

from support.settings_factory import make_settings
from support.sizing_cases import gpu_hardware
from support.tiny_checkpoint import write_checkpoint
from vllm_pkg.engine.fit_check import assess_serving, is_refused, require_run
from vllm_pkg.errors import ModelDoesNotFit
from vllm_pkg.models.sizing.verdict import Verdict
from vllm_pkg.state.store import EnvironmentVariable

LARGE = gpu_hardware(24.0, free_gib=23.5)
SMALL = gpu_hardware(0.2, free_gib=0.2)


@pytest.fixture(name="judge")
def judge_fixture(tmp_path, monkeypatch):
    """A function that judges arguments on a machine."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    settings = make_settings(tmp_path)
    return lambda arguments, env=(), machine=LARGE: assess_serving(
        settings, machine, arguments, env
    )


def test_what_runs_passes(judge, tmp_path):
    """A small model on a large card is let through."""
    found = judge((str(write_checkpoint(tmp_path / "model")),))

    require_run(found)
    assert (found.verdict, is_refused(found)) == (Verdict.RUNS, False)


def test_what_needs_a_change_is_refused_with_the_change(judge, tmp_path):
    """A context that is longer than the model's own: the hint names flag and value."""
    model = str(write_checkpoint(tmp_path / "model"))

    with pytest.raises(ModelDoesNotFit, match="runs here with") as caught:
        require_run(judge((model, "--max-model-len", "4096")))

    assert caught.value.hint == "put --max-model-len 2048 into its arguments"
    assert caught.value.options == (("--max-model-len", "2048"),)


def test_what_does_not_run_is_refused_with_what_is_missing(judge, tmp_path):
    """A model that needs more than the card has is told in GiB."""
    model = str(write_checkpoint(tmp_path / "model"))

    with pytest.raises(ModelDoesNotFit, match="GiB are missing") as caught:
        require_run(judge((model,), machine=SMALL))

    assert caught.value.hint == ModelDoesNotFit.default_hint


def test_what_nobody_knows_passes_and_no_network_is_used(judge):
    """A variable that forbids to ask the Hub is heeded; unknown is no refusal."""
    found = judge(("org/name",), (EnvironmentVariable("HF_HUB_OFFLINE", "1"),))

    require_run(found)
    assert found.verdict is Verdict.UNKNOWN
    assert found.reason is not None
    assert "HF_HUB_OFFLINE forbids to ask the Hub" in found.reason
