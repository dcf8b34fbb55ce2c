"""Set Model: the form, what it stores of a preset, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.setting_models import (
    context_fixture,
    context_on,
    machine,
    prefill,
    run,
    write_store,
)
from vllm_pkg.actions import registry
from vllm_pkg.errors import InvalidArgument, PresetDoesNotFit
from vllm_pkg.hardware.tiers import classify
from vllm_pkg.state.store import load_store

__all__ = ["context_fixture"]


def test_a_preset_is_stored_with_its_arguments(context):
    """A preset becomes arguments and a selection; the engine must be restarted."""
    outcome = run(context, "qwen3-30b-a3b", {})
    assert outcome.needs_restart is True
    assert outcome.result.as_json() == {
        "version": "1",
        "title": "Model Selected",
        "message": (
            "Selected Qwen3 30B-A3B (cyankiwi/Qwen3-30B-A3B-Instruct-2507-AWQ-4bit) "
            "with a context of 32768 tokens. If it is not in the cache yet, it is "
            "downloaded first, which may take a while."
        ),
        "result": None,
    }
    assert json.loads(context.settings.store_file.read_text()) == {
        "serveArgs": [
            "cyankiwi/Qwen3-30B-A3B-Instruct-2507-AWQ-4bit",
            "--enable-auto-tool-choice",
            "--tool-call-parser",
            "hermes",
            "--max-model-len",
            "32768",
        ],
        "modelSelection": {"selection": "qwen3-30b-a3b"},
    }
    assert prefill(context) == {"config": {"selection": "qwen3-30b-a3b", "value": {}}}


def test_several_cards_are_named(tmp_path):
    """The message says over how many cards a model is spread."""
    outcome = run(context_on(tmp_path, machine(2)), "qwen36-27b", {})
    assert "spread over 2 GPUs (tensor parallel)" in str(outcome.result.message)


def test_the_tiny_model_is_made_and_says_what_it_is(context):
    """The embedded model exists once it is selected, and is called nonsense."""
    outcome = run(context, "tiny", {})
    assert str(outcome.result.message).endswith(
        "Its weights are random: it talks nonsense, and shows that the service works. "
        "It needs no download."
    )
    folder = context.settings.local_models_dir / "tiny"
    assert load_store(context.settings).serve_args[0] == str(folder)
    assert (folder / "config.json").is_file()
    assert prefill(context) == {"config": {"selection": "tiny", "value": {}}}


@pytest.mark.parametrize(
    ("document", "label"),
    [
        (machine(), "Qwen3.6 27B - needs 25 GiB, this machine has 24 GiB"),
        (machine(1, 8.0, "6.1"), "Qwen3.6 27B - Card has compute capability 6.1"),
    ],
)
def test_a_preset_that_does_not_fit_says_why(tmp_path, document, label):
    """It is listed, cannot be chosen, and its label carries the reason."""
    context = context_on(tmp_path, document)
    field = registry.action_input(context, "set-model").spec["config"]
    assert field["variants"]["qwen36-27b"]["name"] == label
    assert "qwen36-27b" in field["disabled"]
    with pytest.raises(InvalidArgument) as caught:
        run(context, "qwen36-27b", {})
    (problem,) = caught.value.fields
    assert problem.path == ("config", "selection")
    assert problem.message == f"'qwen36-27b' cannot be chosen now: {label}"
    assert not context.settings.store_file.exists()


def test_notes_about_the_machine_stand_in_the_description(tmp_path):
    """Why nothing fits is told in full, once."""
    context = context_on(tmp_path, machine(1, 8.0, "6.1"))
    field = registry.action_input(context, "set-model").spec["config"]
    assert "8.0 is the least that the presets need" in field["description"]
    assert field["default"] == "custom"


def test_a_machine_that_changed_meanwhile(context):
    """A preset that stopped fitting between the form and the run is refused."""
    answers = [
        classify((), 64.0, "recorded"),
        classify((), 2.0, "recorded"),
    ]
    changing = replace(context, probe=lambda _: answers.pop(0))
    with pytest.raises(PresetDoesNotFit, match="needs 10 GiB, this machine has 2 GiB"):
        run(changing, "qwen3-1.7b", {})


@pytest.mark.parametrize(
    "selection",
    [
        {"selection": "no-such-preset"},
        {"selection": "llama-33-70b"},
        {"selection": "custom", "customArgs": ""},
        {"selection": 3},
        "custom",
        None,
    ],
)
def test_a_stored_selection_never_breaks_the_form(context, selection):
    """What cannot be understood or chosen any more only leaves the form empty."""
    write_store(context, {"serveArgs": ["a/b"], "modelSelection": selection})
    assert prefill(context) is None


def test_a_selection_without_a_model_is_not_shown(context):
    """A store without arguments opens the form with its defaults."""
    write_store(context, {"modelSelection": {"selection": "tiny"}})
    assert prefill(context) is None
