"""The command line under test: run in this process or as a program, over a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.service import free_port
from vllm_pkg.cli.main import main
from vllm_pkg.engine.daemon import prepare_state
from vllm_pkg.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

PROGRAM = (sys.executable, "-m", "vllm_pkg")
MACHINES = Path(__file__).parents[1] / "data" / "hardware"


@dataclass(frozen=True)
class Ended:
    """
    What a command line left.

    Args:
        code: Its exit code.
        out: What it wrote on stdout.
        err: What it wrote on stderr.
    """

    code: int
    out: str
    err: str

    def document(self) -> Any:
        """Return the JSON document that is the only thing on stdout."""
        assert self.err == ""
        return json.loads(self.out)

    def error_line(self) -> str:
        """Return the one line on stderr that says what and what to do."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert lines[0].startswith("error: "), self.err
        what, separator, to_do = lines[0].removeprefix("error: ").rpartition("; ")
        assert what
        assert separator
        assert to_do
        return lines[0]

    def error(self) -> dict[str, Any]:
        """Return the error that ``--json`` prints on stderr, in one line."""
        assert len(self.err.splitlines()) == 1, self.err
        document = json.loads(self.err)
        assert set(document) == {"error"}
        return dict(document["error"])


@dataclass(frozen=True)
class CommandLine:
    """
    Runs command lines in this process.

    Args:
        folder: Both volumes stand below it.
        capsys: Where the output is read.
    """

    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def main(self) -> Path:
        """The main volume."""
        return self.folder / "main"

    @property
    def public(self) -> Path:
        """The public volume."""
        return self.folder / "public"

    def __call__(self, *arguments: str) -> Ended:
        """Run one command line."""
        self.capsys.readouterr()
        code = main(list(arguments))
        captured = self.capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    def store(self, document: object) -> None:
        """Write store.json, as another program would."""
        self.main.mkdir(parents=True, exist_ok=True)
        (self.main / "store.json").write_text(json.dumps(document))


def variables(folder: Path, machine: str = "cpu-24gib", **more: str) -> dict[str, str]:
    """Return the variables of an instance over *folder*, on a recorded machine."""
    return {
        "VLLM_PKG_MAIN": str(folder / "main"),
        "VLLM_PKG_PUBLIC": str(folder / "public"),
        "VLLM_PKG_HARDWARE": str(MACHINES / f"{machine}.json"),
        "VLLM_PKG_VARIANT": "cpu" if machine.startswith("cpu") else "nvidia",
        # Set, though empty, so that what a command sets ends with the test.
        "VLLM_PKG_PROFILE": "",
        "VLLM_PKG_HOST": "",
        "VLLM_PKG_PORT": "",
        "HOME": str(folder),
        # Output is buffered as it is for everybody.
        "PYTHONUNBUFFERED": "",
        "COLUMNS": "80",
    } | more


def run_program(
    environment: Mapping[str, str], *arguments: str, **options: Any
) -> Ended:
    """Run one command line as a program, to its end."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=os.environ | environment,
        check=False,
        timeout=60,
        text=True,
        **({"capture_output": True} | options),
    )
    return Ended(done.returncode, done.stdout or "", done.stderr or "")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of everything in a folder, byte for byte."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = b"" if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


def make_ready(folder: Path) -> dict[str, str]:
    """Bring the state of an instance into order and return its variables."""
    environment = variables(folder, VLLM_PKG_PORT=str(free_port()))
    prepare_state(load_settings(environment))
    return environment


def select(environment: Mapping[str, str], model: str) -> None:
    """Write store.json."""
    store = Path(environment["VLLM_PKG_MAIN"]) / "store.json"
    store.write_text(json.dumps({"serveArgs": [model]}))


def write_log(environment: Mapping[str, str], text: str) -> None:
    """Append to the engine's log."""
    with (Path(environment["VLLM_PKG_MAIN"]) / "logs" / "engine.log").open("a") as log:
        log.write(text)
