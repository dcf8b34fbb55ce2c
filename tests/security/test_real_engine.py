"""
A real vLLM that is looked through, frozen and killed: T28, T19 and T10.

One service with a canary for a key runs through all tests of this file, under a umask
that hides nothing; each test builds on the ones before it, and the engine starts three
times in all.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from support.service import Service, free_port
from support.tools import require
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.engine.exit_report import START_MARK
from vllm_pkg.engine.processes import find_engine_processes, instance_id
from vllm_pkg.state.identity import started_ticks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.engine,
    pytest.mark.security,
    pytest.mark.timeout(420),
]

CANARY = "CANARYcanaryCANARY1234"
STALL_S = 10
# The keeper looks every 5 s; what a loaded machine needs comes on top.
PERIOD_S = 5
SLACK_S = 10
TINY = {"config": {"selection": "tiny", "value": {}}}


@dataclass
class CanaryService(Service):
    """A service that takes a stall for one after few seconds."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment, with the shorter limit."""
        return super().environment | {"VLLM_PKG_STALL_TIMEOUT_S": str(STALL_S)}


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


def _ask(service, method, path, body=None, key=CANARY):
    """Return status, headers and body of one answer as one text."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        with connection.getresponse() as answer:
            text = answer.read().decode(errors="replace")
            return answer.status, f"{answer.headers}\n{text}"


def _completion(tokens):
    document = {"model": "tiny", "prompt": "a", "max_tokens": tokens}
    return json.dumps(document | {"ignore_eos": True, "temperature": 0})


def _engine(service) -> list[psutil.Process]:
    return find_engine_processes(instance_id(service.main))


def _starts(service) -> int:
    log = service.main / "logs" / "engine.log"
    return int(log.read_text(errors="replace").count(START_MARK))


def _files(service) -> Iterator[Path]:
    for volume in (service.main, service.public):
        for folder, _, names in os.walk(volume):
            yield from (Path(folder, name) for name in names)


def _with_key(texts: dict[str, bytes]) -> list[str]:
    return [name for name, text in texts.items() if CANARY.encode() in text]


def _command_lines() -> dict[str, bytes]:
    found = {}
    for process in psutil.process_iter():
        try:
            line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except OSError:
            continue
        found[f"pid {process.pid}"] = line
    return found


def test_t28_error_bodies_do_not_hold_the_key(service, guarantee):
    """T28: no answer of the API, right or wrong, repeats the key it was sent."""
    requests = [
        ("GET", "/v1/models", None),
        ("GET", "/openapi.json", None),
        ("GET", "/docs", None),
        ("GET", "/metrics", None),
        ("GET", "/version", None),
        ("GET", "/no/such/path", None),
        ("GET", f"/v1/models?key={CANARY[:-1]}", None),
        ("POST", "/v1/completions", "{"),
        ("POST", "/v1/completions", "[]"),
        ("POST", "/v1/completions", _completion(-1)),
        ("POST", "/v1/completions", _completion(10**9)),
        ("POST", "/v1/completions", json.dumps({"model": "none", "prompt": "a"})),
        ("POST", "/v1/chat/completions", json.dumps({"model": "tiny"})),
        ("POST", "/tokenize", "\x00"),
        ("POST", "/sleep", None),
        ("PUT", "/v1/models", None),
    ]
    bodies = {
        f"{method} {path} {number}": _ask(service, method, path, body)[1].encode()
        for number, (method, path, body) in enumerate(requests)
    }
    bodies["wrong key"] = _ask(service, "GET", "/v1/models", key=CANARY + "x")[
        1
    ].encode()
    hits = _with_key(bodies)
    guarantee(
        "T28",
        "The key is in no answer of the API",
        tried=len(bodies),
        violations=len(hits),
        unit="answers of a real engine",
        control="the search finds the key in credentials.json",
    )

    assert _ask(service, "GET", "/v1/models")[0] == 200
    assert hits == []


def test_t19_a_frozen_core_is_found_and_restarted_once(service, guarantee):
    """T19: with its core stopped, vLLM still answers 200; we say it is stuck."""
    assert _starts(service) == 1
    core = next(one for one in _engine(service) if "EngineCore" in one.name())
    is_over = threading.Event()
    client = threading.Thread(target=_keep_busy, args=(service, is_over))
    client.start()
    clock = BootClock()
    try:
        wait_until(lambda: _freeze_busy(service, core), 60, "a frozen request")
        frozen_s = clock.now_s()
    finally:
        is_over.set()
    lies = _ask(service, "GET", "/health")[0]
    failure = service.wait_result("failure")
    found_s = clock.now_s() - frozen_s
    # Evidence comes first, and takes a few seconds.
    record_file = service.main / "run" / "last-failure.json"
    wait_until(record_file.exists, 60, "the record of the failure")
    record = json.loads(record_file.read_text())
    client.join()
    service.wait_result("success")
    status, _ = _ask(service, "POST", "/v1/completions", _completion(2))
    restarts = _starts(service) - 1
    late = found_s > STALL_S + PERIOD_S + SLACK_S
    guarantee(
        "T19",
        "An engine whose core hangs is found, and restarted exactly once",
        tried=1,
        violations=int(restarts != 1) + int(status != 200) + int(late),
        unit=f"frozen cores of a real engine (found after {found_s:.1f} s,"
        f" limit {STALL_S} s)",
        control="its /health still answered 200",
    )

    assert lies == 200
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
    engine = {process.pid for process in _engine(service)}
    below = [one for one in host.children(recursive=True) if one.pid not in engine]
    texts = _command_lines()
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
        texts[" ".join(arguments)] = _printed(service, *arguments)
    debugging = {"VLLM_PKG_DEBUG": "1", "VLLM_PKG_HARDWARE": "/no/such/file"}
    texts["error"] = _printed(service, "status", **debugging)
    hits = _with_key(texts)
    guarantee(
        "T28",
        "Outside StartOS the key is in no command line, in no environment but the"
        " engine's, and in nothing that a command prints",
        tried=len(texts),
        violations=len(hits),
        unit="command lines, environments and outputs",
        control="with --show-secrets the search finds it",
    )

    assert len(below) >= 2
    assert hits == []
    assert CANARY.encode() in _printed(service, "daemon", "--print", "--show-secrets")


def test_t10_after_kill_9_the_core_is_gone_before_the_next_start(service, guarantee):
    """T10: the API server is killed; nothing of it lives when the next one starts."""
    start_file = service.main / "run" / "start.json"
    main = json.loads(start_file.read_text())["process"]["pid"]
    old = {one.pid: started_ticks(one.pid) for one in _engine(service)}
    clock = BootClock()
    os.kill(main, signal.SIGKILL)
    killed_s = clock.now_s()

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
        violations=len(survivors),
        unit=f"processes of a real engine (all gone after {gone_s:.1f} s)",
        control="they lived when it was killed",
    )

    assert len(old) >= 3
    assert survivors == []
    assert _starts(service) == 3


def test_t28_no_file_holds_the_key_and_all_modes_are_private(service, guarantee):
    """T28: after the end, no file but the key's own has it; nobody else reads any."""
    assert service.interrupt() == 0
    texts = {
        str(path): path.read_bytes()
        for path in _files(service)
        if path.name != "credentials.json"
    }
    texts["run.log"] = (service.folder / "run.log").read_bytes()
    hits = _with_key(texts)
    places = [service.main, service.public, *_files(service)]
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
    assert _with_key({"own": own.read_bytes()}) == ["own"]
    assert len(texts) > 10
    assert hits == []
    assert loose == []


def _printed(service, *arguments, **variables) -> bytes:
    done = subprocess.run(
        [*service.program, *arguments],
        env=service.environment | variables,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def _pid_of_start(start_file) -> int | None:
    try:
        return int(json.loads(start_file.read_text())["process"]["pid"])
    except (OSError, ValueError):
        return None


def _running_requests(service) -> float:
    text = _ask(service, "GET", "/metrics")[1]
    lines = [
        line for line in text.splitlines() if line.startswith("vllm:num_requests_run")
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _freeze_busy(service, core) -> bool:
    """Freeze a core in the middle of a request; let it go on when it had none."""
    core.suspend()
    if _running_requests(service) > 0:
        return True
    core.resume()
    return False


def _keep_busy(service, is_over) -> None:
    # The restart cuts the last one off.
    with contextlib.suppress(OSError, http.client.HTTPException):
        while not is_over.is_set():
            _ask(service, "POST", "/v1/completions", _completion(1000))
