"""How long a session lasts, whatever is done to the clocks, and what is none."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from support.fake_clock import FakeClock
from vllm_pkg.portal.access.sessions import LIFETIME_S, Sessions, set_cookie

TOKEN = "t" * 32
DAY_S = 24 * 3600.0


@dataclass
class Machine:
    """A machine with a portal: both clocks go on together until one is set."""

    clock: FakeClock = field(default_factory=FakeClock)
    wall_s: float = 1_700_000_000.0

    def sessions(self):
        """Return the sessions of a portal that has just begun."""
        return Sessions(TOKEN, self.clock, lambda: self.wall_s)

    def wait(self, seconds):
        """Let time go by."""
        self.clock.seconds += seconds
        self.wall_s += seconds

    def boot(self):
        """Boot: the one clock begins anew, the other does not."""
        self.clock.boot += "x"
        self.clock.seconds = 10.0


@pytest.fixture(name="machine")
def machine_fixture():
    """A machine."""
    return Machine()


def _counts(sessions, cookie):
    return sessions.find(cookie) is not None


@pytest.mark.parametrize("is_booted", [False, True])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_session_ends_after_thirty_days(machine, is_booted, is_restarted):
    """Neither a restart of the portal nor a boot makes it shorter or longer."""
    sessions = machine.sessions()
    cookie = sessions.open()
    machine.wait(10 * DAY_S)
    if is_booted:
        machine.boot()
    if is_booted or is_restarted:
        sessions = machine.sessions()

    machine.wait(20 * DAY_S - 60)
    session = sessions.find(cookie)
    assert session is not None
    machine.wait(61)

    assert not sessions.is_going_on(session)
    assert not _counts(sessions, cookie)
    assert not _counts(machine.sessions(), cookie)


@pytest.mark.parametrize("jump_s", [-400 * DAY_S, -DAY_S, -1, DAY_S, 400 * DAY_S])
def test_within_a_boot_the_wall_clock_does_not_count(machine, jump_s):
    """Set back or forward, it neither ends a session nor lengthens it."""
    sessions = machine.sessions()
    cookie = sessions.open()
    machine.wall_s += jump_s

    assert _counts(sessions, cookie)
    assert _counts(machine.sessions(), cookie)
    machine.clock.seconds += LIFETIME_S + 1
    assert not _counts(sessions, cookie)


def test_after_a_boot_a_clock_set_back_adds_nothing(machine):
    """Set back a day each day, it does not keep a session that has been seen."""
    cookie = machine.sessions().open()
    machine.wait(10 * DAY_S)
    machine.boot()
    sessions = machine.sessions()
    days = 0
    while _counts(sessions, cookie):
        machine.wait(DAY_S)
        machine.wall_s -= DAY_S
        days += 1
        assert days < 100

    assert days == 20


def test_after_a_boot_a_clock_set_forward_ends_a_session_for_good(machine):
    """What was told to be over is not begun again when the clock is set right."""
    cookie = machine.sessions().open()
    machine.boot()
    sessions = machine.sessions()
    assert _counts(sessions, cookie)

    machine.wall_s += LIFETIME_S + 1
    assert not _counts(sessions, cookie)
    machine.wall_s -= LIFETIME_S + 1

    assert not _counts(sessions, cookie)


def test_a_clock_that_starts_in_1970_lets_nobody_in(machine):
    """A machine without a battery waits until its clock is set, and no longer."""
    cookie = machine.sessions().open()
    machine.boot()
    sessions = machine.sessions()
    right_s, machine.wall_s = machine.wall_s, 60.0
    assert not _counts(sessions, cookie)

    machine.wall_s = right_s

    assert _counts(sessions, cookie)


def test_without_an_id_of_the_boot_the_wall_clock_counts(machine):
    """Where the kernel names no boot, none is taken for another."""
    machine.clock.boot = ""
    cookie = machine.sessions().open()
    assert _counts(machine.sessions(), cookie)

    machine.wall_s += LIFETIME_S + 1

    assert not _counts(machine.sessions(), cookie)


def test_who_has_logged_out_stays_out(machine):
    """The cookie of who has logged out opens nothing; that of another does."""
    sessions = machine.sessions()
    cookies = [sessions.open(), sessions.open()]
    first, second = map(sessions.find, cookies)
    sessions.end(first)

    assert [_counts(sessions, cookie) for cookie in cookies] == [False, True]
    assert not sessions.is_going_on(first)
    machine.wait(LIFETIME_S + 1)
    sessions.end(second)
    assert not any(_counts(sessions, cookie) for cookie in cookies)


@pytest.mark.parametrize("cookie", ["", ".", "a.b.c", "ÿ.ÿ.ÿ", "x" * 9999, TOKEN])
def test_what_was_not_signed_is_no_session(cookie):
    """Any text at all is just no session."""
    assert Sessions(TOKEN).find(cookie) is None


def test_a_session_of_one_token_is_none_of_another():
    """The token decides; one session is not the next."""
    mine = Sessions(TOKEN)
    cookie = mine.open()

    assert mine.find(cookie) is not None
    assert Sessions(TOKEN).find(cookie) is not None
    assert Sessions("u" * 32).find(cookie) is None
    assert mine.open() != cookie
    assert TOKEN not in cookie


def test_the_cookie_is_for_this_site_and_no_script():
    """Over TLS it is for TLS alone; an empty one removes it."""
    assert set_cookie("n", "v", is_secure=True) == (
        b"n=v; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict; Secure"
    )
    assert set_cookie("n", "", is_secure=False) == (
        b"n=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    )
