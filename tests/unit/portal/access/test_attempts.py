"""How often a token may be guessed."""

from __future__ import annotations

import pytest

from support.fake_clock import FakeClock
from vllm_pkg.portal.access import attempts as module
from vllm_pkg.portal.access.attempts import LIMIT, FailedAttempts, source_of


def fail(attempts, source, times=LIMIT):
    """Fail so many times."""
    for _ in range(times):
        attempts.note(source)


def test_ten_failures_close_a_source_for_the_rest_of_a_minute():
    """The first of them decides when it may try again; others may all the time."""
    clock = FakeClock()
    attempts = FailedAttempts(clock)

    fail(attempts, "a", 1)
    clock.seconds += 20
    fail(attempts, "a", LIMIT - 2)
    assert attempts.wait_s("a") == 0
    fail(attempts, "a", 1)

    assert attempts.wait_s("a") == 40
    assert attempts.wait_s("b") == 0
    clock.seconds += 39.5
    assert attempts.wait_s("a") == 1
    clock.seconds += 0.5
    assert attempts.wait_s("a") == 0
    fail(attempts, "a", 1)
    assert attempts.wait_s("a") == 20


def test_the_longest_ago_is_forgotten_when_there_are_too_many(monkeypatch):
    """What strangers can fill is bounded."""
    monkeypatch.setattr(module, "SOURCES_MAX", 2)
    attempts = FailedAttempts(FakeClock())
    for source in ("a", "b", "c"):
        fail(attempts, source)

    assert [bool(attempts.wait_s(source)) for source in "abc"] == [False, True, True]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::/64"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        (None, ""),
        ("a.sock", "a.sock"),
    ],
)
def test_a_source_is_an_address_or_a_network(address, source):
    """Who has one address of IPv6 has a whole network."""
    assert source_of(address) == source
