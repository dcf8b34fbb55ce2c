"""What each command prints, for people and as JSON, and how it ends."""

from __future__ import annotations

import json

import pytest
import typer

from support.command_line import MACHINES, snapshot
from vllm_pkg import __version__
from vllm_pkg.cli.main import app

TASK = {
    "actionId": "set-model",
    "severity": "critical",
    "reason": "Select which AI model vLLM should serve",
}
COMMANDS = ["run", "init", "daemon", "health", "status", "logs", "hardware", "action"]
COMMANDS += ["preset", "model", "key"]


def test_version_and_help(cli):
    """The version is one line; the help names every command."""
    assert cli("--version").out == f"vllm-pkg {__version__}\n"

    shown = cli("--help")

    assert shown.code == 0
    for name in COMMANDS:
        assert f" {name} " in shown.out


def test_help_tells_whole_sentences(cli):
    """What a command does is not cut off at the end of a line."""
    shown = " ".join(cli("--help").out.split())

    assert "Run the main process: idle without a model, or become the engine." in shown


@pytest.mark.parametrize("group", [(), ("action",), ("preset",), ("model",), ("key",)])
def test_a_group_without_a_command_shows_its_help(cli, group):
    """A command that is missing is a usage error, answered by the help alone."""
    ended = cli(*group)

    assert (ended.code, ended.err) == (2, "")
    assert "Usage: vllm-pkg" in ended.out
    assert ended.out.endswith(".\n")


@pytest.mark.parametrize("kind", ["install", "update", "restore"])
def test_init_brings_the_state_into_order(cli, kind):
    """A key is made and the task is named; a second run changes no byte."""
    assert cli("init", "--kind", kind, "--json").document() == {
        "kind": kind,
        "tasks": [TASK],
    }
    before = snapshot(cli.folder)
    assert "main/.lock" in before

    again = cli("init", "--kind", kind)

    assert again.code == 0
    assert again.out == (
        f"The state in {cli.main} is in order.\n"
        "To do (critical): Select which AI model vLLM should serve.\n"
    )
    assert snapshot(cli.folder) == before


def test_key_show(cli):
    """The key is printed alone, for use in a shell, or as credentials.json has it."""
    cli("init")
    credentials = json.loads((cli.public / "credentials.json").read_text())

    assert cli("key", "show").out == credentials["apiKey"] + "\n"
    assert cli("key", "show", "--json").document() == credentials


def test_health_without_a_model_is_disabled(cli):
    """All checks as a list, one check as an object, both with the exit code 59."""
    message = 'No model selected. Run the "Set Model" action.'
    check = {
        "id": "primary",
        "name": "vLLM API",
        "result": "disabled",
        "message": message,
    }

    assert cli("health").out == f"vLLM API: disabled: {message}\n"
    download = {
        "id": "download",
        "name": "Model download",
        "result": "disabled",
        "message": "No download is under way.",
    }
    assert cli("health", "--json").document() == [check, download]
    assert cli("health", "--check", "download", "--json").document() == download
    one = cli("health", "--check", "primary", "--json")
    assert one.document() == check
    assert one.code == 59


def test_health_of_a_service_that_does_not_run_is_a_failure(cli):
    """With a model and nothing that serves it, the exit code is 1."""
    cli.store({"serveArgs": ["org/name"]})

    ended = cli("health")

    assert ended.code == 1
    assert ended.out == (
        "vLLM API: failure: The service is not running. Start it with: vllm-pkg run\n"
    )


def test_health_under_startos_is_starting(cli, monkeypatch):
    """Before the daemon of a host that supervises has begun, the exit code is 60."""
    monkeypatch.setenv("VLLM_PKG_PROFILE", "startos")
    cli.store({"serveArgs": ["org/name"]})

    assert cli("health").code == 60


def test_status_tells_the_whole_picture(cli, monkeypatch):
    """The JSON form has what the text says; neither changes the state."""
    monkeypatch.setenv("VLLM_PKG_PORT", "8123")
    before = snapshot(cli.folder)

    status = cli("status", "--json").document()
    text = cli("status").out

    assert {key: status[key] for key in ("profile", "isRunning", "tasks")} == {
        "profile": "standalone",
        "isRunning": False,
        "tasks": [TASK],
    }
    assert status["model"] == {"selection": None, "source": None, "servedName": None}
    assert status["health"]["result"] == "disabled"
    assert status["api"] == {"baseUrl": "http://127.0.0.1:8123/v1"}
    assert status["hardware"]["tier"] == "cpu"
    assert status["lastFailure"] is None
    assert text.startswith(f"Service:   not running (vllm-pkg {__version__}")
    assert "Model:     none selected\n" in text
    assert "http://127.0.0.1:8123/v1" in text
    assert "To do:     Select which AI model vLLM should serve (critical)" in text
    assert snapshot(cli.folder) == before


