"""
T16: starts and stops without end, and output without end.

VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from support.guarantees.plugin import is_long
from support.scripted_server import ScriptedServer, send
from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.health.probe import check_health
from vllm_pkg.hosts.standalone import config
from vllm_pkg.hosts.standalone.log_files import last_lines
from vllm_pkg.state import atomic, records
from vllm_pkg.state.store import ModelSelection, update_store

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

GROWTH_MAX_BYTES = 5_000_000
ANSWER_MAX_S = 0.1
READY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
# What no engine should write: bytes that are no text, a line of 50 MB, and a flood. It
# begins and ends when it is told to, so that its supervisor can be looked at.
NOISY = """\
import os, sys, time
begin, written, end = sys.argv[2:]
while not os.path.exists(begin):
    time.sleep(0.05)
os.write(1, b"=== vllm-pkg: engine start fake ===\\n")
os.write(1, bytes(range(128, 256)) + b"\\xff\\xfe\\xc3\\x28" + b"\\n")
for _ in range(50):
    sys.stdout.buffer.write(b"x" * 1_000_000)
sys.stdout.buffer.write(b"\\n")
line = b"noise " * 15 + b"\\n"
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(line * 10_000)
sys.stdout.buffer.write(b"ValueError: the last word\\n")
sys.stdout.flush()
open(written, "w").close()
while not os.path.exists(end):
    time.sleep(0.05)
"""


def _times(quick: int, long: int) -> int:
    return long if is_long() else quick


@contextmanager
def _asking_for_health(settings):
    """Ask for health all the time; yield what each answer was and took, in seconds."""
    clock = BootClock()
    seen = []
    is_over = threading.Event()

    def ask():
        while not is_over.is_set():
            began_s = clock.now_s()
            result = check_health(settings).result
            seen.append((result, clock.now_s() - began_s))
            is_over.wait(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """A service that is ready, as far as health can tell."""
    settings = make_settings(tmp_path, VLLM_PKG_VARIANT="cpu")
    update_store(settings, lambda s: s.with_model(("a/b",), (), ModelSelection("x")))
    own = processes.own_identity()
    records.write_record(
        settings.host_file, records.HostRecord(own, "127.0.0.1", 1, "/s")
    )
    with ScriptedServer(
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    ) as server:
        start = records.StartRecord(
            own, BootClock().now_s(), "127.0.0.1", server.port, "x"
        )
        records.write_record(settings.start_file, start)
        yield settings


def test_t16_cycles_leave_nothing_behind(settings, tmp_path, guarantee):
    """T16: after many starts and stops no descriptor, zombie or memory is left."""
    tried = _times(30, 1000)
    own = psutil.Process()

    def cycle() -> None:
        argv = [sys.executable, "-IS", "-c", "import signal; signal.pause()"]
        engine = processes.start_supervisor(argv, tmp_path / "log")
        processes.end_supervisor(engine, 5)
        processes.reap_children()

    with _asking_for_health(settings):
        for _ in range(5):
            cycle()
    gc.collect()
    descriptors, memory = own.num_fds(), own.memory_info().rss
    with _asking_for_health(settings) as seen:
        for _ in range(tried):
            cycle()
    gc.collect()
    more = own.num_fds() - descriptors
    zombies = [
        child for child in own.children() if child.status() == psutil.STATUS_ZOMBIE
    ]
    # The answers are a list that this test keeps.
    grown_bytes = own.memory_info().rss - memory - 200 * len(seen)
    waits_s = sorted(took_s for _, took_s in seen)
    slowest_s = waits_s[int(len(waits_s) * 0.99)]
    wrong = [result for result, _ in seen if result != "success"]
    # Whoever shares the machine with a quick run may slow it down.
    is_late = is_long() and slowest_s > ANSWER_MAX_S
    guarantee(
        "T16",
        "Starts and stops leave no descriptor, no zombie and no memory behind, and"
        " health answers while they go on",
        tried=tried,
        violations=int(more != 0)
        + len(zombies)
        + int(grown_bytes > GROWTH_MAX_BYTES)
        + len(wrong)
        + int(is_late),
        unit=f"cycles ({len(seen):,} health checks, p99 {slowest_s * 1000:.1f} ms)",
        control="an opened file is counted",
    )
    with (tmp_path / "log").open():
        counted = own.num_fds() - descriptors

    assert more == 0
    assert zombies == []
    assert grown_bytes < GROWTH_MAX_BYTES
    assert len(seen) >= 5
    assert wrong == []
    assert not is_late
    assert counted == 1


def test_t16_a_flood_of_output_is_capped(tmp_path, monkeypatch, guarantee):
    """T16: 50 MB in a line, bytes that are no text, a flood: log and memory stay."""
    flood_mb = _times(100, 1000)
    settings = make_settings(tmp_path)
    for folder in (settings.run_dir, settings.logs_dir):
        atomic.make_folder(folder)
    monkeypatch.setenv("VLLM_PKG_MAIN", str(settings.main))
    python, (begin, written, end) = _noisy_python(tmp_path, flood_mb)
    with tempfile.TemporaryDirectory(prefix="t-") as short:
        text = config.supervisor_config(settings, str(python), Path(short) / "s")
        file = settings.run_dir / "supervisord.conf"
        file.write_text(text)
        supervisor = processes.start_supervisor(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(file)],
            settings.logs_dir / "host.log",
        )
        try:
            own = psutil.Process(supervisor.pid)
            wait_until(lambda: len(own.children()) >= 2, 20, "its children")
            before = own.memory_info().rss
            begin.touch()
            wait_until(written.exists, 1000, "the flood")
            grown_bytes = own.memory_info().rss - before
            end.touch()
            wait_until(settings.failure_file.exists, 100, "the end of the flood")
        finally:
            processes.end_supervisor(supervisor, 20)
    sizes = [path.stat().st_size for path in settings.logs_dir.glob("engine.log*")]
    failure = json.loads(settings.failure_file.read_text())
    # Five old files and the present one, of 20 MB each, and one line of 50 MB.
    cap_bytes = 6 * 20 * 1024**2 + 60_000_000
    guarantee(
        "T16",
        "A flood of output fills neither disk nor memory, nor hides why it ended",
        tried=flood_mb + 50,
        violations=int(sum(sizes) > cap_bytes)
        + int("the last word" not in failure["summary"])
        + int(grown_bytes > GROWTH_MAX_BYTES),
        unit=f"megabytes written (supervisor grew by {grown_bytes / 1e6:.1f} MB)",
        control="the engine's last line is found behind it",
    )

    assert sum(sizes) <= cap_bytes
    assert "ValueError: the last word" in failure["summary"]
    assert len(last_lines(settings.logs_dir / "engine.log")) < 100_000
    assert grown_bytes <= GROWTH_MAX_BYTES


def _noisy_python(folder, flood_mb):
    """Write a Python whose daemon is the noise; return it and what it waits for."""
    script = folder / "noisy.py"
    script.write_text(NOISY)
    files = (folder / "begin", folder / "written", folder / "end")
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$3" = daemon ] || exec {sys.executable} "$@"\n'
        f"exec {sys.executable} -IS {script} {flood_mb} {' '.join(map(str, files))}\n"
    )
    python.chmod(0o755)
    return python, files
