"""Under which names the portal answers."""

from __future__ import annotations

import pytest

from vllm_pkg.portal.access.own_names import own_host, own_names, proxy_names


@pytest.mark.parametrize(
    ("addresses", "port", "more"),
    [
        (["127.0.0.1"], 5, set()),
        (["0.0.0.0"], 5, set()),
        (["::"], 5, set()),
        (["192.168.1.7"], 5, {"192.168.1.7:5"}),
        (["fd00::1"], 5, {"[fd00::1]:5"}),
        (["::", "::ffff:192.168.1.7"], 5, {"192.168.1.7:5"}),
    ],
)
def test_own_names_are_loopback_and_where_it_listens(addresses, port, more):
    """Loopback counts always; an address that means every one adds no name."""
    loopback = {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}

    assert own_names(addresses, port) == loopback | more


def test_the_port_of_http_may_be_left_out():
    """At port 80 browsers send the name alone."""
    assert own_names(["127.0.0.1"], 80) >= {"127.0.0.1", "127.0.0.1:80", "[::1]"}


def test_names_of_proxies_have_the_standard_ports_unless_they_have_one():
    """A name that has a port stands for that port alone."""
    names = proxy_names(["a.example", "b.example:8443", "[fd00::1]", "[fd00::2]:9"])

    assert names == {
        *("a.example", "a.example:80", "a.example:443", "b.example:8443"),
        *("[fd00::1]", "[fd00::1]:80", "[fd00::1]:443", "[fd00::2]:9"),
    }


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        (["LocalHost:5"], "localhost:5"),
        ([], None),
        (["localhost:5", "localhost:5"], None),
        (["localhost:6"], None),
    ],
)
def test_one_host_of_ours_is_found(hosts, found):
    """None, two and another one are no host of ours; capitals are."""
    assert own_host(hosts, own_names([], 5)) == found