def test_status_names_model_and_last_failure(cli):
    """A selected model is named as clients ask for it, and a failure is shown."""
    args = ["org/name", "--served-model-name", "cat"]
    cli.store({"serveArgs": args, "modelSelection": {"selection": "custom"}})
    (cli.main / "run").mkdir()
    failure = {
        "at": "2026-01-02T03:04:05+00:00",
        "at_s": 1.0,
        "boot_id": "b",
        "summary": "It broke.",
        "hint": "Mend it.",
        "exit_code": 1,
        "is_final": True,
        "starts": 1,
        "log_tail": ["x"],
    }
    (cli.main / "run" / "last-failure.json").write_text(json.dumps(failure))

    text = cli("status").out

    assert "Model:     cat (org/name, chosen as custom)\n" in text
    assert "Failure:   2026-01-02T03:04:05+00:00: It broke.\n" in text
    assert cli("status", "--json").document()["lastFailure"]["hint"] == "Mend it."


def test_hardware_replays_a_machine(cli, monkeypatch):
    """The recorded facts are printed with the tier and memory derived from them."""
    monkeypatch.setenv("VLLM_PKG_VARIANT", "nvidia")
    monkeypatch.setenv("VLLM_PKG_HARDWARE", str(MACHINES / "rtx-4090.json"))

    assert cli("hardware", "--json").document() == {
        "tier": "nvidia-older",
        "memory_gib": 23.99,
        "system_memory_gib": 62.7,
        "gpus": [
            {
                "vendor": "nvidia",
                "index": 0,
                "name": "NVIDIA GeForce RTX 4090",
                "compute_capability": "8.9",
                "memory_gib": 23.99,
            }
        ],
        "source": "recorded",
        "notes": [],
    }
    text = cli("hardware").out
    assert "Tier:    nvidia-older\nMemory:  24.0 GiB for models\n" in text
    assert "NVIDIA GeForce RTX 4090" in text


@pytest.mark.parametrize(
    ("machine", "shown"), [("gb10", "shared"), ("nvml-failing", "Note: ")]
)
def test_hardware_says_what_is_special(cli, monkeypatch, machine, shown):
    """Shared memory and failing drivers are told, not hidden."""
    monkeypatch.setenv("VLLM_PKG_VARIANT", "nvidia")
    monkeypatch.setenv("VLLM_PKG_HARDWARE", str(MACHINES / f"{machine}.json"))

    assert shown in cli("hardware").out


def test_preset_list(cli, monkeypatch):
    """Every preset stands there, with the reason where it does not fit."""
    monkeypatch.setenv("VLLM_PKG_VARIANT", "nvidia")
    monkeypatch.setenv("VLLM_PKG_HARDWARE", str(MACHINES / "rtx-4090.json"))

    rows = {row["id"]: row for row in cli("preset", "list", "--json").document()}

    assert rows["qwen36-27b"] == {
        "id": "qwen36-27b",
        "name": "Qwen3.6 27B",
        "task": "chat",
        "fits": False,
        "reason": "needs 25 GiB, this machine has 24 GiB",
        "isEstimated": False,
        "memoryNeededGib": 25,
        "contextTokens": None,
        "tensorParallel": None,
        "serveArgs": [],
    }
    assert rows["qwen3-30b-a3b"]["fits"] is True
    assert rows["qwen3-30b-a3b"]["reason"] is None
    assert rows["qwen3-30b-a3b"]["serveArgs"]
    assert rows["minilm"]["task"] == "embedding"
    lines = cli("preset", "list").out.splitlines()
    assert [line for line in lines if "qwen36-27b" in line and "needs 25 GiB" in line]


def test_a_reason_that_all_share_is_said_once(cli, monkeypatch):
    """Where no preset is offered the machine's reason is one line, not one a row."""
    monkeypatch.setenv("VLLM_PKG_VARIANT", "")
    monkeypatch.setenv("VLLM_PKG_HARDWARE", str(MACHINES / "gtx-1080.json"))

    lines = cli("preset", "list").out.splitlines()

    assert [line for line in lines if "compute capability 6.1" in line] == lines[:1]
    assert lines[0].startswith("No preset is offered: ")
    assert len([line for line in lines if line.rstrip().endswith("not offered")]) == 13


