"""Bad input: one line with what and what to do, the right code, nothing changed."""

from __future__ import annotations

import io
import json
import socket

import pytest
import typer

from support.command_line import snapshot


def entered(args="org/name", **env):
    """Return the input of Set Model for Custom."""
    pairs = [{"name": name, "value": value} for name, value in env.items()]
    config = {"selection": "custom", "value": {"args": args, "env": pairs}}
    return json.dumps({"config": config})


SET = ("action", "run", "set-model", "--input")
DELETE = ("action", "run", "delete-model-cache", "--input")
DELETION = json.dumps(
    {
        "model": {"selection": "typed", "value": {"repo": "org/name"}},
        "clearSelection": False,
    }
)
# Command line, exit code, and what its one line must contain.
TABLE = [
    # The command line itself.
    (("nonsense",), 2, "No such command 'nonsense'; see vllm-pkg --help"),
    (("helth",), 2, "Did you mean 'health'?"),
    (("health", "--nope"), 2, "No such option: --nope"),
    (
        ("health", "--check", "x"),
        2,
        "no health check 'x'; there are primary and download",
    ),
    (("health", "--check"), 2, "'--check' requires an argument"),
    (("health", "more"), 2, "unexpected extra argument"),
    (("init", "--kind", "x"), 2, "not one of 'install', 'update', 'restore'"),
    (("logs", "-n", "0"), 2, "'-n' / '--lines'"),
    (("logs", "-n", "many"), 2, "'-n' / '--lines'"),
    (("logs",), 78, "there is no engine log yet; start the service: vllm-pkg run"),
    (("key", "make"), 2, "No such command 'make'; see vllm-pkg key --help"),
    # What to serve, and where.
    (("run", "--model", "nonsense"), 78, "no preset 'nonsense'; see vllm-pkg preset"),
    (("run", "--model", "qwen36-27"), 78, "did you mean qwen36-27b?"),
    (("run", "--model", ""), 78, "there is no preset ''"),
    (("run", "--model", "a//b"), 2, "'a//b' cannot be a repository; name it as org/"),
    (("run", "--model", "a\nb"), 2, "'a\\nb' cannot name a model"),
    (("run", "--model", "\udcff"), 2, "'\\udcff' cannot name a model"),
    (("run", "--model", "/no/such"), 78, "/no/such is not a folder with a config.json"),
    (
        ("run", "--model", "qwen36-27b"),
        78,
        "27B does not fit: not offered for machines that serve from the CPU; choose",
    ),
    (
        ("run", "--model", "qwen36-27b", "--force"),
        78,
        "Qwen3.6 27B cannot be served here: not offered for machines that serve from",
    ),
    (("run", "--port", "x"), 78, "--port is 'x'; set it to a number from 1 to 65535"),
    (("run", "--port", "65536"), 78, "--port is '65536'"),
    (("run", "--host", "not-an-ip"), 78, "--host is 'not-an-ip'; set it to an IP"),
    (("run", "--host", "192.0.2.1"), 78, "choose another address or port: --host"),
    # Actions.
    (("action", "input", "nope"), 2, "no action 'nope'; see vllm-pkg action list"),
    (("action", "run", "set-modl"), 2, "'set-modl'; did you mean set-model?"),
    (("action", "run"), 2, "Missing argument"),
    (("action", "run", "set-model"), 2, "set-model needs an input; see its form"),
    ((*SET, "{"), 2, "--input is not JSON"),
    ((*SET, ""), 2, "--input is not JSON"),
    ((*SET, "[" * 100_000), 2, "--input is not JSON: it is nested too deeply"),
    ((*SET, "[" * 500 + "]" * 500), 2, "expected an object"),
    ((*SET, "[]"), 2, "the input: expected an object"),
    ((*SET, "null"), 2, "set-model needs an input"),
    ((*SET, "{}"), 2, "config: "),
    ((*SET, '{"config": {"selection": "x", "value": {}}}'), 2, "got 'x'"),
    ((*SET, '{"config": {"selection": "qwen36-27b", "value": {}}}'), 2, "qwen36-27b"),
    ((*SET, entered("")), 2, "config.value.args: must not be empty"),
    ((*SET, entered("  ")), 2, "config.value.args: must not be empty"),
    ((*SET, entered('org/name --x "y')), 2, "the quote at line 1, column 14 is never"),
    ((*SET, entered("org/name \\")), 2, "ends with a backslash that escapes nothing"),
    ((*SET, entered("--max-model-len 1")), 2, "names no model"),
    ((*SET, entered("/no/such")), 2, "/no/such is not a folder with a config.json"),
    ((*SET, entered("org/name --port 1")), 2, "--port is reserved"),
    ((*SET, entered("org/name --api_key=s3cret")), 2, "is reserved: "),
    ((*SET, entered("org/name", PATH="/x")), 2, "config.value.env.0.name: PATH is"),
    ((*SET, entered("\ud800")), 2, "half of a surrogate pair"),
    ((*DELETE, DELETION), 73, "org/name"),
    ((*DELETE, '{"model": 1}'), 2, "model"),
    (("action", "run", "get-api-credentials", "--input", '{"a": 1}'), 2, "no input"),
]


@pytest.fixture(name="ready")
def ready_fixture(cli):
    """A command line whose state is in order."""
    assert cli("init").code == 0
    return cli


@pytest.mark.parametrize(("command", "code", "line"), TABLE)
def test_bad_input_gets_one_line_and_changes_nothing(ready, command, code, line):
    """Each line says what and what to do; the state is the same, byte for byte."""
    before = snapshot(ready.folder)

    ended = ready(*command)

    assert line in ended.error_line()
    assert (ended.code, ended.out) == (code, "")
    assert snapshot(ready.folder) == before


