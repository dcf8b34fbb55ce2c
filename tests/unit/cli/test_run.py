"""``vllm-pkg run``: what it selects and shows; the host itself is left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from support.command_line import MACHINES
from support.service import free_port
from support.tiny_checkpoint import CONFIG, write_checkpoint
from vllm_pkg.cli.foreground import HealthPrinter
from vllm_pkg.health.checker import HealthResult, Result

LOADING = HealthResult(Result.LOADING, "The model is loading.")
FAILURE = HealthResult(Result.FAILURE, "It ended.")


@pytest.fixture(name="hosts")
def hosts_fixture(monkeypatch):
    """The settings of each host that was run: only its events come, at once."""
    started = []

    def run_host(settings, events):
        started.append(settings)
        events.on_started()
        events.on_health(LOADING, 2.0)
        events.on_health(FAILURE, 31.4)

    monkeypatch.setattr("vllm_pkg.cli.foreground.run_host", run_host)
    return started


def stored(cli):
    """Return what store.json holds."""
    return json.loads((cli.main / "store.json").read_text())


def test_the_first_run_serves_the_test_model(cli, hosts):
    """With nothing selected the built-in model is, and the screen says what it is."""
    shown = cli("run")

    assert shown.code == 0
    assert len(hosts) == 1
    assert stored(cli)["modelSelection"] == {"selection": "tiny"}
    assert "its weights are random and it talks\n  nonsense" in shown.out
    assert "[   2 s] loading: The model is loading.\n" in shown.out
    assert "[  31 s] failure: It ended.\n" in shown.out
    assert shown.out.endswith("Stopped; no process is left.\n")


def test_what_is_printed_works_in_another_terminal(cli, hosts, monkeypatch, tmp_path):
    """The commands name the volumes where the environment does, and else do not."""
    del hosts
    main = tmp_path / "m y"
    monkeypatch.setenv("VLLM_PKG_MAIN", str(main))
    placed = cli("run").out
    for name in ("VLLM_PKG_MAIN", "VLLM_PKG_PUBLIC"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    plain = cli("run").out

    places = f"VLLM_PKG_MAIN='{main}' VLLM_PKG_PUBLIC={cli.public} "
    lines = [line for line in placed.splitlines() if "vllm-pkg " in line]
    shown = [line for line in lines if places in line]
    assert [line.split()[0] for line in shown] == ["Key", "Try", "Status", "Logs"]
    assert f"$({places}" in placed
    assert "VLLM_PKG_" not in plain


def test_without_a_default_it_waits_for_set_model(cli, hosts):
    """``--no-default`` selects nothing, and the screen says how to select."""
    shown = cli("run", "--no-default")

    assert (shown.code, len(hosts)) == (0, 1)
    assert not (cli.main / "store.json").exists()
    assert "Model     none selected; choose one: " in shown.out
    assert "Try it" not in shown.out


def test_a_selection_is_left_alone(cli, hosts):
    """A second run serves what is selected already."""
    store = {"serveArgs": ["org/name"], "other": 1}
    cli.store(store)

    shown = cli("run")

    assert (shown.code, len(hosts)) == (0, 1)
    assert "  Model     org/name\n" in shown.out
    assert json.loads((cli.main / "store.json").read_text()) == store


def test_options_override_the_environment(cli, hosts, monkeypatch):
    """Host and port are those of the options, also for the programs it starts."""
    monkeypatch.setenv("VLLM_PKG_HOST", "::1")

    shown = cli("run", "--model", "org/name", "--host", "0.0.0.0", "--port", "8124")

    assert [(item.host, item.port) for item in hosts] == [("0.0.0.0", 8124)]
    assert (os.environ["VLLM_PKG_HOST"], os.environ["VLLM_PKG_PORT"]) == (
        "0.0.0.0",
        "8124",
    )
    assert "API       http://127.0.0.1:8124/v1\n" in shown.out
    assert "The API listens on 0.0.0.0: others on the network reach it" in shown.out


def test_a_forced_preset_is_selected_and_told(cli, hosts, monkeypatch):
    """A preset that is too large for this machine can be served all the same."""
    monkeypatch.setenv("VLLM_PKG_VARIANT", "nvidia")
    monkeypatch.setenv("VLLM_PKG_HARDWARE", str(MACHINES / "rtx-4090.json"))

    shown = cli("run", "--model", "qwen36-27b", "--force")

    assert (shown.code, len(hosts)) == (0, 1)
    assert stored(cli)["modelSelection"] == {"selection": "qwen36-27b"}
    assert "Model     Qwen3.6 27B (ask for it as " in shown.out
    assert (
        "It does not fit this machine: needs 25 GiB, this machine has 24 GiB."
        in shown.out
    )


def test_whether_a_plain_model_runs_here_is_told(cli, hosts, monkeypatch, tmp_path):
    """The answer about a folder's or repository's fit stands before the start."""
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    wide = CONFIG | {"vocab_size": 500_000_000}
    folder = str(write_checkpoint(tmp_path / "wide", wide))

    too_large = cli("run", "--model", folder)
    not_known = cli("run", "--model", "org/name")

    assert (too_large.code, not_known.code, len(hosts)) == (0, 0, 2)
    assert " GiB are missing" in too_large.out.partition("starting;")[0]
    told = not_known.out.partition("starting;")[0]
    assert told.startswith("Selected org/name. ")
    assert "Whether org/name runs here is unknown: " in told


def show(capsys, *steps):
    """Print healths at their times; return the lines."""
    printer = HealthPrinter()
    for elapsed_s, health in steps:
        printer(health, elapsed_s)
    return capsys.readouterr().out.splitlines()


def loading(phase, detail):
    """Return the health of a start that has come so far."""
    return HealthResult(
        Result.LOADING, f"The model is loading. {detail}", detail=detail, phase=phase
    )


def test_progress_is_printed_sparsely(capsys):
    """Each phase once at once, and within one every 15 s, without the known words."""
    shown = show(
        capsys,
        (1.0, LOADING),
        (2.0, loading("download", "1 of 9.")),
        (3.0, loading("download", "2 of 9.")),
        (16.9, loading("download", "8 of 9.")),
        (17.0, loading("download", "9 of 9.")),
        (18.0, loading("load", "10 %.")),
        (19.0, loading("load", "20 %.")),
        (20.0, HealthResult(Result.SUCCESS, "ready")),
    )

    assert shown == [
        "[   1 s] loading: The model is loading.",
        "[   2 s] loading: The model is loading. 1 of 9.",
        "[  17 s] loading: 9 of 9.",
        "[  18 s] loading: 10 %.",
        "[  20 s] success: ready",
    ]


def test_a_late_download_is_told_as_a_failure_first(capsys):
    """When the result changes, all of the message is printed."""
    late = HealthResult(
        Result.FAILURE, "Not within 35 minutes. 2 of 9.", detail="2 of 9."
    )
    shown = show(
        capsys,
        (1.0, loading("download", "1 of 9.")),
        (2.0, late),
        (99.0, replace(late, detail="3 of 9.")),
    )

    assert shown == [
        "[   1 s] loading: The model is loading. 1 of 9.",
        "[   2 s] failure: Not within 35 minutes. 2 of 9.",
        "[  99 s] failure: 3 of 9.",
    ]


@pytest.mark.parametrize(
    ("store", "path", "body"),
    [
        (
            {"serveArgs": ["o'rg/na me"]},
            "chat/completions",
            {
                "model": "o'rg/na me",
                "messages": [{"role": "user", "content": "Hello!"}],
                "max_tokens": 32,
            },
        ),
        (
            {"serveArgs": ["x"], "modelSelection": {"selection": "minilm"}},
            "embeddings",
            {"model": "x", "input": "a kitten"},
        ),
        (
            {"serveArgs": ["x"], "modelSelection": {"selection": "gone"}},
            "chat/completions",
            {
                "model": "x",
                "messages": [{"role": "user", "content": "Hello!"}],
                "max_tokens": 32,
            },
        ),
    ],
)
@pytest.mark.usefixtures("hosts")
def test_the_printed_request_survives_a_shell(cli, tmp_path, store, path, body):
    """A shell gives curl the address, and the body as it is meant."""
    cli.store(store)
    line = cli("run").out.split("Try it    ")[1].splitlines()[0]
    curl = tmp_path / "programs" / "curl"
    curl.write_text(
        f"#!{sys.executable}\nimport sys, json\nprint(json.dumps(sys.argv))"
    )
    curl.chmod(0o755)

    told = subprocess.run(["sh", "-c", line], capture_output=True, check=True)

    arguments = json.loads(told.stdout)
    assert arguments[2] == f"http://127.0.0.1:{os.environ['VLLM_PKG_PORT']}/v1/{path}"
    assert json.loads(arguments[-1]) == body


@pytest.mark.parametrize("place", ["path", "beside", "nowhere"])
@pytest.mark.usefixtures("hosts")
def test_commands_are_shown_as_they_can_be_called(cli, tmp_path, monkeypatch, place):
    """On PATH by its name, else by its whole path, else through Python."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    program = folder / "vllm-pkg"
    programs = {"path": f"{folder}:{tmp_path / 'programs'}"}
    monkeypatch.setenv("PATH", programs.get(place, str(tmp_path / "programs")))
    monkeypatch.setattr("sys.executable", str(folder / "python"))
    if place != "nowhere":
        program.write_text("")
        program.chmod(0o755)
    shown = {
        "path": "vllm-pkg",
        "beside": f"'{program}'",
        "nowhere": f"'{folder}/python' -m vllm_pkg",
    }

    cli.store({"serveArgs": ["org/name"]})

    assert f" {shown[place]} key show\n" in cli("run").out


@pytest.mark.usefixtures("hosts")
def test_a_failure_is_red_on_a_terminal(cli, monkeypatch):
    """On a terminal a failure stands out; elsewhere no codes are written."""
    cli.store({"serveArgs": ["org/name"]})
    assert "\x1b" not in cli("run").out

    monkeypatch.setattr("vllm_pkg.cli.foreground.sys.stdout.isatty", lambda: True)

    assert "\x1b[31m[  31 s] failure: It ended.\x1b[0m\n" in cli("run").out
