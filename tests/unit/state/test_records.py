"""Records of running processes, and which process a record means."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest

from support.settings_factory import make_settings
from vllm_pkg.clock import BootClock
from vllm_pkg.state import identity, records
from vllm_pkg.state.identity import ProcessIdentity, is_alive, started_ticks

PROCESS = ProcessIdentity(4, 5, "b")
START = records.StartRecord(PROCESS, 1.5, "127.0.0.1", 8000, "tiny")
FAILURE = records.FailureRecord("t", 2.0, "b", "s", "h", None, True, 3, ("l",))  # noqa: FBT003
HOST = records.HostRecord(PROCESS, "127.0.0.1", 8000, "/s", is_stopping=True)


def test_round_trip(tmp_path):
    """Each record is read back as it was written, in a private file."""
    settings = make_settings(tmp_path)
    records.write_record(settings.start_file, START)
    records.write_record(settings.failure_file, FAILURE)
    records.write_record(settings.host_file, HOST)

    assert records.read_start(settings) == START
    assert records.read_failure(settings) == FAILURE
    assert records.read_host(settings) == HOST
    assert settings.start_file.stat().st_mode & 0o777 == 0o600


def test_missing_records_are_none(tmp_path):
    """Without files there are no records."""
    settings = make_settings(tmp_path)

    assert records.read_start(settings) is None
    assert records.read_failure(settings) is None
    assert records.read_host(settings) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"process": 1}', "\x00"])
def test_records_that_cannot_be_understood_are_none(tmp_path, text):
    """A record is only a hint: a strange one reads as absent."""
    settings = make_settings(tmp_path)
    settings.run_dir.mkdir(parents=True)
    for path in (settings.start_file, settings.failure_file, settings.host_file):
        path.write_text(text)

    assert records.read_start(settings) is None
    assert records.read_failure(settings) is None
    assert records.read_host(settings) is None


def test_records_with_wrong_types_are_none(tmp_path):
    """A field of a wrong type makes the record absent."""
    settings = make_settings(tmp_path)
    settings.run_dir.mkdir(parents=True)
    settings.start_file.write_text(json.dumps(asdict(START) | {"port": "http"}))

    assert records.read_start(settings) is None


PROGRESS = replace(
    START,
    started_at="2026-01-02T03:04:05+00:00",
    key="k",
    log_file="/logs/engine-1.log",
    recorder=ProcessIdentity(6, 7, "b"),
    phase="download",
    phase_percent=50.5,
    percent=20.0,
    eta_s=7.5,
    repository="org/name",
    bytes_done=1,
    bytes_total=2,
    bytes_per_s=3.5,
    is_stalled=True,
    phases=(("download", 1.5), ("starting", 2.0)),
    updated_s=9.0,
    ready_after_s=10.0,
)


def test_progress_is_read_back(tmp_path):
    """Every field of a start survives, and one of an older version is read too."""
    settings = make_settings(tmp_path)
    records.write_record(settings.start_file, PROGRESS)
    whole = records.read_start(settings)
    names = ("process", "started_s", "host", "port", "model", "is_stop_intended")
    document = {name: asdict(PROGRESS)[name] for name in names}
    settings.start_file.write_text(json.dumps(document))

    assert whole == PROGRESS
    assert records.read_start(settings) == START


def test_a_start_is_changed_by_all_together(tmp_path):
    """What one process changes is not undone by another one's change."""
    settings = make_settings(tmp_path)
    records.write_record(settings.start_file, START)
    added = 20

    def add(_):
        for _ in range(added):
            records.update_start(
                settings,
                PROCESS,
                lambda now: replace(now, bytes_done=(now.bytes_done or 0) + 1),
            )

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(add, range(3)))

    start = records.read_start(settings)
    assert start is not None
    assert start.bytes_done == 3 * added
    assert settings.start_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("process", [None, ProcessIdentity(4, 6, "b")])
def test_the_start_of_another_process_is_not_changed(tmp_path, process):
    """Without a record, or with one of another process, nothing is written."""
    settings = make_settings(tmp_path)
    if process is not None:
        records.write_record(settings.start_file, replace(START, process=process))

    changed = records.update_start(settings, PROCESS, lambda _: PROGRESS)

    assert changed is None
    assert (settings.start_file.exists()) is (process is not None)


def test_what_does_not_change_is_not_written(tmp_path):
    """The same record costs no write."""
    settings = make_settings(tmp_path)
    records.write_record(settings.start_file, START)
    before = settings.start_file.stat().st_ino

    assert records.update_start(settings, PROCESS, lambda now: now) == START
    assert settings.start_file.stat().st_ino == before


def test_our_own_process_is_alive():
    """This process is alive under its pid, its start time and this boot."""
    boot_id = BootClock().boot_id()
    started = started_ticks(os.getpid())
    assert started is not None
    me = ProcessIdentity(os.getpid(), started, boot_id)

    assert is_alive(me, boot_id)
    assert not is_alive(ProcessIdentity(me.pid, started + 1, boot_id), boot_id)
    assert not is_alive(me, "another boot")


def test_an_ended_process_is_not_alive():
    """A zombie, and a process that was waited for, are not alive."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    as_zombie = started_ticks(process.pid)
    process.wait()

    assert as_zombie is None
    assert started_ticks(process.pid) is None


def test_program_names_may_hold_anything(tmp_path):
    """A program name with spaces and parentheses does not shift the fields."""
    folder = tmp_path / "7"
    folder.mkdir()
    fields = ["S", *["0"] * 18, "4242", "0"]
    (folder / "stat").write_text(f"7 (a) b (c) {' '.join(fields)}")
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "stat").write_text("8 (x) S 1")

    assert identity.started_ticks(7, tmp_path) == 4242
    assert identity.started_ticks(8, tmp_path) is None


@pytest.mark.parametrize(
    ("threads", "ticks"), [("0", None), ("1", None), ("2", 4242), ("9", 4242)]
)
def test_a_zombie_with_a_thread_that_lives_has_not_ended(tmp_path, threads, ticks):
    """A killed process holds its memory until its last thread is gone."""
    folder = tmp_path / "7"
    folder.mkdir()
    fields = ["Z", *["0"] * 16, threads, "0", "4242", "0"]
    (folder / "stat").write_text(f"7 (engine) {' '.join(fields)}")

    assert identity.started_ticks(7, tmp_path) == ticks
