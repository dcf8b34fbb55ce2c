"""
A real vLLM that is looked through, kept busy, frozen and killed: T28, T20, T19 and T10.

One service with a canary for a key runs through all tests of this file, under a umask
that hides nothing; each test builds on the ones before it, and the engine starts three
times in all. VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from support.canary import (
    CANARY,
    REQUESTS,
    STALL_S,
    CanaryService,
    command_lines,
    with_key,
)
from support.guarantees.plugin import is_long
from support.handshakes import logged_by_uvicorn, shake
from support.service import free_port
from support.tools import require
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.health.progress import Progress, StallDetector
from vllm_pkg.health.watcher import read_report
from vllm_pkg.state.identity import started_ticks

pytestmark = [
    pytest.mark.engine,
    pytest.mark.security,
    pytest.mark.timeout(420),
]

# The keeper looks every 5 s, and more often while requests run.
PERIOD_S = 5
CLIENTS = 8
# From the kill of the API server to the end of its core.
GONE_MAX_S = 5.0
TINY = {"config": {"selection": "tiny", "value": {}}}


@pytest.fixture(name="service", scope="module")
def service_fixture(tmp_path_factory):
    """The service with the canary, ready."""
    require(shutil.which("vllm", path=Path(sys.executable).parent), "vLLM is missing")
    service = CanaryService(tmp_path_factory.mktemp("canary"), free_port())
    earlier = os.umask(0)
    try:
        service.public.mkdir(mode=0o777)
        key_file = service.public / "credentials.json"
        key_file.write_text(json.dumps({"apiKey": CANARY}))
        service.json("action", "run", "set-model", "--input", json.dumps(TINY))
        service.start()
        service.wait_result("success")
        yield service
    finally:
        service.close()
        os.umask(earlier)


def test_t28_error_bodies_do_not_hold_the_key(service, guarantee):
    """T28: no answer of the API, right or wrong, repeats the key it was sent."""
    bodies = {
        f"{method} {path} {number}": service.ask(method, path, body)[1].encode()
        for number, (method, path, body) in enumerate(REQUESTS)
    }
    bodies["wrong key"] = service.ask("GET", "/v1/models", key=CANARY + "x")[1].encode()
    hits = with_key(bodies)
    guarantee(
        "T28",
        "The key is in no answer of the API",
        tried=len(bodies),
        violations=len(hits),
        unit="answers of a real engine",
        control="the search finds the key in credentials.json",
    )

    assert service.ask("GET", "/v1/models")[0] == 200
    assert hits == []


def test_t28_a_websockets_handshake_leaves_no_key_in_the_log(service, guarantee):
    """T28: whether the guard or vLLM refuses it, its headers are not logged."""
    handshakes = [
        (path, key)
        for path in ("/v1/realtime", "/no/such/socket")
        for key in (CANARY, CANARY + "x")
    ]
    statuses = {shake(service.port, path, key) for path, key in handshakes}
    log = service.main / "logs" / "engine.log"
    wait_until(
        lambda: log.read_bytes().count(b'"WebSocket /') == len(handshakes),
        20,
        "the handshakes in the log",
    )
    texts = service.texts()
    # Of the key it was started with, the recorder would leave asterisks.
    masked = [name for name, text in texts.items() if b"Bearer ***" in text]
    hits = with_key(texts) + masked
    guarantee(
        "T28",
        "The key in the handshake of a websocket is not in the engine's log",
        tried=len(handshakes),
        violations=len(hits),
        unit="handshakes with a real engine",
        control="uvicorn at trace level: the search finds it",
    )

    assert statuses == {401, 403, 404}
    assert hits == []
    assert with_key({"trace": logged_by_uvicorn("trace", CANARY)}) == ["trace"]


def test_t20_a_busy_engine_is_left_alone(service, guarantee):
    """T20: saturated for longer than the limit, with late probes: no restart."""
    seconds = 600 if is_long() else STALL_S + PERIOD_S
    server = psutil.Process(service.start_record().process.pid)
    clock = BootClock()
    results = []
    with service.kept_busy(CLIENTS) as clients:
        wait_until(lambda: service.running_requests() > 1, 60, "a busy engine")
        until_s = clock.now_s() + seconds
        while clock.now_s() < until_s:
            # Longer than a probe waits, and shorter than the limit: its core goes on.
            server.suspend()
            try:
                results.append(service.health()["result"])
            finally:
                server.resume()
            results.append(service.wait_result("success")["result"])
    answers = sum(client.result() for client in clients)
    timeouts = results.count("loading")
    starts = service.starts()
    has_failed = (service.main / "run" / "last-failure.json").exists()
    guarantee(
        "T20",
        "An engine that is busy is never taken for a stuck one",
        tried=answers,
        violations=starts - 1 + int(has_failed) + results.count("failure"),
        unit=f"answers of a saturated real engine in {seconds} s (limit {STALL_S} s,"
        f" {timeouts} probes timed out)",
        control="the same engine, frozen, is found: T19",
    )

    assert starts == 1
    assert not has_failed
    assert set(results) == {"loading", "success"}
    assert timeouts >= 1
    assert answers >= CLIENTS


def test_t19_a_core_that_hangs_while_idle_is_found(service, guarantee):
    """T19: it says that it has no request; the guard has one that gets no word."""
    core = service.core()
    start = service.start_record()
    detector, clock = StallDetector(3.0), BootClock()
    seen: list[Progress] = []

    def look():
        report = read_report(service.settings, start)
        assert report is not None
        earlier = seen[-1] if seen else None
        seen.append(detector.observe(earlier, report, clock.now_s()))
        return detector.judge(seen[-1])

    wait_until(lambda: service.running_requests() == 0, 60, "an idle engine")
    look()
    core.suspend()
    try:
        with ThreadPoolExecutor(1) as pool:
            request = pool.submit(service.complete, 2)
            stall = wait_until(look, 8, "the stall to be seen")
            # Before the service's own limit, so that it goes on as it is.
            core.resume()
            status = request.result()
    finally:
        core.resume()
    gauges = {core.sample.requests for progress in seen for core in progress.cores}
    guarantee(
        "T19",
        "A core that hangs while it is idle is found by the first request",
        tried=1,
        violations=int(stall.requests != 1) + int(status != 200),
        unit=f"idle cores of a real engine (found after {stall.still_s:.1f} s,"
        " limit 3 s)",
        control="vLLM's own gauges said all the time that there was no request",
    )

    assert stall.requests == 1
    assert 3.0 <= stall.still_s < 8.0
    assert gauges == {0}
    assert status == 200
    assert service.starts() == 1


def test_t19_a_frozen_core_is_found_and_restarted_once(service, guarantee):
    """T19: with its core stopped, vLLM still answers 200; we say it is stuck."""
    assert service.starts() == 1
    core = service.core()
    clock = BootClock()
    with service.kept_busy(1):
        wait_until(lambda: service.freeze_busy(core), 60, "a frozen request")
        frozen_s = clock.now_s()
        lies = service.ask("GET", "/health")[0]
        failure = service.wait_result("failure")
        told_s = clock.now_s() - frozen_s
        # Evidence is kept first, with a stack of each process.
        record_file = service.main / "run" / "last-failure.json"
        wait_until(record_file.exists, 60, "the record of the failure")
        record = json.loads(record_file.read_text())
        progress = json.loads(service.settings.progress_file.read_text())["progress"]
        found_s = progress["observed_s"] - frozen_s
        kept_s = record["at_s"] - progress["observed_s"]
        # With the folder of evidence that was just made, and a failure on record.
        hits = with_key(service.texts())
    service.wait_result("success")
    status = service.complete(2)
    restarts = service.starts() - 1
    late = found_s > STALL_S + PERIOD_S
    guarantee(
        "T19",
        "An engine whose core hangs is found, and restarted exactly once",
        tried=1,
        violations=int(restarts != 1) + int(status != 200) + int(late) + len(hits),
        unit=f"frozen cores of a real engine (found after {found_s:.1f} s, limit"
        f" {STALL_S} s, period {PERIOD_S} s; a poll of health told it after"
        f" {told_s:.1f} s, the evidence took {kept_s:.1f} s)",
        control="its /health still answered 200",
    )

    assert lies == 200
    assert hits == []
    assert failure["message"].startswith("The engine is stuck: 1 request runs and no")
    assert record["summary"].startswith("The engine is stuck: 1 request runs")
    assert record["starts"] == 1
    assert "It is started again in 1 s." in record["hint"]
    assert not late
    assert restarts == 1
    assert status == 200


def test_the_evidence_shows_where_the_core_stood(service):
    """Stacks of all its processes, memory, counters and log are kept, for us alone."""
    (folder,) = (service.main / "logs").glob("stuck-*")
    files = {path.name: path for path in folder.iterdir()}
    stacks = [path.read_text() for name, path in files.items() if "stack" in name]

    assert {"processes.txt", "memory.txt", "metrics.txt", "engine.log"} <= set(files)
    assert "VLLM::EngineCore, stopped" in files["processes.txt"].read_text()
    assert "vllm:num_requests_running" in files["metrics.txt"].read_text()
    assert "MemAvailable" in files["memory.txt"].read_text()
    assert any("run_engine_core" in stack for stack in stacks)
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}


def test_t28_no_process_and_no_output_shows_the_key(service, guarantee):
    """T28: command lines, the supervisor's environment and what commands print."""
    supervisor = json.loads((service.main / "run" / "host.json").read_text())
    host = psutil.Process(supervisor["process"]["pid"])
    # The engine's own environment is where the key belongs.
    engine = {process.pid for process in service.engine()}
    below = [one for one in host.children(recursive=True) if one.pid not in engine]
    texts = command_lines() | service.texts()
    for process in (host, *below):
        texts[f"environment of {process.pid}"] = str(process.environ()).encode()
    for arguments in (
        ("status",),
        ("status", "--json"),
        ("daemon", "--print"),
        ("hardware", "--json"),
        ("health",),
        ("logs",),
        ("key", "list"),
        ("preset", "list"),
        ("no-such-command",),
    ):
        texts[" ".join(arguments)] = service.printed(*arguments)
    debugging = {"VLLM_PKG_DEBUG": "1", "VLLM_PKG_HARDWARE": "/no/such/file"}
    texts["error"] = service.printed("status", **debugging)
    hits = with_key(texts)
    guarantee(
        "T28",
        "Outside StartOS the key is in no command line, in no environment but the"
        " engine's, in no record or log while it runs, and in nothing that is printed",
        tried=len(texts),
        violations=len(hits),
        unit="command lines, environments, files and outputs",
        control="with --show-secrets the search finds it",
    )

    assert len(below) >= 2
    assert hits == []
    assert CANARY.encode() in service.printed("daemon", "--print", "--show-secrets")


