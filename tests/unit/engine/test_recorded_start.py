"""Which file holds what the last start has written, and that it is waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.engine.recorded_start import LOOKS, last_log
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity

ENDED = ProcessIdentity(1, 1, "earlier boot")
START = records.StartRecord(ENDED, 1.0, "127.0.0.1", 1, "x")


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with a folder for logs."""
    settings = make_settings(tmp_path)
    settings.logs_dir.mkdir(parents=True)
    return settings


def write(settings, **changes):
    """Write a record whose start has a log; return the log."""
    log = settings.logs_dir / "engine-1.log"
    start = replace(START, log_file=str(log), recorder=ENDED)
    records.write_record(settings.start_file, replace(start, **changes))
    return log


def test_a_recorded_start_has_its_own_log(settings):
    """When its recorder has ended, all of it is there and nobody waits."""
    log = write(settings)
    log.touch()
    waits: list[float] = []

    assert last_log(settings, waits.append) == log
    assert waits == []


@pytest.mark.parametrize(
    "changes", [{"log_file": None}, {"recorder": None}, {}, None], ids=str
)
def test_a_start_without_one_has_none(settings, changes):
    """No record, no recorder, no name or no file: there is nothing to read."""
    if changes is not None:
        write(settings, **changes)

    assert last_log(settings) is None


def test_a_recorder_that_is_at_work_is_waited_for(settings):
    """What it writes meanwhile belongs to the log; after three seconds it goes on."""
    log = write(settings, recorder=own_identity())
    log.touch()
    waits: list[float] = []
    found = last_log(settings, waits.append)

    assert found == log
    assert len(waits) == LOOKS
    assert sum(waits) == pytest.approx(3.0)
