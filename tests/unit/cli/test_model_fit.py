"""``vllm-pkg model fit``: what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest

from support.command_line import MACHINES, snapshot
from support.service import free_port
from support.tiny_checkpoint import CONFIG, write_checkpoint


@pytest.fixture(name="model")
def model_fixture(tmp_path):
    """The folder of a small model."""
    return str(write_checkpoint(tmp_path / "model"))


def test_a_model_that_runs(cli, model):
    """The answer comes first; the exit code says it too; nothing is written."""
    before = snapshot(cli.folder)
    ended = cli("model", "fit", model)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{model} runs here.\n")
    document = cli("model", "fit", model, "--json").document()
    assert document["verdict"] == "runs"
    assert document["origin"] == "folder"
    assert document["estimate"]["kvCacheGib"] == 5.0
    assert snapshot(cli.folder) == before


def test_arguments_come_after_two_dashes(cli, model):
    """Arguments of vLLM are taken into account; a change ends with 1."""
    ended = cli("model", "fit", model, "--json", "--", "--max-model-len", "4096")
    assert ended.code == 1
    document = json.loads(ended.out)
    assert document["verdict"] == "runs-with-change"
    assert document["changes"][0] == [{"option": "--max-model-len", "value": "2048"}]


def test_a_wrong_argument_is_one_line(cli, model):
    """An argument that vLLM does not have is refused in one line."""
    ended = cli("model", "fit", model, "--", "--max-model-length", "5")
    assert ended.code == 2
    assert "--max-model-length" in ended.error_line()


def test_a_model_that_cannot_be_looked_at(cli, monkeypatch, tmp_path):
    """A Hub that does not answer gives no verdict, and the code for later."""
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    ended = cli("model", "fit", "org/name")
    assert (ended.code, ended.err) == (75, "")
    assert ended.out.startswith("Whether org/name runs here is unknown: ")


def test_a_preset_is_named_by_its_id(cli, monkeypatch, tmp_path):
    """A preset brings its repository and arguments for this machine."""
    monkeypatch.setenv("VLLM_PKG_HARDWARE", str(MACHINES / "h100.json"))
    monkeypatch.setenv("VLLM_PKG_VARIANT", "nvidia")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    document = json.loads(cli("model", "fit", "qwen3-30b-a3b", "--json").out)
    assert (
        document["model"].endswith("Qwen3-30B-A3B-AWQ-4bit")
        or "/" in (document["model"])
    )
    assert document["verdict"] == "unknown"


def test_a_model_that_does_not_run(cli, monkeypatch, tmp_path):
    """Too large a model ends with 1 and says what is missing."""
    monkeypatch.setenv("VLLM_PKG_HARDWARE", str(MACHINES / "rtx-3090.json"))
    monkeypatch.setenv("VLLM_PKG_VARIANT", "nvidia")
    wide = CONFIG | {"vocab_size": 500_000_000}
    folder = write_checkpoint(tmp_path / "wide", wide)
    ended = cli("model", "fit", str(folder))
    assert ended.code == 1
    assert " GiB are missing" in ended.out
