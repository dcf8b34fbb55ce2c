"""The portal runs beside the engine: what happens to one does not touch the other."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket

import psutil
import pytest

from support.foreground_host import RUNNING
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)


def ask(host, path="/login"):
    """Return the status of the portal's answer, or None."""
    connection = http.client.HTTPConnection("127.0.0.1", host.portal_port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", path)
        return connection.getresponse().status
    return None


def wait_answer(host):
    """Wait until the portal answers."""
    wait_until(lambda: ask(host) == 200, 60, "the portal")


def test_the_portal_is_killed_and_comes_back_and_the_engine_goes_on(host):
    """Another portal takes its place; the engine is the same process all the time."""
    host.start()
    wait_answer(host)
    host.wait_shown("success: The vLLM API is ready")
    running = host.wait_processes(*RUNNING["serve"])
    link = next(line for line in host.log.splitlines() if "  Portal    " in line)

    running["portal"].kill()
    wait_until(
        lambda: host.processes().get("portal", running["portal"]) != running["portal"],
        30,
        "another portal",
    )
    wait_answer(host)

    after = host.wait_processes(*RUNNING["serve"])
    assert after["serve"] == running["serve"]
    assert after["keeper"] == running["keeper"]
    assert len(host.fake.starts()) == 1
    address = link.removeprefix("  Portal    ")
    token = address.partition("token=")[2]
    assert ask(host, f"/login?token={token}") == 303
    lines = {" ".join(process.cmdline()) for process in after.values()}
    assert [line for line in lines if token in line] == []
    logs = [path for path in (host.main / "logs").iterdir() if path.is_file()]
    assert "portal.log" in {path.name for path in logs}
    assert [path.name for path in logs if token in path.read_text()] == []
    assert host.end(signal.SIGINT) == 0
    host.assert_clean()


def test_the_link_leads_somewhere_once_it_is_shown(host):
    """Nobody who follows it at once finds nothing there."""
    host.start()
    host.wait_shown("  Portal    http://")

    socket.create_connection(("127.0.0.1", host.portal_port)).close()
    wait_answer(host)
    assert host.end(signal.SIGINT) == 0


def test_a_taken_port_is_waited_for(host):
    """The engine serves without it; when the port is free the portal takes it."""
    with socket.create_server(("127.0.0.1", host.portal_port)):
        host.start()
        host.wait_shown("success: The vLLM API is ready")
        host.wait_shown("Portal    not available: the portal's port")
        log = host.main / "logs" / "portal.log"
        wait_until(lambda: "waiting for it" in log.read_text(), 30, "the portal's word")
    wait_answer(host)

    assert log.read_text().count("waiting for it") == 1
    assert host.end(signal.SIGINT) == 0
    host.assert_clean()


def test_the_portal_ends_with_its_supervisor(make_host):
    """When supervisord and the host are killed together, no portal keeps the port."""
    host = make_host()
    host.start("--no-default")
    wait_answer(host)
    running = host.wait_processes(*RUNNING["daemon"])

    running["supervisord"].suspend()
    running["run"].kill()
    running["supervisord"].kill()
    host.wait_end()

    gone, _ = psutil.wait_procs([running["portal"]], timeout=15)
    assert gone == [running["portal"]]
