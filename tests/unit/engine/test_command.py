"""The engine's command line and environment."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from vllm_pkg.engine.command import build_command, model_argument, served_name
from vllm_pkg.settings import load_settings
from vllm_pkg.state.store import EnvironmentVariable, Store

GUARD = "vllm_pkg.engine.guard.middleware.Guard"
KEY = "Key0123456789ABCDEFGHI"
STORE = Store(
    serve_args=("org/model", "--max-model-len", "1k"),
    serve_env=(
        EnvironmentVariable("HF_TOKEN", "hf_secret"),
        EnvironmentVariable("HF_HUB_CACHE", "/elsewhere"),
    ),
)


def _command(store=STORE, *, local=False, **variables):
    settings = load_settings({"HOME": "/h"} | variables)
    return build_command(
        settings, store, KEY, engine_version="0.32.0", is_local_model=local
    )


def test_startos_command_is_the_missions():
    """Under StartOS the fixed flags follow the user's, exactly as the mission says."""
    command = _command(VLLM_PKG_PROFILE="startos")

    assert command.argv == (
        *("vllm", "serve", "org/model", "--max-model-len", "1k"),
        *("--host", "0.0.0.0", "--port", "8000"),
        *("--download-dir", "/data/models", "--middleware", GUARD),
        *("--api-key", KEY),
    )
    env = dict(command.env)
    assert env["HF_HUB_CACHE"] == "/data/models"
    assert env["PYTHONUNBUFFERED"] == "1"
    assert env["HF_HUB_VERBOSITY"] == "info"
    assert "VLLM_API_KEY" not in env


@pytest.mark.parametrize(
    ("profile", "address"),
    [("standalone", ("127.0.0.1", "8000")), ("gpu-image", ("127.0.0.1", "18000"))],
)
def test_key_stays_out_of_the_arguments(profile, address):
    """Outside StartOS the key travels in the environment, not in the process list."""
    command = _command(VLLM_PKG_PROFILE=profile)

    assert command.argv[5:9] == ("--host", address[0], "--port", address[1])
    assert KEY not in " ".join(command.argv)
    assert dict(command.env)["VLLM_API_KEY"] == KEY


def test_fixed_environment_wins_over_the_users():
    """A variable that the package owns keeps its value whatever the store says."""
    env = dict(_command(VLLM_PKG_MAIN="/m").env)

    assert env["HF_HUB_CACHE"] == "/m/models"
    assert env["HF_TOKEN"] == "hf_secret"  # noqa: S105
    assert env["VLLM_NO_USAGE_STATS"] == env["DO_NOT_TRACK"] == "1"
    assert env["VLLM_CACHE_ROOT"] == "/m/cache/vllm-0.32.0/vllm"


def test_inherited_key_does_not_reach_the_engine():
    """A key in our own environment is not handed on; other variables are."""
    inherited = {"VLLM_API_KEY": "stranger", "PATH": "/bin"}

    startos = _command(VLLM_PKG_PROFILE="startos").environment(inherited)
    standalone = _command().environment(inherited)

    assert "VLLM_API_KEY" not in startos
    assert standalone["VLLM_API_KEY"] == KEY
    assert standalone["PATH"] == "/bin"


@pytest.mark.parametrize(("local", "value"), [(True, "1"), (False, None)])
def test_a_local_model_needs_no_hub(local, value):
    """A model in a folder is served without asking the Hub for anything."""
    assert dict(_command(local=local).env).get("HF_HUB_OFFLINE") == value


@pytest.mark.parametrize(
    ("memory_gib", "size"), [(23.5, "5"), (6.0, "1"), (2.0, "1"), (None, None)]
)
def test_cache_on_a_cpu_is_bounded(memory_gib, size):
    """Without a word about it, the KV cache on a CPU takes a quarter of the memory."""
    settings = load_settings({"HOME": "/h"})
    command = build_command(
        settings,
        STORE,
        KEY,
        engine_version="0.32.0",
        is_local_model=False,
        cpu_memory_gib=memory_gib,
    )

    assert dict(command.env).get("VLLM_CPU_KVCACHE_SPACE") == size


@pytest.mark.parametrize(
    "store",
    [
        Store(("a/b", "--kv-cache-memory-bytes", "1G")),
        Store(("a/b", "--kv_cache_memory_bytes=1G")),
        Store(("a/b", "--gpu-memory-utilization", "0.2")),
        Store(("a/b",), (EnvironmentVariable("VLLM_CPU_KVCACHE_SPACE", "7"),)),
    ],
)
def test_a_users_cache_size_stays(store):
    """What a user says about the size of the KV cache is not overridden."""
    command = build_command(
        load_settings({"HOME": "/h"}),
        store,
        KEY,
        engine_version="0.32.0",
        is_local_model=False,
        cpu_memory_gib=24.0,
    )

    assert dict(command.env).get("VLLM_CPU_KVCACHE_SPACE") in {None, "7"}


