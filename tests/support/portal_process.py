"""The portal as the process that people have, over volumes of a test."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from support.service import free_port
from support.waiting import wait_until
from vllm_pkg.settings import load_settings
from vllm_pkg.state.portal_token import ensure_portal_token

if TYPE_CHECKING:
    from pathlib import Path

    from vllm_pkg.settings import Settings

# With all its pages; see support.waiting for slower machines.
START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 20.0
MODULE = "vllm_pkg.portal"


@dataclass
class PortalProcess:
    """
    A portal of its own; a context manager.

    Args:
        folder: Its output goes here, and both volumes stand below it.
        variables: More of its environment; they may name other volumes.
        program: What Python runs; another one adds pages of a test, or does wrong.
        port: Where it listens.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ("-m", MODULE)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def environment(self) -> dict[str, str]:
        """Our environment, with the volumes of this instance."""
        return {
            **os.environ,
            "VLLM_PKG_MAIN": str(self.folder / "main"),
            "VLLM_PKG_PUBLIC": str(self.folder / "public"),
            "VLLM_PKG_PORTAL_PORT": str(self.port),
            **self.variables,
        }

    @property
    def settings(self) -> Settings:
        """Over which volumes it runs."""
        return load_settings(self.environment)

    @property
    def base_url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> Path:
        """What it has written, a file."""
        return self.folder / "portal.log"

    @property
    def token(self) -> str:
        """The token that is in force."""
        return ensure_portal_token(self.settings)

    @property
    def login_path(self) -> str:
        """What logs a browser in, as ``vllm-pkg portal link`` prints it."""
        return f"/login?token={self.token}"

    def __enter__(self) -> Self:
        """Start it, and wait until it has looked at the service."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it has looked at the service."""
        self.folder.mkdir(exist_ok=True)
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self.program],
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(self._has_looked, START_TIMEOUT_S, "the portal's first look")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it, unless it has ended."""
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _has_looked(self) -> bool:
        assert self.process.poll() is None, self.output.read_text(errors="replace")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            with closing(connection):
                connection.request("GET", "/healthz")
                told = json.loads(connection.getresponse().read())
        except OSError:
            return False
        return bool(told["status"] != "starting")


def portal_process(
    settings: Settings,
    folder: Path,
    *,
    module: str = MODULE,
    **variables: str,
) -> PortalProcess:
    """
    Return a portal over volumes that there are.

    Args:
        settings: Over which volumes.
        folder: Where its output goes.
        module: What is run; another one adds pages of a test.
        variables: More of its environment.
    """
    volumes = {
        "VLLM_PKG_MAIN": str(settings.main),
        "VLLM_PKG_PUBLIC": str(settings.public),
    }
    return PortalProcess(folder, volumes | variables, ("-m", module))
