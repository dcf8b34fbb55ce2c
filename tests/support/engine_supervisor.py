"""A real supervisord whose engine only waits, for what restarts an engine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

from support.waiting import wait_until
from vllm_pkg.hosts.standalone.control import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
CONFIG = """\
[unix_http_server]
file={socket}
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:engine]
command=sleep 600
autostart=false
startsecs=0
"""


@contextlib.contextmanager
def engine_supervisor(folder: Path) -> Iterator[Path]:
    """Run it for as long as the block lasts; yields its control socket."""
    socket, config = folder / "s.sock", folder / "supervisord.conf"
    config.write_text(CONFIG.format(socket=socket, folder=folder))
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(socket.exists, START_TIMEOUT_S, "supervisord listens")
        yield socket
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def engine_state(socket: Path) -> str:
    """Return what supervisord says of its engine."""
    with connect(str(socket)) as supervisor:
        return str(supervisor.getProcessInfo("engine")["statename"])
