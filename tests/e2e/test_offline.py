"""
A restart with a complete cache, on a machine with no network at all.

The daemon runs in a network namespace that has a loopback device and no route, under
strace, which shows every connection that it or the engine tries.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import without_network
from support.hub_cache import write_cached_model
from support.service import free_port
from support.settings_factory import make_settings
from support.tools import require, require_tool
from support.waiting import wait_until
from vllm_pkg.engine.daemon import prepare_state
from vllm_pkg.state.credentials import ensure_key

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

REPOSITORY = "test-org/tiny-llama"
ARGUMENTS = [REPOSITORY, "--enforce-eager", "--kv-cache-memory-bytes", "64M"]
START_TIMEOUT_S = 240.0
DNS_PORT = 53
LOOPBACK = ("127.", "::1", "::ffff:127.")
# One line of strace: the protocol of the socket, and where to.
CONNECT = re.compile(
    r"connect\(\d+<(?P<protocol>\w+)[^>]*>, \{sa_family=AF_INET6?,"
    r".*?htons\((?P<port>\d+)\)"
    r".*?(?:inet_addr\(|inet_pton\(AF_INET6, )\"(?P<address>[^\"]+)\""
)


def _attempts(trace: str) -> list[str]:
    """
    Return every attempt to reach something else than this machine.

    A UDP socket that connects sends nothing, and vLLM does that to learn its own
    address; one to the port of a name server is an attempt to find somebody.
    """
    found = []
    for match in CONNECT.finditer(trace):
        is_near = match["address"].startswith(LOOPBACK)
        is_name_server = int(match["port"]) == DNS_PORT
        is_silent = match["protocol"].startswith("UDP")
        if is_name_server or not (is_near or is_silent):
            found.append(match[0])
    return found


def _traced(trace: Path) -> list[str]:
    strace = require_tool("strace")
    return [
        *(strace, "-f", "--seccomp-bpf", "-qq", "-yy"),
        *("-e", "trace=connect", "-o", str(trace)),
    ]


def _inside(port: int, *program: str) -> list[str]:
    unshare = require_tool("unshare")
    done = subprocess.run([unshare, "--net", "true"], check=False, capture_output=True)
    require(done.returncode == 0, "a network namespace is not permitted")
    module = without_network.__name__
    return [unshare, "--net", sys.executable, "-m", module, str(port), *program]


def _environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "VLLM"))}
    path = os.pathsep.join(sys.path)
    volumes = {
        "VLLM_PKG_MAIN": str(folder / "main"),
        "VLLM_PKG_PUBLIC": str(folder / "public"),
    }
    home = {"HOME": str(folder / "home"), "PYTHONPATH": path}
    return kept | volumes | home


@pytest.fixture(name="offline")
def offline_fixture(tmp_path):
    """A volume with a complete repository selected; ends what was started."""
    require(shutil.which("vllm", path=Path(sys.executable).parent), "vLLM is missing")
    (tmp_path / "home").mkdir()
    settings = make_settings(tmp_path)
    prepare_state(settings)
    settings.store_file.write_text(
        json.dumps({"serveArgs": ARGUMENTS, "modelSelection": {"selection": "custom"}})
    )
    write_cached_model(settings.models_dir, REPOSITORY)
    port = free_port()
    environ = _environment(tmp_path) | {"VLLM_PKG_PORT": str(port)}
    environ[without_network.KEY_ENV] = ensure_key(settings)
    argv = [sys.executable, "-m", "vllm_pkg", "daemon"]
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            _inside(port, *_traced(tmp_path / "trace.txt"), *argv),
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process, tmp_path
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def test_a_restart_with_a_complete_cache_needs_no_network(offline):
    """It becomes ready and answers, and neither daemon nor engine tries to connect."""
    process, folder = offline

    def log_when_it_has_answered() -> str | None:
        text = (folder / "log.txt").read_text(errors="replace")
        assert process.poll() is None, text[-3000:]
        return text if without_network.SAYS in text else None

    log = wait_until(log_when_it_has_answered, START_TIMEOUT_S, "an answer")
    says = re.search(f"{without_network.SAYS}(.+)", log)
    trace = (folder / "trace.txt").read_text()

    assert without_network.READY in log
    assert says is not None
    assert json.loads(says[1]).strip()
    # The control that strace saw the engine: its processes talk to each other.
    assert "connect(" in trace
    assert _attempts(trace) == []


@pytest.mark.parametrize(
    "program",
    [
        "socket.create_connection(('192.0.2.1', 443), 1)",
        "socket.create_connection(('::ffff:192.0.2.1', 443), 1)",
        "socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 53))",
    ],
)
def test_an_attempt_would_be_seen(tmp_path, program):
    """The control: a program that tries to reach another machine is found out."""
    trace = tmp_path / "trace.txt"
    subprocess.run(
        [*_traced(trace), sys.executable, "-c", f"import socket; {program}"],
        check=False,
        capture_output=True,
        timeout=30,
    )

    assert len(_attempts(trace.read_text())) == 1


def test_own_sockets_are_no_attempts(tmp_path):
    """Neither a loopback connection nor a socket that only asks for its own address."""
    trace = tmp_path / "trace.txt"
    program = (
        "import socket; server = socket.create_server(('127.0.0.1', 0));"
        "socket.create_connection(server.getsockname());"
        "s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('192.0.2.1', 80))"
    )
    subprocess.run(
        [*_traced(trace), sys.executable, "-c", program],
        check=False,
        capture_output=True,
        timeout=30,
    )

    assert trace.read_text().count("connect(") >= 1
    assert _attempts(trace.read_text()) == []
