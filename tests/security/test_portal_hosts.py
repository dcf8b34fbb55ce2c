"""T25: the portal answers under its own names only, whatever leads to its address."""

from __future__ import annotations

import pytest

from support.portal_fixture import portal_fixture
from support.portal_routes import WEBSOCKET
from support.portal_server import PortalServer

__all__ = ["portal_fixture"]

pytestmark = [pytest.mark.security, pytest.mark.timeout(180)]

# Written by hand: every header Host of a request, with P for the port, and whether the
# request may be answered.
TABLE = [
    (["127.0.0.1:P"], True),
    (["localhost:P"], True),
    (["[::1]:P"], True),
    (["LOCALHOST:P"], True),
    (["LocalHost:P"], True),
    ([], False),
    ([""], False),
    ([" "], False),
    (["127.0.0.1:P", "127.0.0.1:P"], False),
    (["127.0.0.1:P", "evil.example"], False),
    (["evil.example", "127.0.0.1:P"], False),
    (["evil"], False),
    (["evil:P"], False),
    (["evil.example"], False),
    (["evil.example:P"], False),
    (["127.0.0.1.evil.example:P"], False),
    (["127.0.0.1.evil:P"], False),
    (["localhost.evil.example:P"], False),
    (["evil.localhost:P"], False),
    (["foo.localhost:P"], False),
    (["localhost.localdomain:P"], False),
    (["localhost6:P"], False),
    (["ip6-localhost:P"], False),
    (["127.0.0.1.nip.io:P"], False),
    (["localtest.me:P"], False),
    (["localhost.:P"], False),
    (["127.0.0.1.:P"], False),
    ([".localhost:P"], False),
    (["127.0.0.1"], False),
    (["localhost"], False),
    (["[::1]"], False),
    (["127.0.0.1:"], False),
    (["127.0.0.1:80"], False),
    (["127.0.0.1:443"], False),
    (["127.0.0.1:0"], False),
    (["127.0.0.1:0P"], False),
    (["127.0.0.1:+P"], False),
    (["127.0.0.1:P0"], False),
    (["127.0.0.1:P:P"], False),
    (["127.0.0.1:P/"], False),
    (["127.0.0.1:P/login"], False),
    (["127.0.0.1:P?x"], False),
    (["127.0.0.1:P#x"], False),
    (["127.0.0.1 :P"], False),
    (["127.0.0.1:P, evil"], False),
    (["127.0.0.1:P,127.0.0.1:P"], False),
    (["evil 127.0.0.1:P"], False),
    (["user@127.0.0.1:P"], False),
    (["user:password@127.0.0.1:P"], False),
    (["127.0.0.1:P@evil.example"], False),
    (["http://127.0.0.1:P"], False),
    (["//127.0.0.1:P"], False),
    (["127.1:P"], False),
    (["127.0.1:P"], False),
    (["127.0.0.2:P"], False),
    (["0:P"], False),
    (["0.0.0.0:P"], False),
    (["2130706433:P"], False),
    (["0x7f000001:P"], False),
    (["0x7f.0.0.1:P"], False),
    (["0177.0.0.1:P"], False),
    (["127.000.000.001:P"], False),
    (["[::]:P"], False),
    (["::1:P"], False),
    (["::1"], False),
    (["[::1:P"], False),
    (["[0:0:0:0:0:0:0:1]:P"], False),
    (["[::ffff:127.0.0.1]:P"], False),
    (["[::1%lo]:P"], False),
    (["[::1].evil.example:P"], False),
    (["[127.0.0.1]:P"], False),
    (["192.168.1.1:P"], False),
    (["169.254.169.254"], False),
    (["lo\xe7alhost:P"], False),
    (["localhost\x00:P"], False),
    (["\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1:P"], False),
    (["*"], False),
    (["*:P"], False),
    (["a" * 300 + ":P"], False),
    (["null"], False),
]
# What a server answers that does not even take the header for one.
REFUSED = {421, 400}


def _paths(portal):
    """Return every path, and whether it is a websocket's."""
    found = {(one["path"], one["methods"] == [WEBSOCKET]) for one in portal.routes()}
    return sorted({*found, ("/healthz", False), ("/login", False)})


def _ask(portal, path, hosts, *, is_websocket, target=None):
    given = [host.replace("P", str(portal.port)) for host in hosts]
    cookie = ("Cookie", portal.session)
    if is_websocket:
        headers = (cookie, ("Origin", portal.origin))
        return portal.handshake(target or path, headers, given).status
    return portal.ask("GET", target or path, [cookie], hosts=given).status


def test_t25_only_own_names_are_answered(portal, guarantee):
    """T25: each value of Host on each route gives what the table says."""
    paths = _paths(portal)
    wrong = {}
    for hosts, is_own in TABLE:
        for path, is_websocket in paths:
            status = _ask(portal, path, hosts, is_websocket=is_websocket)
            # A websocket's Origin has to be the host's; the host alone counts here.
            if (status in REFUSED) == is_own:
                wrong[tuple(hosts), path] = status
    guarantee(
        "T25",
        "Under a name that is not its own, no route of the portal answers",
        tried=len(TABLE) * len(paths),
        violations=len(wrong),
        unit=f"requests: {len(TABLE)} values of Host on {len(paths)} routes, static"
        " files and websockets included",
        control="its own names in the same table, IPv6 and capitals, are answered",
    )

    assert len(TABLE) >= 60
    assert {path.split("/")[1] for path, _ in paths} >= {"_nicegui", "_nicegui_ws"}
    assert wrong == {}


# The target of the request, its Host, and whether it may be answered.
TARGETS = [
    ("http://evil.example{path}", "127.0.0.1:P", True),
    ("http://127.0.0.1:P{path}", "evil.example", False),
    ("http://127.0.0.1:P{path}", "127.0.0.1:P", True),
    ("https://user@evil.example{path}", "evil.example", False),
    ("evil.example:80", "127.0.0.1:P", False),
    ("*", "127.0.0.1:P", False),
]


def test_t25_a_target_with_a_host_counts_for_nothing(portal, guarantee):
    """T25: in a request of the absolute form the header Host decides, as everywhere."""
    paths = [path for path, is_websocket in _paths(portal) if not is_websocket]
    wrong = {}
    for pattern, host, is_own in TARGETS:
        for path in paths:
            target = pattern.replace("P", str(portal.port)).format(path=path)
            status = _ask(portal, path, [host], is_websocket=False, target=target)
            if (status in REFUSED) == is_own:
                wrong[pattern, host, path] = status
    guarantee(
        "T25",
        "A host in the first line of a request opens nothing",
        tried=len(TARGETS) * len(paths),
        violations=len(wrong),
        unit="requests of the absolute form, and of other odd ones",
        control="with the portal's own name in the header Host they are answered",
    )

    assert wrong == {}


def test_names_of_a_proxy_are_answered(tmp_path):
    """A name of the settings is answered with and without the standard ports."""
    names = "portal.example.org, Other.example:8443"
    variables = {"VLLM_PKG_PORTAL_ALLOWED_HOSTS": names}
    with PortalServer(tmp_path / "portal", variables) as portal:
        statuses = {
            host: portal.ask("GET", "/login", hosts=[host]).status
            for host in (
                *("portal.example.org", "PORTAL.example.org:443", portal.host),
                *("other.example:8443", "other.example", "x.portal.example.org"),
            )
        }

    assert list(statuses.values()) == [200, 200, 200, 200, 421, 421]
