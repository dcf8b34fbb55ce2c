"""Missing permissions and a disk that is really full: told, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.command_line import (
    PROGRAM,
    Ended,
    make_ready,
    run_program,
    select,
    snapshot,
    write_log,
)
from support.tools import require, require_tool

CUSTOM = json.dumps(
    {"config": {"selection": "custom", "value": {"args": "org/name", "env": []}}}
)
SET = ("action", "run", "set-model", "--input", CUSTOM)


@pytest.fixture(name="environment")
def environment_fixture(tmp_path):
    """The variables of an instance whose state is in order."""
    return make_ready(tmp_path)


def run_without_privilege(environment, *command):
    """Run a command to which the modes of files apply, also when we are root."""
    privileged: tuple[str, ...] = ()
    if os.geteuid() == 0:
        setpriv = require_tool("setpriv")
        privileged = (setpriv, "--bounding-set=-dac_override,-dac_read_search", "--")
    done = subprocess.run(
        [*privileged, *PROGRAM, *command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def modes(changes):
    """Give files and folders other modes, the last one first taken back."""
    before = {path: path.stat().st_mode for path in changes}
    try:
        for path, mode in changes.items():
            path.chmod(mode)
        yield
    finally:
        for path in reversed(before):
            path.chmod(before[path])


@pytest.fixture(name="closed", params=["no entry", "no access to files"])
def closed_fixture(environment, tmp_path, request):
    """What to close: the whole main volume, or each file and the making of others."""
    select(environment, "org/name")
    write_log(environment, "line\n")
    main = tmp_path / "main"
    files = [
        main / "store.json",
        main / ".lock",
        main / "logs" / "engine.log",
        tmp_path / "public" / "credentials.json",
    ]
    mode = 0o000 if request.param == "no entry" else 0o555
    return dict.fromkeys(files, 0o000) | {main: mode}


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (("health",), "main/store.json"),
        (("status",), "main/store.json"),
        (("init",), "main/"),
        (("daemon", "--print"), "public/credentials.json"),
        (("key", "show"), "public/credentials.json"),
        (("logs",), "main/logs/engine.log"),
        (("logs", "-f"), "main/logs/engine.log"),
        (("action", "input", "set-model"), "main/store.json"),
        (("action", "run", "get-api-credentials"), "main/.lock"),
        (SET, "main/store.json"),
        (("run", "--model", "org/name"), "main/.lock"),
        (("run", "--model", "tiny"), "main/.lock"),
    ],
)
def test_missing_permission_is_told(environment, tmp_path, closed, command, file):
    """The line names the file and the reason, and nothing changes."""
    before = snapshot(tmp_path)

    with modes(closed):
        ended = run_without_privilege(environment, *command)

    assert ended.code == 74
    line = ended.error_line()
    assert f"{tmp_path}/{file}" in line
    assert "Permission denied" in line
    assert snapshot(tmp_path) == before


def test_a_damaged_file_that_cannot_be_moved_is_told(environment, tmp_path):
    """What is damaged and cannot be set aside is said to be both."""
    store = tmp_path / "main" / "store.json"
    store.write_text("{")
    store.chmod(0o600)
    before = snapshot(tmp_path)

    with modes({store.parent: 0o555}):
        ended = run_without_privilege(environment, "init")

    assert ended.code == 74
    assert f"{store} is damaged: it is not JSON" in ended.error_line()
    assert "it could not be set aside" in ended.err
    assert snapshot(tmp_path) == before


@pytest.fixture(name="small_disk")
def small_disk_fixture(tmp_path):
    """A file system of 64 KiB with the state in order and no space left."""
    require(os.geteuid() == 0, "only root can mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False
    )
    require(mounted.returncode == 0, "no file system can be mounted here")
    try:
        environment = make_ready(folder)
        select(environment, "org/name")
        with (folder / "filler").open("wb", buffering=0) as filler:
            fill(filler)
        yield environment
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(stream):
    """Write until the disk is full."""
    while True:
        try:
            stream.write(bytes(1024))
        except OSError:
            return


@pytest.mark.parametrize(
    "command",
    [SET, ("run", "--model", "other/name"), ("run", "--model", "tiny")],
)
def test_a_full_disk_keeps_what_was_there(small_disk, command):
    """Nothing half-written, nothing lost; the line says what to do."""
    folder = Path(small_disk["VLLM_PKG_MAIN"]).parent
    before = snapshot(folder)

    ended = run_program(small_disk, *command)

    assert ended.code == 74
    assert "No space left on device" in ended.error_line()
    assert "free some disk space and try again; the old file is still whole" in (
        ended.err
    )
    after = snapshot(folder)
    assert {name: after[name] for name in before} == before
    new = set(after) - set(before)
    # The folder of local models and its lock are empty.
    assert new <= {"main/local-models", "main/local-models/.lock"}


def test_a_full_disk_gets_no_half_key(small_disk):
    """Without space there is no key, rather than an empty file that looks like one."""
    credentials = Path(small_disk["VLLM_PKG_PUBLIC"]) / "credentials.json"
    credentials.unlink()
    with (credentials.parents[1] / "filler").open("ab", buffering=0) as filler:
        fill(filler)

    ended = run_program(small_disk, "init")

    assert ended.code == 74
    assert f"cannot write {credentials}: No space left" in ended.error_line()
    assert list(credentials.parent.iterdir()) == []


def test_a_full_disk_can_still_be_looked_at(small_disk):
    """What only reads works on a full disk, and says so."""
    assert run_program(small_disk, "health").code == 1
    assert run_program(small_disk, "key", "show").code == 0
    assert run_program(small_disk, "init").code == 0
    assert "Disk:      0.0 GiB free" in run_program(small_disk, "status").out
