"""Set Model: the form, what it stores, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.actions.set_model import fit_all, select_model
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.errors import (
    InvalidArgument,
    ModelFolderMissing,
    PresetDoesNotFit,
    PresetUnknown,
)
from vllm_pkg.hardware.facts import Vendor
from vllm_pkg.hardware.tiers import classify
from vllm_pkg.models.sizing.assess import Assessment
from vllm_pkg.models.sizing.verdict import Verdict
from vllm_pkg.state.store import EnvironmentVariable, ModelSelection, load_store

ARGS = ("config", "value", "args")


def machine(count=1, memory_gib=24.0, capability="8.6"):
    """Return a recorded machine with equal NVIDIA cards, as its document."""
    card = {"name": "Card", "compute_capability": capability, "memory_gib": memory_gib}
    gpus = [{"vendor": Vendor.NVIDIA, "index": n, **card} for n in range(count)]
    return {"gpus": gpus, "system_memory_gib": 64.0}


def not_asked(_settings, _hardware, serve_args, _serve_env):
    """Say of any model that nobody was asked."""
    return Assessment(serve_args[0], Verdict.UNKNOWN, "nobody was asked")


def context_on(folder, document):
    """Return the context of a stopped service on a recorded machine."""
    recording = folder / "hardware.json"
    recording.write_text(json.dumps(document))
    settings = make_settings(folder, VLLM_PKG_HARDWARE=str(recording))
    return ActionContext(settings=settings, is_running=False, assess=not_asked)


@pytest.fixture(name="context")
def context_fixture(tmp_path):
    """A machine with one card of 24 GiB."""
    return context_on(tmp_path, machine())


def run(context, selection, value):
    """Run Set Model with a selection."""
    config = {"selection": selection, "value": value}
    return registry.run_action(context, "set-model", {"config": config})


def run_custom(context, args, env=()):
    """Run Set Model with Custom."""
    entered = [{"name": name, "value": value} for name, value in env]
    return run(context, "custom", {"args": args, "env": entered})


def prefill(context):
    """Return what the form is prefilled with, checked against the form itself."""
    form = registry.action_input(context, "set-model")
    if form.value is not None:
        assert validate_input(form.spec, form.value) == form.value
    return form.value


def write_store(context, document):
    """Write store.json as another version may have left it."""
    context.settings.main.mkdir(parents=True)
    context.settings.store_file.write_text(json.dumps(document))


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
    assert "spread over 2 GPUs (tensor parallel)" in outcome.result.message


def test_the_tiny_model_is_made_and_says_what_it_is(context):
    """The embedded model exists once it is selected, and is called nonsense."""
    outcome = run(context, "tiny", {})
    assert outcome.result.message.endswith(
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


def test_custom_arguments_and_variables(context):
    """Custom is split as a shell does, stored as typed too, and prefills the form."""
    text = "org/name --hf-token secret\n--speculative-config '{\"a\": 1}'"
    outcome = run_custom(context, text, [("HF_TOKEN", "t"), ("EMPTY", None)])
    assert outcome.needs_restart is True
    assert outcome.result.message == (
        "Selected org/name with your arguments. If it is not in the cache yet, it is "
        "downloaded first, which may take a while. Whether org/name runs here is "
        "unknown: nobody was asked."
    )
    env = [{"name": "HF_TOKEN", "value": "t"}, {"name": "EMPTY", "value": ""}]
    assert json.loads(context.settings.store_file.read_text()) == {
        "serveArgs": [
            *("org/name", "--hf-token", "secret"),
            *("--speculative-config", '{"a": 1}'),
        ],
        "serveEnv": env,
        "modelSelection": {
            "selection": "custom",
            "customArgs": text,
            "customEnv": env,
        },
    }
    assert prefill(context) == {
        "config": {"selection": "custom", "value": {"args": text, "env": env}}
    }


def test_another_model_drops_the_old_variables(context):
    """Variables of an earlier selection do not survive it; unknown fields do."""
    write_store(context, {"serveArgs": ["a/b"], "future": 1})
    run_custom(context, "c/d", [("A", "1")])
    run(context, "qwen3-30b-a3b", {})
    document = json.loads(context.settings.store_file.read_text())
    assert document["future"] == 1
    assert "serveEnv" not in document


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            "--max-model-len 1",
            "names no model; begin with it, as org/name or as a folder",
        ),
        (
            "a/b --quant fp8",
            "--quant is not an option of this vLLM; did you mean --quantization?",
        ),
        ("''", "names no model; begin with it, as org/name or as a folder"),
        (
            "--model",
            "--model needs a value; one that begins with - is written --model=VALUE",
        ),
        (
            "--model=-x",
            "names no model; begin with it, as org/name or as a folder",
        ),
        ("a/b --model c/d", "names two models, a/b and c/d; name one"),
        (
            "./m --enforce-eager",
            "./m depends on where a program runs; give the whole path, from /",
        ),
        (
            "~/m",
            "~/m depends on where a program runs; give the whole path, from /",
        ),
        (
            "/no/such/m",
            "/no/such/m is not a folder with a config.json; correct the path",
        ),
        (
            "--model=/no/such/m",
            "/no/such/m is not a folder with a config.json; correct the path",
        ),
        ("a/b 'c", "the quote at line 1, column 5 is never closed: 'c"),
        (
            "a/b --host=::",
            "--host is reserved: the service sets it itself; leave it out",
        ),
        (" \n ", "must not be empty; begin with the model, as org/name"),
    ],
)
def test_custom_arguments_that_cannot_be_served(context, args, message):
    """Each is refused at its field, and nothing is stored."""
    with pytest.raises(InvalidArgument) as caught:
        run_custom(context, args)
    (problem,) = caught.value.fields
    assert (problem.path, problem.message) == (ARGS, message)
    assert not context.settings.store_file.exists()


def test_custom_arguments_are_stored_as_vllm_cannot_misread_them(context):
    """The model comes first and names have dashes; what was typed is shown again."""
    text = "--enforce_eager --model org/name -O3"
    run_custom(context, text)
    store = load_store(context.settings)
    assert store.serve_args == (
        *("org/name", "--enforce-eager", "--optimization-level", "3"),
    )
    assert prefill(context) == {
        "config": {"selection": "custom", "value": {"args": text, "env": []}}
    }


def test_all_problems_of_custom_at_once(context):
    """Wrong arguments and wrong variables are reported together."""
    with pytest.raises(InvalidArgument) as caught:
        run_custom(context, "a/b --uds x", [("A", "1"), ("PYTHONPATH", "/x")])
    assert [".".join(field.path) for field in caught.value.fields] == [
        "config.value.args",
        "config.value.env.1.name",
    ]


def test_one_variable_twice_is_refused(context):
    """The form itself wants each variable once."""
    with pytest.raises(InvalidArgument, match=r"env\.1: is the same as entry 0"):
        run_custom(context, "a/b", [("A", "1"), ("A", "2")])


def test_a_folder_with_a_model(context, tmp_path):
    """A folder with a config.json may be served."""
    (tmp_path / "m y").mkdir()
    (tmp_path / "m y" / "config.json").write_text("{}")
    run_custom(context, f"'{tmp_path}/m y' --max-model-len 1")
    assert load_store(context.settings).serve_args[0] == f"{tmp_path}/m y"


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


def test_stored_variables_that_make_no_sense(context):
    """The typed text is shown again even where its variables cannot be."""
    variables = [{"name": 1}]
    selection = {"selection": "custom", "customArgs": "a", "customEnv": variables}
    write_store(context, {"serveArgs": ["a/b"], "modelSelection": selection})
    value = {"args": "a", "env": []}
    assert prefill(context) == {"config": {"selection": "custom", "value": value}}


def test_a_custom_selection_without_its_text(context):
    """The arguments in use are shown where the typed text was not stored."""
    selection = {"selection": "custom"}
    write_store(context, {"serveArgs": ["a/b", "x y"], "modelSelection": selection})
    value = {"args": "a/b 'x y'", "env": []}
    assert prefill(context) == {"config": {"selection": "custom", "value": value}}


def test_a_selection_without_a_model_is_not_shown(context):
    """A store without arguments opens the form with its defaults."""
    write_store(context, {"modelSelection": {"selection": "tiny"}})
    assert prefill(context) is None


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


def test_stored_variables_reach_the_engine_as_they_are(context):
    """Variables of Custom are stored for the engine in their order."""
    run_custom(context, "a/b", [("B", "2"), ("A", "1")])
    assert load_store(context.settings).serve_env == (
        EnvironmentVariable("B", "2"),
        EnvironmentVariable("A", "1"),
    )
