"""How the engine is restarted under each kind of host."""

from __future__ import annotations

import signal

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine import processes
from vllm_pkg.errors import HostNotRunning
from vllm_pkg.hosts.fetcher.engine_host import (
    OuterHost,
    StandaloneHost,
    find_engine_host,
)
from vllm_pkg.state import records


def test_the_profile_says_which_host_it_is(tmp_path):
    """StartOS restarts what has ended; everywhere else there is supervisord."""
    startos = make_settings(tmp_path, VLLM_PKG_PROFILE="startos")
    image = make_settings(tmp_path, VLLM_PKG_PROFILE="gpu-image")

    assert isinstance(find_engine_host(startos), OuterHost)
    assert isinstance(find_engine_host(image), StandaloneHost)
    assert isinstance(find_engine_host(make_settings(tmp_path)), StandaloneHost)


def test_a_standalone_host_that_does_not_run_is_told(tmp_path):
    """Without `vllm-pkg run` there is nothing that would restart."""
    host = StandaloneHost(make_settings(tmp_path))

    assert host.is_running() is False
    with pytest.raises(HostNotRunning):
        host.restart()


def test_an_outer_host_sees_the_engine_end(tmp_path, monkeypatch):
    """The engine is told to end, after it was marked so that nobody is alarmed."""
    settings = make_settings(tmp_path, VLLM_PKG_PROFILE="startos")
    sent = []
    monkeypatch.setattr(processes, "send_signal", lambda *what: sent.append(what))
    host = OuterHost(settings)
    settings.run_dir.mkdir(parents=True)
    settings.failure_file.write_text("{}")

    host.restart()
    assert sent == []
    assert not settings.failure_file.exists()

    own = processes.own_identity()
    start = records.StartRecord(own, 1.0, "127.0.0.1", 1, "m")
    records.write_record(settings.start_file, start)
    host.restart()

    assert host.is_running() is True
    assert sent == [(own.pid, signal.SIGTERM)]
    marked = records.read_start(settings)
    assert marked is not None
    assert marked.is_stop_intended
