"""The fetcher's loop: when it works, when it waits, and when it ends."""

from __future__ import annotations

import os
import time

import pytest

from support.settings_factory import make_settings
from support.switching import NEW, OLD, FakeWorld, prepare_store
from vllm_pkg.clock import BootClock
from vllm_pkg.errors import NotAllowedInState, StateWriteFailed
from vllm_pkg.hosts.fetcher import program
from vllm_pkg.hosts.fetcher.watch import FetcherEnds
from vllm_pkg.state import locks
from vllm_pkg.state.switch import SwitchPhase
from vllm_pkg.state.switch_file import (
    is_fetcher_running,
    load_switches,
    request_switch,
)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """The old model is selected."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)
    return settings


@pytest.fixture(name="pauses")
def pauses_fixture(monkeypatch):
    """Every pause of the loop, in seconds; none of them takes time."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def test_it_does_what_is_asked_for_and_waits(settings, pauses):
    """A request that comes while it waits is taken up; with none it does nothing."""
    world = FakeWorld(settings)

    def must_end():
        if len(pauses) == 3 and not settings.switch_file.exists():
            request_switch(settings, NEW)
        return len(pauses) == 6

    program._loop(settings, world.switcher(), must_end)

    current = load_switches(settings).current
    assert current is not None
    assert current.phase is SwitchPhase.DONE
    assert world.restarts == ["org/new"]
    assert pauses == [program.POLL_S] * 6


def test_what_fails_is_tried_again_and_told_once(settings, pauses, capsys, monkeypatch):
    """A full disk is no reason to end: the same step is done again later."""
    switcher = FakeWorld(settings).switcher()
    failures = [StateWriteFailed("cannot write it", hint="free some disk space")] * 3

    def step():
        if failures:
            raise failures.pop()
        return False

    monkeypatch.setattr(switcher, "step", step)
    program._loop(settings, switcher, lambda: len(pauses) == 4)

    assert pauses == [program.RETRY_S] * 3 + [program.POLL_S]
    out = capsys.readouterr().out
    assert out.count("cannot write it; free some disk space\n") == 1


def test_it_ends_in_the_middle_of_a_step(settings, pauses, monkeypatch):
    """When its supervisor has gone, a phase that notices it ends the program."""
    switcher = FakeWorld(settings).switcher()
    done = []

    def step():
        done.append(1)
        if len(done) == 2:
            raise FetcherEnds
        return True

    monkeypatch.setattr(switcher, "step", step)
    program._loop(settings, switcher, lambda: len(done) > 2)

    assert (len(done), pauses) == (2, [])


def test_it_ends_with_its_supervisor(settings, pauses, monkeypatch):
    """Started by supervisord it is known as running, and ends when that has gone."""
    seen = []

    def parent():
        seen.append(is_fetcher_running(settings, BootClock().boot_id()))
        return 10 if len(seen) < 4 else 1

    monkeypatch.setenv(program.SUPERVISED_ENV, "1")
    monkeypatch.setattr(os, "getppid", parent)

    program.run_fetcher(settings)

    assert seen == [False, True, True, True]
    assert len(pauses) == 1


def test_a_second_one_is_refused(settings):
    """While one holds the lock, another one ends with a sentence."""
    with (
        locks.locked(settings.fetcher_lock_file),
        pytest.raises(NotAllowedInState, match="has a fetcher already"),
    ):
        program.run_fetcher(settings)
