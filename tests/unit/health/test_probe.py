"""Reading what the health decision needs, over real files, processes and sockets."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.errors import StateCorrupt
from vllm_pkg.health.checker import Api, Engine, Result
from vllm_pkg.health.probe import ask_api, check_health, observe
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity, started_ticks
from vllm_pkg.state.store import ModelSelection, update_store

ALIVE = ProcessIdentity(os.getpid(), started_ticks(os.getpid()) or 0, "boot-1")
DEAD = replace(ALIVE, started_ticks=1)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Standalone settings with a model selected and a host that runs."""
    settings = make_settings(tmp_path)
    update_store(settings, lambda s: s.with_model(("a/b",), (), ModelSelection("x")))
    host = records.HostRecord(ALIVE, "127.0.0.1", 1, "/s")
    records.write_record(settings.host_file, host)
    return settings


def _start(settings, process=ALIVE, *, port=1, stop=False, started_s=1000.0):
    record = records.StartRecord(process, started_s, "127.0.0.1", port, "x", stop)
    records.write_record(settings.start_file, record)


def _fail(settings, at_s, boot_id="boot-1"):
    failure = records.FailureRecord("t", at_s, boot_id, "It broke.", "Do.", 1, True, 1)  # noqa: FBT003
    records.write_record(settings.failure_file, failure)


@pytest.fixture(name="serve_status")
def serve_status_fixture():
    """Start real HTTP servers that answer every request with one status."""
    servers = []

    def serve(status: int) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # http.server's name
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, (Api.READY, None)), (503, (Api.UNWELL, 503)), (301, (Api.UNWELL, 301))],
)
def test_only_200_is_ready(serve_status, status, answer):
    """An answer other than 200 is no readiness, a redirect included."""
    assert ask_api("127.0.0.1", serve_status(status)) == answer


def test_wildcard_address_is_asked_on_loopback(serve_status):
    """An engine that listens everywhere is asked on this machine."""
    assert ask_api("0.0.0.0", serve_status(200)) == (Api.READY, None)


def test_refused_and_garbage_are_silence():
    """A closed port and one that does not speak HTTP both count as not listening."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(5)

        def babble() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"\x00\x01nonsense\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        garbage = ask_api("127.0.0.1", port)
        thread.join()
    closed = ask_api("127.0.0.1", port)

    assert garbage == (Api.SILENT, None)
    assert closed == (Api.SILENT, None)


def test_a_server_that_never_answers_is_silence():
    """A port that accepts and says nothing counts as silent after the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert ask_api("127.0.0.1", port, timeout_s=0.05) == (Api.SILENT, None)


def test_ready_engine(settings, serve_status):
    """A living process whose port answers 200 is success."""
    _start(settings, port=serve_status(200))

    assert check_health(settings, FakeClock()).result is Result.SUCCESS


@pytest.mark.parametrize("text", ["garbage", '{"serveArgs": 5}'])
def test_damaged_store_beside_a_ready_engine(settings, serve_status, text):
    """An engine that serves is ready although the store was damaged since."""
    _start(settings, port=serve_status(200))
    settings.store_file.write_text(text)

    looks = {check_health(settings, FakeClock()).result for _ in range(2)}

    assert looks == {Result.SUCCESS}
    assert settings.store_file.read_text() == text


@pytest.mark.parametrize("text", ["garbage", '{"serveArgs": 5}'])
def test_damaged_store_without_an_engine(settings, text):
    """Without an engine the damage is told at each look."""
    settings.store_file.write_text(text)

    for _ in range(2):
        with pytest.raises(StateCorrupt, match="is damaged"):
            check_health(settings, FakeClock())


def test_window_counts_from_the_daemons_start(settings):
    """Loading becomes failure 35 minutes after the daemon's start on the boot clock."""
    _start(settings)
    clock = FakeClock(seconds=1000.0 + 2099)

    before = check_health(settings, clock).result
    clock.seconds += 1

    assert before is Result.LOADING
    assert check_health(settings, clock).result is Result.FAILURE


