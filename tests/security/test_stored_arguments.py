"""What stands in store.json is checked again before anything is executed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine.daemon import plan_start
from vllm_pkg.errors import EngineStartFailed

pytestmark = pytest.mark.security


def stored(folder, serve_args, serve_env=()):
    """Return settings over a store as another version may have written it."""
    settings = make_settings(folder)
    settings.main.mkdir(parents=True)
    document = {
        "serveArgs": serve_args,
        "serveEnv": [{"name": name, "value": "x"} for name in serve_env],
    }
    settings.store_file.write_text(json.dumps(document))
    return settings


@pytest.mark.parametrize(
    ("serve_args", "serve_env", "named"),
    [
        (["m", "--uds", "/s"], [], "serveArgs: --uds is reserved"),
        (["m", "--api_key.x", "1"], [], "serveArgs: --api_key.x is reserved"),
        (["m", "--middleware=a.b"], [], "serveArgs: --middleware is reserved"),
        (
            ["m", "--disable-log-stats"],
            [],
            "serveArgs: --disable-log-stats is reserved",
        ),
        (
            ["m", "--uvicorn-log-level=trace"],
            [],
            "serveArgs: --uvicorn-log-level: only",
        ),
        (["--model"], [], "serveArgs: --model needs a value"),
        (["m"], ["VLLM_SERVER_DEV_MODE"], "serveEnv: VLLM_SERVER_DEV_MODE is reserved"),
        (["m"], ["CUSTOM_SCRIPT_FILENAME"], "serveEnv: CUSTOM_SCRIPT_FILENAME is"),
        (["m"], ["HF_TOKEN", "PYTHONPATH"], "serveEnv: PYTHONPATH is reserved"),
    ],
)
def test_a_refused_stored_argument_ends_the_start(
    tmp_path, serve_args, serve_env, named
):
    """It is named, with what to do, and nothing is planned."""
    settings = stored(tmp_path, serve_args, serve_env)
    with pytest.raises(EngineStartFailed) as caught:
        plan_start(settings)
    assert named in caught.value.message
    assert caught.value.hint == 'correct the arguments with the "Set Model" action'


def test_what_is_executed_is_what_was_accepted(tmp_path):
    """Published spellings start, in the form that vLLM cannot read otherwise."""
    arguments = ["--moe_backend", "triton", "--model", "m", "--max-model-len", "-1"]
    plan = plan_start(stored(tmp_path, arguments))
    assert plan.command is not None
    assert plan.command.argv[:6] == (
        *("vllm", "serve", "m", "--moe-backend", "triton", "--max-model-len=-1"),
    )
    assert plan.store.serve_args == plan.command.argv[2:6]


def test_the_hosts_environment_opens_nothing_either(tmp_path):
    """Reserved variables of vLLM that we inherited do not reach the engine."""
    plan = plan_start(stored(tmp_path, ["m"]))
    assert plan.command is not None
    inherited = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_PLUGINS": "x", "PATH": "/bin"}
    environment = plan.command.environment(inherited)
    assert environment["PATH"] == "/bin"
    assert {"VLLM_SERVER_DEV_MODE", "VLLM_PLUGINS"}.isdisjoint(environment)


@pytest.mark.parametrize("command", [["daemon"], ["daemon", "--print"]])
def test_the_daemon_ends_with_exit_code_3(tmp_path, command):
    """As a program it ends for good, with one line that names the argument."""
    settings = stored(tmp_path, ["m", "--root-path", "/"])
    paths = {"VLLM_PKG_MAIN": settings.main, "VLLM_PKG_PUBLIC": settings.public}
    done = subprocess.run(
        [sys.executable, "-m", "vllm_pkg", *command],
        env=os.environ | {name: str(path) for name, path in paths.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "--root-path is reserved" in done.stderr
    assert "Traceback" not in done.stderr
