"""The portal as the process that people have, over volumes of a test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.service import free_port
from support.waiting import wait_until
from vllm_pkg.state.portal_token import ensure_portal_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vllm_pkg.settings import Settings

START_TIMEOUT_S = 55.0
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class PortalProcess:
    """
    A running portal.

    Args:
        base_url: Where it is, without a slash at the end.
        process: The process.
        output: What it has written, a file.
        settings: Over which volumes it runs.
    """

    base_url: str
    process: subprocess.Popen[bytes]
    output: Path
    settings: Settings

    @property
    def login_path(self) -> str:
        """What logs a browser in, as ``vllm-pkg portal link`` prints it."""
        return f"/login?token={ensure_portal_token(self.settings)}"


@contextlib.contextmanager
def portal_process(
    settings: Settings,
    folder: Path,
    *,
    module: str = "vllm_pkg.portal",
    **variables: str,
) -> Iterator[PortalProcess]:
    """
    Run a portal for as long as the block lasts.

    Args:
        settings: Over which volumes.
        folder: Where its output goes.
        module: What is run; another one adds pages of a test.
        variables: More of its environment.
    """
    port = free_port()
    environment = os.environ | {
        "VLLM_PKG_MAIN": str(settings.main),
        "VLLM_PKG_PUBLIC": str(settings.public),
        "VLLM_PKG_PORTAL_PORT": str(port),
    }
    output = folder / "portal.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env=environment | variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    base_url = f"http://127.0.0.1:{port}"
    portal = PortalProcess(base_url, process, output, settings)
    try:
        wait_until(lambda: _answers(portal), START_TIMEOUT_S, "the portal answers")
        yield portal
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(portal: PortalProcess) -> bool:
    assert portal.process.poll() is None, portal.output.read_text()
    try:
        with urllib.request.urlopen(portal.base_url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
