"""The command line as a program: readers that are gone, Ctrl-C, failing starts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.command_line import PROGRAM, make_ready, run_program, select, write_log
from support.service import free_port
from support.waiting import wait_until


@pytest.fixture(name="environment")
def environment_fixture(tmp_path):
    """The variables of an instance whose state is in order."""
    return make_ready(tmp_path)


@contextmanager
def started(environment, *command, **options):
    """Run a command in the background; it is ended whatever happens."""
    process = subprocess.Popen(
        [*PROGRAM, *command], env=os.environ | environment, text=True, **options
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "command",
    [
        ("logs",),
        ("logs", "-f"),
        ("action", "list"),
        ("action", "list", "--json"),
        ("status",),
        ("--help",),
    ],
)
def test_a_reader_that_is_gone_is_no_error(environment, command):
    """As in `vllm-pkg logs | head -1`: the program ends and says nothing."""
    write_log(environment, "line\n" * 1000)
    reading, writing = os.pipe()
    os.close(reading)

    ended = run_program(
        environment, *command, capture_output=False, stdout=writing, stderr=-1
    )

    os.close(writing)
    assert (ended.code, ended.err) == (1, "")


def test_the_first_line_of_the_log(environment):
    """A real pipe into head: the line comes, and nobody complains."""
    write_log(environment, "".join(f"line {number}\n" for number in range(50_000)))

    done = subprocess.run(
        ["sh", "-c", '"$0" -m vllm_pkg logs -n 50000 | head -n 1', sys.executable],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == ("line 0\n", "")


@pytest.mark.parametrize(
    "command", [("hardware",), ("hardware", "--json"), ("preset", "list"), ("logs",)]
)
def test_output_to_a_full_disk_is_told(environment, command):
    """What could not be written is said in one line, not dropped."""
    write_log(environment, "line\n")
    with Path("/dev/full").open("w") as full:
        ended = run_program(
            environment, *command, capture_output=False, stdout=full, stderr=-1
        )

    assert ended.code == 74
    if "--json" not in command:
        assert "cannot write the output: No space left" in ended.error_line()
    else:
        assert ended.error()["code"] == "output-failed"


def test_nobody_hears_the_error(environment):
    """Where stderr is closed too, the exit code still tells."""
    reading, writing = os.pipe()
    os.close(reading)

    ended = run_program(
        environment, "nonsense", capture_output=False, stdout=-1, stderr=writing
    )

    os.close(writing)
    assert (ended.code, ended.out) == (2, "")


def test_following_the_log_until_ctrl_c(environment, tmp_path):
    """History first, then what is added; Ctrl-C ends it quietly with 130."""
    write_log(environment, "history\n")
    shown, said = tmp_path / "shown", tmp_path / "said"

    def add_until_shown():
        write_log(environment, "added\n")
        return "added" in shown.read_text()

    with (
        shown.open("w") as stdout,
        said.open("w") as stderr,
        started(environment, "logs", "-f", stdout=stdout, stderr=stderr) as process,
    ):
        wait_until(lambda: "history" in shown.read_text(), 30, "the history")
        # Added until it is seen: the first lines may come before it follows.
        wait_until(add_until_shown, 30, "what was added")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130

    assert said.read_text().strip() == ""
    assert shown.read_text().startswith("history\nadded\n")


def test_following_the_log_as_json(environment, tmp_path):
    """With --json each line, of the history or added, is an object of its own."""
    write_log(environment, "history\n")
    shown = tmp_path / "shown"

    def add_until_shown():
        write_log(environment, "added\n")
        return "added" in shown.read_text()

    with (
        shown.open("w") as stdout,
        started(environment, "logs", "-f", "--json", stdout=stdout) as process,
    ):
        wait_until(lambda: "history" in shown.read_text(), 30, "the history")
        wait_until(add_until_shown, 30, "what was added")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130

    lines = [json.loads(line)["line"] for line in shown.read_text().splitlines()]
    assert lines[:2] == ["history", "added"]
    assert set(lines) == {"history", "added"}


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_watching_the_status_until_ctrl_c(environment, tmp_path, kind):
    """On any terminal the status is shown anew until Ctrl-C, which is quiet."""
    terminal, other_end = os.openpty()
    said = tmp_path / "said"
    seen = bytearray()
    os.set_blocking(terminal, False)

    def read_status():
        try:
            seen.extend(os.read(terminal, 65536))
        except BlockingIOError:
            return False
        return b"No model selected" in seen

    with (
        said.open("w") as stderr,
        started(
            environment | {"TERM": kind},
            *("status", "--watch"),
            stdout=other_end,
            stderr=stderr,
        ) as process,
    ):
        wait_until(read_status, 30, "the status")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    os.close(terminal)
    os.close(other_end)

    assert said.read_text().strip() == ""


def test_the_idle_daemon_ends_at_a_signal(environment, tmp_path):
    """Without a model the daemon waits, and SIGTERM is its normal end."""
    shown = tmp_path / "shown"
    with (
        shown.open("w") as stdout,
        started(environment, "daemon", stdout=stdout) as process,
    ):
        wait_until(lambda: "No model selected" in shown.read_text(), 30, "idling")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.parametrize("reason", ["port", "folder"])
def test_the_daemon_tells_why_it_cannot_start(environment, reason):
    """A port in use is worth another try, a missing folder is not; status has both."""
    select(environment, "org/name" if reason == "port" else "/no/such")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if reason == "port" else free_port()
        ended = run_program(environment | {"VLLM_PKG_PORT": str(port)}, "daemon")

    code, line = {
        "port": (75, f"port {port} on 127.0.0.1 is in use by another program; stop"),
        "folder": (78, "/no/such is not a folder with a model in it; give the path"),
    }[reason]
    assert ended.code == code
    assert line in ended.error_line()
    failure = json.loads(run_program(environment, "status", "--json").out)[
        "lastFailure"
    ]
    assert failure["exit_code"] == code
    assert line.partition(";")[0] in failure["summary"]
