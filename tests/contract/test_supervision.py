"""The keeper and the control interface, with a real supervisord and a fake engine."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from support.fake_engine import count_starts, write_fake_engine
from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.engine import processes
from vllm_pkg.errors import EngineError, HostNotRunning
from vllm_pkg.hosts.standalone import config, control
from vllm_pkg.state import atomic, records


class Host:
    """A real supervisord over the generated configuration."""

    def __init__(self, folder: Path, exits: list[int]) -> None:
        self.folder = folder
        # A blank, a percent sign and a semicolon: all mean something to supervisord.
        self.settings = make_settings(folder / "a b%c;d")
        atomic.make_folder(self.settings.run_dir)
        atomic.make_folder(self.settings.logs_dir)
        self.runtime = tempfile.TemporaryDirectory(prefix="vllm-pkg-test-")
        self.socket = Path(self.runtime.name) / "s"
        self.python = write_fake_engine(folder, exits)

    def start(self, environment) -> None:
        """Start supervisord and record it as the running host."""
        for name, value in (
            ("VLLM_PKG_MAIN", self.settings.main),
            ("VLLM_PKG_PUBLIC", self.settings.public),
        ):
            environment.setenv(name, str(value))
        text = config.supervisor_config(self.settings, str(self.python), self.socket)
        file = self.settings.run_dir / "supervisord.conf"
        file.write_text(text)
        record = records.HostRecord(
            processes.own_identity(), "127.0.0.1", 1, str(self.socket)
        )
        records.write_record(self.settings.host_file, record)
        self.process = processes.start_supervisor(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(file)],
            self.settings.logs_dir / "host.log",
        )

    def wait_starts(self, count: int) -> None:
        """Wait until the fake engine was started *count* times."""
        wait_until(lambda: count_starts(self.folder) >= count, 30, f"{count} starts")

    def stop(self) -> None:
        """End supervisord."""
        processes.end_supervisor(self.process, 20)
        self.runtime.cleanup()


@pytest.fixture(name="make_host")
def make_host_fixture(tmp_path, monkeypatch):
    """Start hosts and end them after the test."""
    hosts = []

    def make(exits: list[int]) -> Host:
        host = Host(tmp_path, exits)
        host.start(monkeypatch)
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        host.stop()


def test_crashes_are_restarted_and_a_permanent_failure_is_not(make_host):
    """Two crashes are restarted with delays, exit 3 is given up on and recorded."""
    host = make_host([1, -9, 3])

    def final_failure() -> records.FailureRecord | None:
        failure = records.read_failure(host.settings)
        return failure if failure is not None and failure.is_final else None

    failure = wait_until(final_failure, 40, "a final failure")

    assert count_starts(host.folder) == 3
    assert failure.exit_code == 3
    assert failure.starts == 3
    assert failure.summary == (
        "The engine ended with exit code 3: FakeError: told to end with 3."
    )
    log = (host.settings.logs_dir / "host.log").read_text()
    assert "ended with exit code 1: FakeError: told to end with 1. It is started" in log
    assert "ended with a signal: FakeError: told to end with -9. It is started" in log
    assert "It is not started again." in log


def test_restart_brings_back_an_engine_that_was_given_up(make_host):
    """A restart by a person starts it again and forgets the failure."""
    host = make_host([3])
    wait_until(lambda: records.read_failure(host.settings), 20, "the failure")

    control.restart_engine(host.settings)
    host.wait_starts(2)

    assert records.read_failure(host.settings) is None


def test_restart_of_a_running_engine_is_no_crash(make_host):
    """A restart on purpose is announced first and leaves no failure behind."""
    host = make_host([])
    host.wait_starts(1)
    record = records.StartRecord(processes.own_identity(), 1.0, "127.0.0.1", 1, "x")
    records.write_record(host.settings.start_file, record)

    control.restart_engine(host.settings)
    host.wait_starts(2)

    start = records.read_start(host.settings)
    assert start is not None
    assert start.is_stop_intended
    assert records.read_failure(host.settings) is None


def test_restart_without_a_host_is_refused(tmp_path):
    """Without a running host there is nothing to restart, and the error says so."""
    with pytest.raises(HostNotRunning):
        control.restart_engine(make_settings(tmp_path))


def test_restart_tells_when_the_supervisor_is_gone(tmp_path):
    """A socket nobody listens on is an error, not a traceback."""
    settings = make_settings(tmp_path)
    record = records.HostRecord(
        processes.own_identity(), "127.0.0.1", 1, str(tmp_path / "none")
    )
    records.write_record(settings.host_file, record)

    with pytest.raises(EngineError, match="not restarted"):
        control.restart_engine(settings)