@pytest.mark.parametrize("profile", ["startos", "standalone"])
def test_secrets_are_hidden_when_printed(profile):
    """What is printed holds neither the key nor a token, unless asked for."""
    command = _command(VLLM_PKG_PROFILE=profile)

    hidden, shown = command.as_json(), command.as_json(show_secrets=True)

    assert KEY not in str(hidden)
    assert "hf_secret" not in str(hidden)
    assert "***" in str(hidden)
    assert KEY in str(shown)
    assert shown["mode"] == "serve"


@pytest.mark.parametrize(
    ("arguments", "model", "name"),
    [
        ((), "", ""),
        (("a/b",), "a/b", "a/b"),
        (("--enforce-eager",), "", ""),
        (("--model", "a/b"), "a/b", "a/b"),
        (("--x", "--model=a/b"), "a/b", "a/b"),
        (("--model",), "", ""),
        (("a/b", "--served-model-name", "n", "m"), "a/b", "n"),
        (("a/b", "--served-model-name=n"), "a/b", "n"),
        (("a/b", "--served-model-name"), "a/b", ""),
    ],
)
def test_model_and_served_name(arguments, model, name):
    """The model and the name clients use are found in every form vLLM takes."""
    assert model_argument(arguments) == model
    assert served_name(arguments) == name


def test_instances_are_marked_apart():
    """Two main volumes give two marks, so one instance never ends another's engine."""
    marks = {
        dict(_command(VLLM_PKG_MAIN=str(Path(main))).env)["VLLM_PKG_ENGINE"]
        for main in ("/m", "/n")
    }

    assert len(marks) == 2


@pytest.mark.parametrize("profile", ["startos", "standalone", "gpu-image"])
def test_the_guard_is_in_every_profile(profile):
    """It is added by a fixed argument, and told where the keys are and its own one."""
    store = Store(
        ("m",),
        (
            EnvironmentVariable("VLLM_PKG_GUARD_KEY", "mine"),
            EnvironmentVariable("VLLM_PKG_MAIN", "/elsewhere"),
        ),
    )
    command = _command(
        store,
        VLLM_PKG_PROFILE=profile,
        VLLM_PKG_MAIN="/m",
        VLLM_PKG_PUBLIC="/p",
    )

    position = command.argv.index("--middleware")
    env = dict(command.env)

    assert command.argv[position + 1] == GUARD
    assert env["VLLM_PKG_GUARD_KEY"] == KEY
    assert env["VLLM_PKG_PROFILE"] == profile
    assert (env["VLLM_PKG_MAIN"], env["VLLM_PKG_PUBLIC"]) == ("/m", "/p")
    assert command.as_json()["env"]["VLLM_PKG_GUARD_KEY"] == "***"


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (("m",), ""),
        (("m", "--allowed-origins", "[]"), ""),
        (
            ("m", '--allowed_origins=["https://a"]', "--allow-credentials"),
            '{"origins": ["https://a"], "credentials": true}',
        ),
    ],
)
def test_the_guard_knows_whether_cors_is_configured(arguments, value):
    """Only the owner's own list of origins makes it let a preflight pass."""
    assert dict(_command(Store(arguments)).env)["VLLM_PKG_GUARD_CORS"] == value


def test_an_engine_with_its_own_python_is_told_where_the_guard_is():
    """Its search path begins with a folder of ours, and keeps what it had."""
    settings = load_settings({"HOME": "/h", "VLLM_PKG_MAIN": "/m"})
    command = build_command(
        settings,
        STORE,
        KEY,
        engine_version="0.32.0",
        is_local_model=False,
        has_own_python=True,
    )

    folder = "/m/run/engine-path"
    assert command.environment({})["PYTHONPATH"] == folder
    assert command.environment({"PYTHONPATH": "/x"})["PYTHONPATH"] == f"{folder}:/x"
    assert _command().environment({"PYTHONPATH": "/x"})["PYTHONPATH"] == "/x"


def test_the_guard_is_what_the_argument_names():
    """The dotted name leads to the class, as vLLM looks it up."""
    module, name = GUARD.rsplit(".", 1)
    assert inspect.isclass(getattr(importlib.import_module(module), name))
