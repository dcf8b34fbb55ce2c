"""Set Model's Custom: what is stored of it, and what is refused at its fields."""

from __future__ import annotations

import json

import pytest

from support.setting_models import (
    context_fixture,
    prefill,
    run,
    run_custom,
    write_store,
)
from vllm_pkg.errors import InvalidArgument
from vllm_pkg.state.store import EnvironmentVariable, load_store

__all__ = ["context_fixture"]

ARGS = ("config", "value", "args")


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
    """A folder with a config.json may be served, and needs no download."""
    (tmp_path / "m y").mkdir()
    (tmp_path / "m y" / "config.json").write_text("{}")
    outcome = run_custom(context, f"'{tmp_path}/m y' --max-model-len 1")
    assert load_store(context.settings).serve_args[0] == f"{tmp_path}/m y"
    assert outcome.result.message == (
        f"Selected {tmp_path}/m y with your arguments. Whether {tmp_path}/m y runs here"
        " is unknown: nobody was asked."
    )


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


def test_stored_variables_reach_the_engine_as_they_are(context):
    """Variables of Custom are stored for the engine in their order."""
    run_custom(context, "a/b", [("B", "2"), ("A", "1")])
    assert load_store(context.settings).serve_env == (
        EnvironmentVariable("B", "2"),
        EnvironmentVariable("A", "1"),
    )
