"""The Hugging Face token on its way to the engine: by the environment only."""

from __future__ import annotations

import json

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine.command import HIDDEN, build_command
from vllm_pkg.engine.hub_token import hub_variables
from vllm_pkg.state.store import EnvironmentVariable, Store

TOKEN = "hf_secretSECRET"  # noqa: S105
OWN = "hf_ownOWN"


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings over a main volume with a stored token."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    settings.secrets_file.write_text(json.dumps({"huggingFaceToken": TOKEN}))
    return settings


def command(settings, *chosen):
    """Build the engine's command with these variables of the user's."""
    store = Store(("org/name",), tuple(EnvironmentVariable(*item) for item in chosen))
    return build_command(
        settings,
        store,
        "Key0123456789ABCDEFGHI",
        engine_version="0.32.0",
        is_local_model=False,
        hub_variables=hub_variables(settings, store.serve_env),
    )


def test_the_stored_token_is_in_the_environment_alone(settings):
    """The engine finds it in HF_TOKEN; no argument has it, and no print-out."""
    built = command(settings)
    assert dict(built.env)["HF_TOKEN"] == TOKEN
    assert TOKEN not in " ".join(built.argv)
    assert TOKEN not in str(built.as_json())
    assert built.as_json()["env"]["HF_TOKEN"] == HIDDEN
    assert built.environment({"HF_TOKEN": "hf_hosts"})["HF_TOKEN"] == TOKEN


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_a_token_of_the_model_wins(settings, name):
    """What the user has set for this model is not overridden, by neither name."""
    env = dict(command(settings, (name, OWN)).env)
    assert env[name] == OWN
    assert TOKEN not in env.values()


def test_an_empty_variable_is_no_token(settings):
    """A name without a value does not stand in the way; it stays what it is."""
    variables = (EnvironmentVariable("HUGGING_FACE_HUB_TOKEN", ""),)
    assert hub_variables(settings, variables) == {"HF_TOKEN": TOKEN}


@pytest.mark.parametrize("text", ["{}", '{"huggingFaceToken": 7}', "nonsense"])
def test_without_a_token_nothing_is_set(settings, text):
    """No token, or a damaged file, is no variable and no error; the file stays."""
    settings.secrets_file.write_text(text)
    assert hub_variables(settings, ()) == {}
    assert settings.secrets_file.read_text() == text
