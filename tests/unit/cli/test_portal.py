"""``vllm-pkg portal``, and what ``run`` says of the portal."""

from __future__ import annotations

import json
import os
import socket
import sys

import pytest

from support.service import free_port
from vllm_pkg.hosts import portal


@pytest.fixture(name="port", autouse=True)
def port_fixture(monkeypatch):
    """A port for the portal that nobody has."""
    port = free_port()
    monkeypatch.setenv("VLLM_PKG_PORTAL_PORT", str(port))
    return port


@pytest.fixture(name="hosts")
def hosts_fixture(monkeypatch):
    """How often the host was run: it starts, and that is all."""
    started = []

    def run_host(settings, events):
        started.append(settings)
        events.on_started()

    monkeypatch.setattr("vllm_pkg.cli.foreground.run_host", run_host)
    return started


def stored(cli):
    """Return the token in secrets.json."""
    return json.loads((cli.main / "secrets.json").read_text())["portalToken"]


def test_the_link_is_printed_again_and_again(cli, port):
    """It holds the token of the file, which the first call makes."""
    first = cli("portal", "link")
    again = cli("portal", "link", "--json").document()

    assert first.out == f"http://127.0.0.1:{port}/login?token={stored(cli)}\n"
    assert again == {"link": first.out.strip()}


def test_rotating_prints_another_link(cli):
    """Text and JSON show the link of the new token."""
    first = cli("portal", "link").out
    text = cli("portal", "rotate").out
    document = cli("portal", "rotate", "--json").document()

    assert len({first, text, document["link"] + "\n"}) == 3
    assert document["link"].endswith(stored(cli))


def test_init_makes_the_token_but_under_startos(cli, monkeypatch):
    """StartOS has pages of its own."""
    monkeypatch.setenv("VLLM_PKG_PROFILE", "startos")
    assert cli("init", "--kind", "install").code == 0
    assert not (cli.main / "secrets.json").exists()
    monkeypatch.setenv("VLLM_PKG_PROFILE", "")
    assert cli("init", "--kind", "install").code == 0
    assert len(stored(cli)) == 43


def test_run_prints_the_link(cli, hosts, port):
    """It stands among the other lines of the start."""
    shown = cli("run", "--no-default")

    assert len(hosts) == 1
    link = f"http://127.0.0.1:{port}/login?token={stored(cli)}"
    assert f"  Portal    {link}\n" in shown.out


def test_a_taken_port_does_not_stop_run(cli, hosts, port):
    """The engine is started, and the line says why there is no link."""
    with socket.create_server(("127.0.0.1", port)):
        shown = cli("run", "--no-default")

    assert (shown.code, len(hosts)) == (0, 1)
    assert (
        f"  Portal    not available: the portal's port {port} on 127.0.0.1 is in use by"
        " another program; stop that program, or set VLLM_PKG_PORTAL_PORT\n"
    ) in shown.out


def test_missing_libraries_do_not_stop_run(cli, hosts, monkeypatch):
    """The engine is started, and the line says how to get the portal."""
    monkeypatch.setattr(portal, "LIBRARIES", ("not_there_at_all",))
    shown = cli("run", "--no-default")
    alone = cli("portal", "serve")

    assert (shown.code, len(hosts)) == (0, 1)
    assert (
        "  Portal    not installed (not_there_at_all): install them: pip install"
        ' "vllm-pkg[host]"\n'
    ) in shown.out
    assert alone.code == 78
    assert "the portal needs not_there_at_all; install them: pip" in alone.error_line()


def test_serve_becomes_the_portal(cli, monkeypatch, port):
    """The link comes first; the token is in no argument."""
    became = []
    monkeypatch.setattr(
        "vllm_pkg.engine.processes.replace_process",
        lambda program, argv, env: became.append((program, argv, env)),
    )
    shown = cli("portal", "serve")
    with socket.create_server(("127.0.0.1", port)):
        taken = cli("portal", "serve")

    argv = [sys.executable, "-m", "vllm_pkg.portal"]
    assert became == [(sys.executable, argv, os.environ)]
    assert shown.out.endswith(f"/login?token={stored(cli)}\n")
    assert taken.code == 75
