"""A daemon as a real process, over volumes of its own and a fake engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.service import free_port
from support.settings_factory import make_settings
from support.tools import require, require_tool
from support.waiting import wait_until

if TYPE_CHECKING:
    from support.fake_vllm import FakeVllm

_TESTS = str(Path(__file__).parents[1])
KEY = "abcdefghijABCDEFGHIJ01"
# Becomes a program in a network of its own, once its loopback device is up.
_WITH_LOOPBACK = """\
import os, sys
sys.path.insert(0, sys.argv.pop(1))
from support.without_network import bring_loopback_up
bring_loopback_up()
os.execvp(sys.argv[1], sys.argv[1:])
"""


@dataclass
class Daemon:
    """
    A daemon over volumes of its own, with a fake engine.

    Args:
        folder: Both volumes stand below it.
        fake: The environment with the fake engine.
    """

    folder: Path
    fake: FakeVllm
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        """Choose a port, and prepare the folders."""
        self.variables = {
            "VLLM_PKG_PROFILE": "standalone",
            "VLLM_PKG_MAIN": str(self.folder / "main"),
            "VLLM_PKG_PUBLIC": str(self.folder / "public"),
            "VLLM_PKG_PORT": str(free_port()),
            "VLLM_PKG_VARIANT": "cpu",
            # Nothing is fetched: the fake engine needs no weights.
            "HF_HUB_OFFLINE": "1",
        }
        self.prefix: tuple[str, ...] = ()
        self.settings = make_settings(self.folder)
        self.settings.main.mkdir()
        self.settings.public.mkdir()
        self.settings.credentials_file.write_text(json.dumps({"apiKey": KEY}))

    def select(self, *serve_args: str) -> None:
        """Select a model."""
        document = {"serveArgs": list(serve_args)}
        self.settings.store_file.write_text(json.dumps(document))

    def under_startos(self, variant: str = "cpu") -> None:
        """Be StartOS: its port is fixed, so the daemon gets a network of its own."""
        unshare = require_tool("unshare")
        done = subprocess.run([unshare, "--net", "true"], check=False)
        require(done.returncode == 0, "a network of its own is not permitted")
        self.prefix = (unshare, "--net", sys.executable, "-c", _WITH_LOOPBACK, _TESTS)
        self.variables |= {
            "VLLM_PKG_PROFILE": "startos",
            "VLLM_PKG_VARIANT": variant,
        }

    def start(self, program: tuple[str, ...] | None = None) -> subprocess.Popen[bytes]:
        """Start the daemon."""
        with self.output.open("wb") as output, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*self.prefix, *(program or self.fake.program), "daemon"],
                env=os.environ | self.variables,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        return self.process

    @property
    def output(self) -> Path:
        """What it wrote on stdout."""
        return self.folder / "stdout"

    @property
    def errors(self) -> Path:
        """What it wrote on stderr."""
        return self.folder / "stderr"

    def wait_idle(self) -> None:
        """Wait until it says that it waits."""
        wait_until(
            lambda: self.output.read_text().endswith("No model selected; waiting.\n"),
            20,
            "idling",
        )

    def wait_engine(self) -> dict[str, Any]:
        """Wait until the engine is started and return what it was given."""
        return wait_until(self.fake.starts, 20, "the engine")[-1]

    def health(self) -> tuple[int, str]:
        """Return exit code and output of the health check."""
        return self.run("health")

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and output."""
        done = subprocess.run(
            [*self.fake.program, *arguments],
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def close(self) -> None:
        """End what runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
