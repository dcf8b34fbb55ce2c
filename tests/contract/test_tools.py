"""What is missing on a person's machine is skipped, and in CI it is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.tools import REQUIRE, require, require_tool

CI = Path(__file__).parents[2] / ".ci" / "run"
ABSENT = "no-such-tool-anywhere"


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_tool_is_a_skip_that_names_it(monkeypatch, value):
    """On a person's machine the test is skipped, and the summary says for what."""
    monkeypatch.delenv(REQUIRE, raising=False)
    if value is not None:
        monkeypatch.setenv(REQUIRE, value)

    with pytest.raises(pytest.skip.Exception) as caught:
        require_tool(ABSENT)

    assert caught.value.msg == f"{ABSENT} is not installed"


def test_where_tools_are_required_a_missing_one_is_a_failure(monkeypatch):
    """In CI the same gap fails, and says which variable asks for that."""
    monkeypatch.setenv(REQUIRE, "1")

    with pytest.raises(pytest.fail.Exception) as caught:
        require(None, "mounting is not permitted")

    assert caught.value.msg == f"mounting is not permitted, and {REQUIRE} is set"


@pytest.mark.parametrize("value", ["", "1"])
def test_what_is_there_is_used(monkeypatch, value):
    """A tool that is there gives its path, required or not."""
    monkeypatch.setenv(REQUIRE, value)
    require("anything", "nothing")

    assert require_tool("sh") == shutil.which("sh")


@pytest.fixture(name="ci")
def ci_fixture(tmp_path):
    """A function that runs CI's script with some variables; its programs do nothing."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("make", "apt-get"):
        program = programs / name
        program.write_text(f"#!/bin/sh\necho {name}: $@, {REQUIRE}=${REQUIRE}\n")
        program.chmod(0o755)
    (programs / "dpkg-query").symlink_to("/bin/true")

    def run(**variables):
        return subprocess.run(
            [CI],
            env={"PATH": f"{programs}{os.pathsep}{os.defpath}"} | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_ci_requires_the_tools(ci):
    """CI runs the tests as a person does, with every tool required."""
    done = ci()

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"make: test, {REQUIRE}=1"


def test_ci_compares_snapshots_and_never_renews_them(ci):
    """With the variable that renews them no comparison could fail: it is refused."""
    done = ci(VLLM_PKG_RENEW="1")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: VLLM_PKG_RENEW is set, and no snapshot would be compared; unset it\n"
    )