def test_the_snapshot_sees_a_change(ready):
    """What says that nothing changed does notice a mode, a byte and a name."""
    before = snapshot(ready.folder)
    key_file = ready.public / "credentials.json"
    mode = key_file.stat().st_mode

    key_file.chmod(0o640)
    assert snapshot(ready.folder) != before
    key_file.chmod(mode)
    assert snapshot(ready.folder) == before
    (ready.main / "new").touch()
    assert snapshot(ready.folder) != before


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Traceback (most recent call last):\nx; y\n", "two lines"),
        ("something; else\n", "no prefix"),
        ("error: only what\n", "no hint"),
    ],
)
def test_other_lines_are_refused(cli, line, problem):
    """What checks the error line fails on a traceback and on half a message."""
    ended = type(cli("--version"))(1, "", line)

    with pytest.raises(AssertionError):
        ended.error_line()
    assert problem


def test_a_secret_in_refused_arguments_is_not_repeated(ready):
    """The line names the option that was refused, not the value it was given."""
    assert "s3cret" not in ready(*SET, entered("org/name --api_key=s3cret")).err


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (
            ("health", "--check", "x", "--json"),
            {
                "code": "invalid-argument",
                "message": "there is no health check 'x'",
                "hint": "there are primary and download",
            },
        ),
        (
            ("status", "--watch", "--json"),
            {
                "code": "invalid-argument",
                "message": "--watch is for people",
                "hint": "leave out --json",
            },
        ),
        (
            ("preset", "list", "--json", "--nope"),
            {
                "code": "usage",
                "message": "No such option: --nope",
                "hint": "see vllm-pkg preset list --help",
            },
        ),
        (
            ("action", "input", "set-modl", "--json"),
            {
                "code": "unknown-action",
                "message": "there is no action 'set-modl'",
                "hint": "did you mean set-model?",
            },
        ),
    ],
)
def test_errors_as_json(ready, command, error):
    """With ``--json`` an error is one JSON document of one shape, on stderr."""
    ended = ready(*command)

    assert (ended.code, ended.out) == (2, "")
    assert ended.error() == error


def test_errors_as_json_name_the_fields(ready):
    """A refused form says which fields are wrong and why."""
    text = entered("org/name --port 1 --host ::", PATH="/x")

    error = ready(*SET, text, "--json").error()

    assert error["code"] == "invalid-argument"
    assert [field["path"] for field in error["fields"]] == [
        ["config", "value", "args"],
        ["config", "value", "args"],
        ["config", "value", "env", "0", "name"],
    ]


def test_stdin_that_is_no_text_is_refused(ready, monkeypatch):
    """Bytes that are not UTF-8 are an error of the input, not of the program."""
    stdin = io.TextIOWrapper(io.BytesIO(b"\xff\xfe{"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", stdin)

    ended = ready(*SET, "-")

    assert ended.code == 2
    assert "--input is not JSON: it is not UTF-8 text" in ended.error_line()


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("VLLM_PKG_PROFILE", "x", "VLLM_PKG_PROFILE is 'x'; set it to startos or"),
        ("VLLM_PKG_MAIN", "relative", "VLLM_PKG_MAIN is 'relative'; set it to an abs"),
        ("VLLM_PKG_PORT", "9\n9", "VLLM_PKG_PORT is '9\\n9'"),
        ("VLLM_PKG_HARDWARE", "/no/such", "VLLM_PKG_HARDWARE cannot be read: No such"),
        ("VLLM_PKG_VARIANT", "x", "VLLM_PKG_VARIANT is 'x'; set it to nvidia or rocm"),
    ],
)
def test_wrong_settings_are_told(ready, monkeypatch, variable, value, line):
    """A variable with an impossible value is named, with what it may be."""
    monkeypatch.setenv(variable, value)

    ended = ready("status")

    assert ended.code == 78
    assert line in ended.error_line()


def test_port_in_use_is_told_before_anything_changes(ready, monkeypatch):
    """Another program on the port: try again later or elsewhere; nothing selected."""
    before = snapshot(ready.folder)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("VLLM_PKG_PORT", str(port))

        ended = ready("run", "--model", "org/name")

    assert ended.code == 75
    assert ended.error_line() == (
        f"error: port {port} on 127.0.0.1 is in use by another program;"
        " stop that program, or choose another port: --port"
    )
    assert snapshot(ready.folder) == before


def test_no_key_yet_is_told(cli):
    """Before the first start there is no key; the line says how to make one."""
    ended = cli("key", "show")

    assert ended.code == 78
    assert "there is no API key yet; make one: vllm-pkg init" in ended.error_line()
    assert snapshot(cli.folder) == {}


def fail(*_: object) -> None:
    """Fail as only a mistake in the program can."""
    raise KeyError("lost")


def test_a_mistake_of_ours_is_one_line_too(cli, monkeypatch):
    """Nobody sees a traceback, but the line says how to get one."""
    monkeypatch.setattr("vllm_pkg.health.probe.check_all", fail)

    ended = cli("health")

    assert ended.code == 70
    assert "this should not have happened: KeyError: 'lost'" in ended.error_line()
    assert "VLLM_PKG_DEBUG=1" in ended.err
    monkeypatch.setenv("VLLM_PKG_DEBUG", "1")
    with pytest.raises(KeyError):
        cli("health")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, typer.Abort])
def test_ctrl_c_is_quiet(cli, monkeypatch, kind):
    """An interrupted command ends with 130 and says nothing."""

    def interrupt(*_: object) -> None:
        raise kind

    monkeypatch.setattr("vllm_pkg.health.probe.check_all", interrupt)

    ended = cli("health")

    assert (ended.code, ended.out, ended.err.strip()) == (130, "", "")
