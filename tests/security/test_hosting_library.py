"""vLLM's hosting library executes files by their names in variables: none of ours."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.hosting_probe import HOSTILE, bootstrap
from support.settings_factory import make_settings
from support.tools import require
from vllm_pkg.engine.command import build_command
from vllm_pkg.engine.reserved import reserved_environment_problem
from vllm_pkg.state.store import EnvironmentVariable, Store

pytestmark = [pytest.mark.engine, pytest.mark.security]

KEY = "Key0123456789ABCDEFGHI"
FUNCTION = "{file}:handle"
# How each variable makes the library execute a file.
WAYS = {
    "CUSTOM_SCRIPT_FILENAME": "{file}",
    "SAGEMAKER_MODEL_PATH": "{folder}",
    "CUSTOM_PRE_PROCESS": FUNCTION,
    "CUSTOM_POST_PROCESS": FUNCTION,
    "CUSTOM_FASTAPI_PING_HANDLER": FUNCTION,
    "CUSTOM_FASTAPI_INVOCATION_HANDLER": FUNCTION,
    "CUSTOM_FASTAPI_MIDDLEWARE_THROTTLE": FUNCTION,
    "CUSTOM_FASTAPI_MIDDLEWARE_PRE_POST_PROCESS": FUNCTION,
}


@pytest.fixture(autouse=True)
def _library():
    require(find_spec("model_hosting_container_standards"), "vLLM is missing")


def environment(folder, inherited, stored=()):
    """Return the environment of an engine, as the daemon would make it."""
    command = build_command(
        make_settings(folder),
        Store(("m",), tuple(EnvironmentVariable(*pair) for pair in stored)),
        KEY,
        engine_version="0.32.0",
        is_local_model=True,
    )
    return command.environment(inherited)


def hostile(folder, name):
    """Write a file, and return the value of a variable that names it."""
    file = folder / "model.py"
    file.write_text(HOSTILE)
    return WAYS[name].format(file=file, folder=folder)


@pytest.mark.parametrize("name", WAYS)
def test_no_variable_makes_the_library_execute_a_file(tmp_path, guarantee, name):
    """Neither inherited nor stored does it load a file that it loads by itself."""
    plain = {**os.environ, name: hostile(tmp_path, name)}
    control = bootstrap(plain)
    inherited = bootstrap(environment(tmp_path, plain))
    guarantee(
        "T27",
        "No inherited variable loads code beside the guard",
        tried=1,
        violations=int(inherited.is_loaded),
        unit="variables of vLLM's hosting library",
        control="without the daemon's environment the file is executed",
    )

    assert control.is_loaded
    assert not inherited.is_loaded
    assert reserved_environment_problem(name) is not None


@pytest.mark.parametrize("name", ["CUSTOM_SCRIPT_FILENAME", "SAGEMAKER_MODEL_PATH"])
def test_a_stored_variable_does_not_move_the_search(tmp_path, name):
    """What an older store says of the place does not win over what is pinned."""
    value = hostile(tmp_path, name)
    loaded = bootstrap(environment(tmp_path, os.environ, [(name, value)]))

    assert not loaded.is_loaded


def test_nothing_is_loaded_from_the_librarys_own_folder(tmp_path):
    """Without any variable it looks where there can be no file."""
    plain = bootstrap(os.environ)
    ours = bootstrap(environment(tmp_path, os.environ))

    assert plain.searched == "/opt/ml/model/model.py"
    assert ours.searched.startswith("/dev/null/")
    assert not Path(ours.searched).exists()


def test_every_variable_of_the_library_is_reserved():
    """One that an upgrade adds has to be looked at."""
    names = bootstrap(os.environ).names

    assert set(names) == set(WAYS)
    assert [n for n in names if reserved_environment_problem(n) is None] == []
