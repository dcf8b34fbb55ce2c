"""Rules about the source code, each shown to find what it forbids."""

from __future__ import annotations

from pathlib import Path

import pytest

import vllm_pkg
from support.source_rules import find_violations

PACKAGE = Path(vllm_pkg.__file__).parent


def test_the_package_keeps_the_rules():
    """Renaming, syncing, starting and ending stand in one module each."""
    assert find_violations(PACKAGE) == []


def test_the_modules_that_may_do_it_do_it():
    """The two modules that the rules exempt are really there and use the exemption."""
    atomic = (PACKAGE / "state" / "atomic.py").read_text()
    assert "os.replace(" in atomic
    assert "os.fsync(" in atomic
    assert "subprocess." in (PACKAGE / "engine" / "processes.py").read_text()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os\nos.replace('a', 'b')\n", ["2: os.replace"]),
        ("import os\nrename = os.rename\n", ["2: os.rename"]),
        ("from os import fsync\n", ["1: os.fsync"]),
        ("import subprocess\nsubprocess.Popen(['a'])\n", ["2: subprocess.Popen"]),
        ("import subprocess as s\nfrom subprocess import run\n", ["2: subprocess.run"]),
        ("import os\nos.kill(1, 9)\n", ["2: os.kill"]),
        ("import os\nos.execvpe('a', [], {})\n", ["2: os.execvpe"]),
        ("process.terminate()\n", ["1: .terminate()"]),
        ("path.rename('b')\n", ["1: .rename()"]),
        ("start('a', shell=True)\n", ["1: shell=True"]),
        ("x = 1\n" * 401, ["401: 401 lines"]),
    ],
)
def test_the_rules_find_what_they_forbid(tmp_path, code, found):
    """Each forbidden thing is found, with its line."""
    (tmp_path / "module.py").write_text(code)
    assert find_violations(tmp_path) == [f"module.py:{item}" for item in found]


def test_a_module_named_utils_is_found(tmp_path):
    """A name that says nothing is found wherever it stands."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "utils.py").touch()
    assert find_violations(tmp_path) == ["deep/utils.py:1: a module named utils"]


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\ndef f(p: subprocess.Popen[bytes]) -> None: ...\n",
        "import subprocess\ndef f() -> subprocess.Popen[bytes]: ...\n",
        "start('a', shell=False)\n",
        "x = 1\n" * 400,
    ],
    ids=["argument", "return", "no-shell", "400"],
)
def test_the_rules_leave_the_rest_alone(tmp_path, code):
    """Annotations and sizes at the limit are no violations."""
    (tmp_path / "module.py").write_text(code)
    assert find_violations(tmp_path) == []