def test_t10_after_kill_9_the_core_is_gone_before_the_next_start(service, guarantee):
    """T10: the API server is killed; nothing of it lives when the next one starts."""
    start_file = service.main / "run" / "start.json"
    main = json.loads(start_file.read_text())["process"]["pid"]
    old = {one.pid: started_ticks(one.pid) for one in service.engine()}
    clock = BootClock()
    killed_s = clock.now_s()
    os.kill(main, signal.SIGKILL)

    def alive() -> list[int]:
        return [pid for pid, ticks in old.items() if started_ticks(pid) == ticks]

    wait_until(lambda: not alive(), 30, "the end of the killed engine's processes")
    gone_s = clock.now_s() - killed_s
    # Written by the daemon just before it becomes the engine.
    wait_until(lambda: _pid_of_start(start_file) not in {None, main}, 60, "a new start")
    survivors = alive()
    guarantee(
        "T10",
        "Nothing of a killed engine lives when the next one starts",
        tried=len(old),
        violations=len(survivors) + int(gone_s > GONE_MAX_S),
        unit=f"processes of a real engine (all gone after {gone_s:.1f} s)",
        control="they lived when it was killed",
    )

    assert len(old) >= 3
    assert survivors == []
    assert gone_s <= GONE_MAX_S
    assert service.starts() == 3


def test_t28_no_file_holds_the_key_and_all_modes_are_private(service, guarantee):
    """T28: after the end, no file but the key's own has it; nobody else reads any."""
    assert service.interrupt() == 0
    texts = service.texts()
    texts["run.log"] = (service.folder / "run.log").read_bytes()
    hits = with_key(texts)
    places = [service.main, service.public, *service.files()]
    places += [path.parent for path in places[2:]]
    loose = sorted(
        {
            f"{path.lstat().st_mode & 0o777:o} {path}"
            for path in places
            if not path.is_symlink() and path.lstat().st_mode & 0o077
        }
    )
    guarantee(
        "T28",
        "The key is in no file but its own, and no file or folder is readable for"
        " others, under umask 000",
        tried=len(texts) + len(places),
        violations=len(hits) + len(loose),
        unit="files and folders of both volumes",
        control="the search finds the key in credentials.json, which began with 0666",
    )

    own = service.public / "credentials.json"
    assert with_key({"own": own.read_bytes()}) == ["own"]
    assert len(texts) > 10
    assert hits == []
    assert loose == []


def _pid_of_start(start_file) -> int | None:
    try:
        return int(json.loads(start_file.read_text())["process"]["pid"])
    except (OSError, ValueError):
        return None
