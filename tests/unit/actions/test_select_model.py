"""A model that is selected by one word, as ``run --model`` does."""

from __future__ import annotations

import pytest

from support.setting_models import context_fixture, prefill
from vllm_pkg.actions.set_model import fit_all, select_model
from vllm_pkg.errors import (
    InvalidArgument,
    ModelFolderMissing,
    PresetDoesNotFit,
    PresetUnknown,
)
from vllm_pkg.state.store import ModelSelection, load_store

__all__ = ["context_fixture"]


def test_one_word_can_select(context, tmp_path, monkeypatch):
    """A preset, a repository or a folder may be named."""
    settings = context.settings
    select_model(context, "qwen3-0.6b")
    assert load_store(settings).selection == ModelSelection("qwen3-0.6b")
    select_model(context, "org/name")
    auto = ("--max-model-len", "auto")
    assert load_store(settings).serve_args == ("org/name", *auto)
    assert load_store(settings).selection == ModelSelection(
        "custom", "org/name --max-model-len auto"
    )
    (tmp_path / "my model").mkdir()
    (tmp_path / "my model" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    outcome = select_model(context, "./my model")
    folder = str(tmp_path / "my model")
    assert load_store(settings).serve_args == (folder, *auto)
    assert outcome.result.message == (
        f"Selected the model in {folder}. Whether {folder} runs here is unknown: "
        "nobody was asked."
    )
    value = {"args": f"'{folder}' --max-model-len auto", "env": []}
    assert prefill(context) == {"config": {"selection": "custom", "value": value}}


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("qwen3-0.6", PresetUnknown, "no preset 'qwen3-0.6'"),
        ("gpt2", PresetUnknown, "no preset 'gpt2'"),
        ("", PresetUnknown, "no preset ''"),
        ("a/b/c", InvalidArgument, "'a/b/c' cannot be a repository"),
        ("a/-b", InvalidArgument, "'a/-b' cannot be a repository"),
        ("a b/c", InvalidArgument, "'a b/c' cannot be a repository"),
        ("/a\udc80", InvalidArgument, "cannot name a model"),
        ("/no/such", ModelFolderMissing, "/no/such is not a folder with a config.json"),
        ("/dev/null", ModelFolderMissing, "/dev/null is not a folder"),
        ("/" + "x" * 300, ModelFolderMissing, "is not a folder"),
        ("llama-33-70b", PresetDoesNotFit, "needs 44 GiB, this machine has 24 GiB"),
    ],
)
def test_words_that_select_nothing(context, text, kind, words):
    """Anything else is refused, and nothing is stored."""
    with pytest.raises(kind, match=words):
        select_model(context, text)
    assert not context.settings.store_file.exists()


def test_a_misspelt_preset_gets_a_suggestion(context):
    """The most similar preset is named."""
    with pytest.raises(PresetUnknown) as caught:
        select_model(context, "qwen3-0.6")
    assert caught.value.hint == "did you mean qwen3-0.6b?"


def test_a_preset_can_be_forced(context):
    """What does not fit is selected on demand, and the message says so."""
    outcome = select_model(context, "llama-33-70b", force=True)
    message = str(outcome.result.message)
    assert "It does not fit this machine: needs 44 GiB" in message
    selection = load_store(context.settings).selection
    assert selection == ModelSelection("llama-33-70b")
    assert prefill(context) is None


def test_a_forced_preset_needs_something_for_the_machine(context):
    """Nothing can be forced where the preset has no arguments for this hardware."""
    with pytest.raises(PresetDoesNotFit, match="cannot be served here: not offered"):
        select_model(context, "gemma4-26b-a4b", force=True)


def test_fits_are_listed_in_order(context):
    """All presets are judged for the machine, best first."""
    fits = fit_all(context.settings)
    assert fits[0].reason == "needs 30 GiB, this machine has 24 GiB"
    assert fits[-1].preset.id == "tiny"
