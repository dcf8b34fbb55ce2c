"""What make says to a person who has just cloned the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOO_OLD = (
    "is Python 3.9.2, and 3.11 is the least; name another one: "
    "make setup PYTHON=python3.11"
)
NO_VENV = (
    "lacks the modules venv and ensurepip; install them, on Debian: "
    "apt-get install python3-venv"
)


def check_python(folder, script):
    """Run the check of a Python that a shell script stands in for."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return subprocess.run(
        [ROOT / "scripts" / "check-python", python],
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_alone_lists_the_targets():
    """Each target that people need is listed with what it does."""
    done = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [line.split()[1] for line in done.stdout.splitlines()]
    assert names == [
        "help",
        "setup",
        "run",
        "test",
        "test-fast",
        "check",
        "fmt",
        "lint",
        "type",
        "options",
        "torture",
        "screenshots",
        "guarantees",
        "rootfs-test",
        "clean",
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            'case $2 in *sys*) exit 1 ;; *) echo "3.9.2" ;; esac',
            TOO_OLD,
        ),
        (
            "case $2 in *ensurepip*) exit 1 ;; esac",
            NO_VENV,
        ),
    ],
    ids=["too-old", "no-venv"],
)
def test_a_python_that_cannot_be_used_is_one_line(tmp_path, script, message):
    """What is wrong with a Python, and what to do, is said in one line."""
    done = check_python(tmp_path, script)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/python {message}\n"


def test_a_python_that_is_not_there_is_one_line(tmp_path):
    """A Python that does not exist is said in one line."""
    done = subprocess.run(
        [ROOT / "scripts" / "check-python", tmp_path / "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: there is no {tmp_path}/none; install Python 3.11 or newer\n"
    )


def test_a_python_that_can_be_used_says_nothing(tmp_path):
    """A Python that answers as it should passes in silence."""
    done = check_python(tmp_path, "exit 0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "name", ["check-python", "run-tests", "fresh-machine", "fresh-machine-check"]
)
def test_scripts_can_be_run_and_are_whole(name):
    """Each script is executable, and its shell can read all of it."""
    path = ROOT / "scripts" / name
    assert path.stat().st_mode & 0o111
    shell = "sh" if name == "check-python" else "bash"
    subprocess.run([shell, "-n", path], check=True)
