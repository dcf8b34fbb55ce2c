"""A real service for end-to-end tests: the program, its volumes and its health."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from support.waiting import wait_until
from vllm_pkg.engine.processes import find_engine_processes, instance_id

if TYPE_CHECKING:
    from pathlib import Path

START_TIMEOUT_S = 300.0
# Linux gives 32768 and more to connections.
PORTS = range(20_000, 32_000)
PROGRAM = (sys.executable, "-m", "vllm_pkg")


def free_port() -> int:
    """
    Return a TCP port that nothing listens on.

    No connection of another test takes it before it is listened on: see `PORTS`.
    """
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with (
            contextlib.suppress(OSError),
            socket.create_server(("127.0.0.1", port)),
        ):
            return port


@dataclass
class Service:
    """
    One instance of the service over volumes of its own.

    Args:
        folder: Both volumes stand below it.
        port: Port of the API.
        program: The program under test; another Python brings another engine.
    """

    folder: Path
    port: int
    program: tuple[str, ...] = PROGRAM
    process: subprocess.Popen[str] | None = None

    @property
    def main(self) -> Path:
        """The main volume."""
        return self.folder / "main"

    @property
    def public(self) -> Path:
        """The public volume."""
        return self.folder / "public"

    @cached_property
    def portal_port(self) -> int:
        """The port of the portal, which no other test has."""
        return free_port()

    @property
    def base_url(self) -> str:
        """What an OpenAI client is given."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """Our environment, with the volumes of this instance."""
        return os.environ | {
            "VLLM_PKG_MAIN": str(self.main),
            "VLLM_PKG_PUBLIC": str(self.public),
            "VLLM_PKG_PORTAL_PORT": str(self.portal_port),
        }

    def command(
        self, *arguments: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of the program to its end."""
        return subprocess.run(
            [*self.program, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments: str, stdin: str | None = None) -> Any:
        """Run one command that must succeed and return the JSON it prints."""
        done = self.command(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def key(self) -> str:
        """Return the key as a dependent service reads it."""
        text = (self.public / "credentials.json").read_text()
        return str(json.loads(text)["apiKey"])

    def health(self) -> dict[str, str]:
        """Return what the health check says now."""
        done = self.command("health", "--check", "primary", "--json")
        return dict(json.loads(done.stdout))

    def start(self, *arguments: str) -> None:
        """Start the service in the background; its output goes to run.log."""
        with (self.folder / "run.log").open("a") as log:
            self.process = subprocess.Popen(
                [*self.program, "run", "--port", str(self.port), *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
                text=True,
                # A terminal's foreground group, so that Ctrl-C is as it is there.
                start_new_session=True,
            )
        host = self.main / "run" / "host.json"
        wait_until(host.exists, 30, "the host's record")

    def wait_result(self, result: str) -> dict[str, str]:
        """Wait until health has that result."""

        def reached() -> dict[str, str] | None:
            health = self.health()
            return health if health["result"] == result else None

        return wait_until(reached, START_TIMEOUT_S, f"health {result}")

    def wait_switch(self) -> dict[str, Any]:
        """Wait until the switch of models is over and return what came of it."""

        def over() -> dict[str, Any] | None:
            current = self.json("switch", "status", "--json")["current"]
            return current if current and current["isOver"] else None

        return wait_until(over, START_TIMEOUT_S, "the end of the switch")

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(90)
        self.process = None
        return code

    def leftovers(self) -> list[str]:
        """Return the command lines of engine processes that are left."""
        found = find_engine_processes(instance_id(self.main))
        return [" ".join(process.cmdline()) for process in found]

    def close(self) -> None:
        """End everything, whatever state a failed test left it in."""
        if self.process is not None and self.process.poll() is None:
            self.interrupt()