def test_where_no_preset_fits_none_is_advised(cli, monkeypatch):
    """A GTX 1080's owner is not sent to a list in which nothing fits."""
    monkeypatch.setenv("VLLM_PKG_VARIANT", "")
    monkeypatch.setenv("VLLM_PKG_HARDWARE", str(MACHINES / "gtx-1080.json"))

    for force in ((), ("--force",)):
        ended = cli("run", "--model", "qwen3-1.7b", *force)
        assert ended.code == 78
        assert ended.error_line().endswith(
            "set VLLM_PKG_VARIANT to cpu; "
            "no other preset fits either, see vllm-pkg hardware"
        )


def test_daemon_print_idles_without_a_model(cli):
    """Nothing selected means nothing to run, and that is no error."""
    ended = cli("daemon", "--print")

    assert (ended.code, ended.document()) == (
        0,
        {"mode": "idle", "argv": [], "env": {}},
    )


@pytest.mark.parametrize("profile", ["standalone", "startos"])
def test_daemon_print_hides_secrets(cli, monkeypatch, profile):
    """Key and tokens are shown as *** only, until they are asked for."""
    monkeypatch.setenv("VLLM_PKG_PROFILE", profile)
    env = [{"name": "MY_TOKEN", "value": "hf_secret"}]
    cli("init")
    cli.store({"serveArgs": ["org/name"], "serveEnv": env})

    hidden = cli("daemon", "--print")
    shown = cli("daemon", "--print", "--show-secrets")

    key = json.loads((cli.public / "credentials.json").read_text())["apiKey"]
    assert hidden.document()["mode"] == "serve"
    assert hidden.document()["argv"][:3] == ["vllm", "serve", "org/name"]
    assert hidden.document()["env"].items() >= {"MY_TOKEN": "***"}.items()
    assert key not in hidden.out
    assert "hf_secret" not in hidden.out
    assert "***" in hidden.out
    assert key in shown.out
    assert shown.document()["env"].items() >= {"MY_TOKEN": "hf_secret"}.items()


@pytest.mark.parametrize("key", [None, "OldKey123"])
def test_daemon_print_changes_nothing(cli, key):
    """What a first start would run is shown; key and folders are left to that start."""
    cli.store({"serveArgs": ["org/name"]} | ({} if key is None else {"apiKey": key}))
    before = snapshot(cli.folder)

    shown = cli("daemon", "--print", "--show-secrets").document()

    assert shown["env"]["VLLM_API_KEY"] == (key or "made-at-the-first-start")
    assert snapshot(cli.folder) == before


def test_logs_prints_the_last_lines(cli):
    """As many lines as asked for, the newest last."""
    (cli.main / "logs").mkdir(parents=True)
    log = cli.main / "logs" / "engine.log"
    log.write_text("one\ntwo\nthree\n")

    assert cli("logs", "-n", "2").out == "two\nthree\n"
    assert cli("logs").out == "one\ntwo\nthree\n"


def test_logs_as_json(cli):
    """One document with the lines, and the error of an empty log as one, too."""
    missing = cli("logs", "--json")
    (cli.main / "logs").mkdir(parents=True)
    log = cli.main / "logs" / "engine.log"
    log.write_text("one\ntwo\nthree\n")

    assert (missing.out, missing.error()["code"]) == ("", "config")
    assert cli("logs", "-n", "2", "--json").document() == {
        "file": str(log),
        "lines": ["two", "three"],
    }


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("run", "--model", "nonsense"), "preset-unknown"),
        (("run", "--port", "x"), "settings-invalid"),
        (("run",), "state-corrupt"),
        (("daemon", "--print"), "state-corrupt"),
    ],
)
def test_errors_of_what_runs_on_are_json_too(cli, command, code):
    """Commands without a document take --json for their errors."""
    cli.store({"serveArgs": 5 if code == "state-corrupt" else []})

    ended = cli(*command, "--json")

    assert (ended.out, ended.error()["code"]) == ("", code)


def _commands(command, *path):
    """Return the words of each command below a group."""
    below = getattr(command, "commands", None)
    if below is None:
        return [path]
    return [
        words for name, sub in below.items() for words in _commands(sub, *path, name)
    ]


@pytest.mark.parametrize(
    "command", _commands(typer.main.get_command(app)), ids=" ".join
)
def test_each_command_takes_json(cli, command):
    """No command calls --json an unknown option; README promises it for each."""
    assert "--json" in cli(*command, "--help").out


def test_a_table_is_fitted_to_a_terminal(cli, monkeypatch):
    """On a terminal no line is wider than it; elsewhere nothing is cut or wrapped."""
    command = ("preset", "list")
    assert max(len(line) for line in cli(*command).out.splitlines()) > 100

    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "60")

    assert max(len(line) for line in cli(*command).out.splitlines()) <= 80
