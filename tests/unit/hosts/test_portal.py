"""What hosts and commands know of the portal."""

from __future__ import annotations

import socket

import pytest

from support.service import free_port
from support.settings_factory import make_settings
from vllm_pkg.errors import PortInUse, SettingsInvalid
from vllm_pkg.hosts import portal


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("192.168.1.7", "192.168.1.7"),
    ],
)
def test_the_link_can_be_opened(tmp_path, host, shown):
    """An address that means every one becomes this machine."""
    settings = make_settings(
        tmp_path, VLLM_PKG_PORTAL_HOST=host, VLLM_PKG_PORTAL_PORT="9"
    )

    assert portal.login_link(settings, "abc") == f"http://{shown}:9/login?token=abc"


def test_a_taken_port_is_told_with_what_to_do(tmp_path):
    """It is free again when the other program has ended."""
    port = free_port()
    settings = make_settings(tmp_path, VLLM_PKG_PORTAL_PORT=str(port))
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(PortInUse, match=f"the portal's port {port}") as caught,
    ):
        portal.check_portal_port(settings)

    assert "VLLM_PKG_PORTAL_PORT" in caught.value.hint
    portal.check_portal_port(settings)


def test_an_address_of_another_machine_is_told(tmp_path):
    """The address is checked before anything waits for it."""
    settings = make_settings(tmp_path, VLLM_PKG_PORTAL_HOST="192.0.2.1")

    with pytest.raises(SettingsInvalid, match=r"cannot listen on 192\.0\.2\.1"):
        portal.check_portal_port(settings)


def test_missing_libraries_are_named(monkeypatch):
    """They are looked for and not imported."""
    assert portal.missing_libraries() == ()
    monkeypatch.setattr(portal, "LIBRARIES", ("json", "not_there_at_all"))
    assert portal.missing_libraries() == ("not_there_at_all",)