@pytest.mark.parametrize(
    ("process", "stop", "engine"),
    [
        (ALIVE, False, Engine.RUNNING),
        (ALIVE, True, Engine.STOPPING),
        (DEAD, True, Engine.STOPPING),
        (DEAD, False, Engine.ENDED),
        (replace(ALIVE, boot_id="earlier"), False, Engine.NEVER_STARTED),
    ],
)
def test_engine_state_follows_the_record(settings, process, stop, engine):
    """What the record means depends on the process, the intent and the boot."""
    _start(settings, process, stop=stop)

    assert observe(settings, FakeClock()).engine is engine


def test_no_record_means_never_started(settings):
    """Without a record the engine has not been started."""
    observation = observe(settings, FakeClock())

    assert observation.engine is Engine.NEVER_STARTED
    assert observation.elapsed_s == 0.0


@pytest.mark.parametrize(
    ("at_s", "boot_id", "counts"),
    [
        (1000.0, "boot-1", True),
        (999.0, "boot-1", False),
        (1001.0, "boot-0", False),
    ],
)
def test_only_a_failure_since_the_start_counts(settings, at_s, boot_id, counts):
    """A failure from before this start, or from an earlier boot, is history."""
    _start(settings, DEAD)
    _fail(settings, at_s, boot_id)

    assert (observe(settings, FakeClock()).failure is not None) is counts


def test_failure_before_the_first_start_counts(settings):
    """A daemon that failed before it became an engine is a failure, not a start."""
    _fail(settings, 5.0)

    health = check_health(settings, FakeClock())

    assert (health.result, health.message) == (Result.FAILURE, "It broke. Do.")


@pytest.mark.parametrize(
    ("at_s", "boot_id", "selection", "counts"),
    [
        (999.0, "boot-1", "same", True),
        (1000.0, "boot-1", "same", False),
        (999.0, "boot-0", "same", False),
        (999.0, "boot-1", "other", False),
        (999.0, "boot-1", None, False),
    ],
)
def test_an_earlier_failure_counts_for_the_same_selection(
    settings, at_s, boot_id, selection, counts
):
    """It has to be of this boot, of an earlier start, and of what is served now."""
    start = records.StartRecord(
        ALIVE, 1000.0, "127.0.0.1", 1, "x", selection=selection and "same"
    )
    records.write_record(settings.start_file, start)
    failure = records.FailureRecord(
        *("t", at_s, boot_id, "It broke.", "Do.", None),
        is_final=False,
        starts=1,
        selection=selection,
    )
    records.write_record(settings.failure_file, failure)

    found = observe(settings, FakeClock(1001.0)).earlier_failure

    assert (found is not None) is counts


def test_host_is_known_by_its_process(settings):
    """A record of a dead host, or none, means that nothing starts the engine."""
    alive = observe(settings, FakeClock()).is_host_running
    records.write_record(
        settings.host_file, records.HostRecord(DEAD, "127.0.0.1", 1, "/s")
    )
    dead = observe(settings, FakeClock()).is_host_running
    settings.host_file.unlink()

    assert (alive, dead) == (True, False)
    assert observe(settings, FakeClock()).is_host_running is False


def test_host_that_ends_is_told(settings):
    """While the host ends everything, health says so and speaks of no load."""
    stopping = records.HostRecord(ALIVE, "127.0.0.1", 1, "/s", is_stopping=True)
    records.write_record(settings.host_file, stopping)

    health = check_health(settings, FakeClock())

    assert observe(settings, FakeClock()).is_host_running is True
    assert (health.result, health.message) == (
        Result.FAILURE,
        "The service is stopping.",
    )


def test_startos_is_always_a_host(tmp_path):
    """Under StartOS something else starts the engine, and it runs."""
    settings = make_settings(tmp_path, VLLM_PKG_PROFILE="startos")

    assert observe(settings, FakeClock()).is_host_running is True
    assert check_health(settings).result is Result.DISABLED
