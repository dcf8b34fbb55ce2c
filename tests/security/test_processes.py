"""
Processes that cannot leak: T09, T10, T11, T13, T14 and T16, on engines that misbehave.

The engines are fakes, for what a real one cannot be made to do; the real one is killed
in test_real_engine. VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from support.fake_vllm import make_fake_vllm
from support.guarantees.plugin import is_long
from support.process_tree import start_tree
from support.service import Service, free_port
from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.engine.processes import MARKER
from vllm_pkg.hosts.standalone import config
from vllm_pkg.hosts.standalone.log_files import lines_of_start
from vllm_pkg.state import atomic

pytestmark = [pytest.mark.security, pytest.mark.timeout(3600 if is_long() else 120)]

INSTANCE = "0123456789abcdef"
GRACE_S = 0.3
# Listens, and will not hear of an end.
STUBBORN = """\
import signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.alarm(120)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    signal.pause()
"""
# What no engine should write: bytes that are no text, a line of 50 MB, and a flood.
NOISY = """\
import os, sys
os.write(1, b"=== vllm-pkg: engine start fake ===\\n")
os.write(1, bytes(range(128, 256)) + b"\\n")
for _ in range(50):
    sys.stdout.buffer.write(b"x" * 1_000_000)
sys.stdout.buffer.write(b"\\n")
line = b"noise " * 15 + b"\\n"
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(line * 10_000)
sys.stdout.buffer.write(b"ValueError: the last word\\n")
sys.stdout.flush()
"""


def _times(quick: int, long: int) -> int:
    return long if is_long() else quick


def test_t09_an_engine_that_ignores_sigterm_is_ended(guarantee):
    """T09: it is gone a second after the time it was given, and its port is free."""
    tried = _times(5, 100)
    clock = BootClock()
    wrong = []
    for _ in range(tried):
        port = free_port()
        argv = [sys.executable, "-IS", "-c", STUBBORN, str(port)]
        with subprocess.Popen(argv, env={MARKER: INSTANCE}):
            wait_until(lambda: _is_open(port), 10, "the engine's port")  # noqa: B023
            began_s = clock.now_s()
            ended = processes.end_engine_processes(INSTANCE, GRACE_S)
            took_s = clock.now_s() - began_s
        in_time = GRACE_S <= took_s <= GRACE_S + 1.0
        if ended != 1 or not in_time or _is_open(port):
            wrong.append((ended, took_s))
    guarantee(
        "T09",
        "An engine that ignores SIGTERM is ended within its time and a second",
        tried=tried,
        violations=len(wrong),
        unit="stubborn engines",
        control="SIGTERM alone did not end them: each lived as long as it was given",
    )

    assert wrong == []


def test_t10_nothing_of_a_killed_engine_survives(tmp_path, guarantee):
    """T10: of three levels, each in a session of its own, none is left."""
    tried = _times(8, 200)
    survivors = 0
    for number in range(tried):
        tree = start_tree(
            tmp_path / str(number), INSTANCE, ignores_sigterm=number % 2 == 0
        )
        try:
            os.kill(tree.pids[number % 3], signal.SIGKILL)
            processes.end_engine_processes(INSTANCE, GRACE_S)
            survivors += len(tree.alive())
        finally:
            tree.close()
    alone = start_tree(tmp_path / "control", INSTANCE, ignores_sigterm=False)
    # The outermost is in the group of these tests; the others lead one of their own.
    leaders = [pid for pid in alone.pids if os.getpgid(pid) == pid]
    os.killpg(leaders[0], signal.SIGKILL)
    left_by_killpg = len(alone.alive())
    processes.end_engine_processes(INSTANCE, GRACE_S)
    guarantee(
        "T10",
        "Nothing of a killed engine lives when the next one starts",
        tried=tried,
        violations=survivors,
        unit="killed trees of three sessions",
        control="killing the process group alone leaves processes",
    )

    assert survivors == 0
    assert len(leaders) == 2
    assert left_by_killpg >= 1


def test_t16_cycles_leave_nothing_behind(tmp_path, guarantee):
    """T16: after many starts and stops there are no descriptors and no zombies more."""
    tried = _times(30, 1000)
    own = psutil.Process()

    def cycle() -> None:
        argv = [sys.executable, "-IS", "-c", "import signal; signal.pause()"]
        engine = processes.start_supervisor(argv, tmp_path / "log")
        processes.end_supervisor(engine, 5)
        processes.reap_children()

    for _ in range(5):
        cycle()
    gc.collect()
    descriptors, memory = own.num_fds(), own.memory_info().rss
    for _ in range(tried):
        cycle()
    gc.collect()
    more = own.num_fds() - descriptors
    zombies = [
        child for child in own.children() if child.status() == psutil.STATUS_ZOMBIE
    ]
    grown_bytes = own.memory_info().rss - memory
    guarantee(
        "T16",
        "Starts and stops leave no descriptor, no zombie and no memory behind",
        tried=tried,
        violations=int(more != 0) + len(zombies) + int(grown_bytes > 5_000_000),
        unit="cycles",
        control="an opened file is counted",
    )
    with (tmp_path / "log").open():
        counted = own.num_fds() - descriptors

    assert more == 0
    assert zombies == []
    assert grown_bytes < 5_000_000
    assert counted == 1


def test_t16_a_flood_of_output_is_capped(tmp_path, monkeypatch, guarantee):
    """T16: 50 MB in a line, bytes that are no text and a flood: the log stays small."""
    flood_mb = _times(100, 1000)
    settings = make_settings(tmp_path)
    for folder in (settings.run_dir, settings.logs_dir):
        atomic.make_folder(folder)
    monkeypatch.setenv("VLLM_PKG_MAIN", str(settings.main))
    script = tmp_path / "noisy.py"
    script.write_text(NOISY)
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$3" = daemon ] || exec {sys.executable} "$@"\n'
        f"exec {sys.executable} -IS {script} {flood_mb}\n"
    )
    python.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="t-") as short:
        text = config.supervisor_config(settings, str(python), Path(short) / "s")
        file = settings.run_dir / "supervisord.conf"
        file.write_text(text)
        supervisor = processes.start_supervisor(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(file)],
            settings.logs_dir / "host.log",
        )
        try:
            wait_until(settings.failure_file.exists, 100, "the end of the flood")
        finally:
            processes.end_supervisor(supervisor, 20)
    sizes = [path.stat().st_size for path in settings.logs_dir.glob("engine.log*")]
    failure = json.loads(settings.failure_file.read_text())
    # Five old files and the present one, of 20 MB each, and one line of 50 MB.
    cap_bytes = 6 * 20 * 1024**2 + 60_000_000
    guarantee(
        "T16",
        "A flood of output does not fill the disk, nor hide why the engine ended",
        tried=flood_mb + 50,
        violations=int(sum(sizes) > cap_bytes)
        + int("the last word" not in failure["summary"]),
        unit="megabytes written",
        control="the engine's last line is found behind it",
    )

    assert sum(sizes) <= cap_bytes
    assert "ValueError: the last word" in failure["summary"]
    assert len(lines_of_start(settings.logs_dir / "engine.log")) < 100_000


class FakeHost(Service):
    """A whole host over a fake engine."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this instance."""
        return super().environment | {"VLLM_PKG_VARIANT": "cpu"}


@pytest.fixture(name="host")
def host_fixture(tmp_path):
    """A host with a model selected, ended after the test whatever happened."""
    fake = make_fake_vllm(tmp_path / "fake")
    host = FakeHost(tmp_path, free_port(), fake.program)
    host.main.mkdir()
    (host.main / "store.json").write_text('{"serveArgs": ["org/name"]}')
    yield host
    if host.process is not None:
        host.process.kill()
        host.process.wait()
    processes.end_engine_processes(processes.instance_id(host.main), 1.0)


def _engines(host) -> list[int]:
    found = processes.find_engine_processes(processes.instance_id(host.main))
    return [process.pid for process in found]


def _started(host) -> int:
    return int((host.folder / "fake" / "starts").read_text().count("\n"))


def test_t11_a_killed_host_leaves_one_engine_at_most(host, guarantee):
    """T11: killed at any moment and started again, there is one engine, never two."""
    tried = _times(4, 200)
    moment = random.Random(11)  # noqa: S311  # the same moments each time
    most = 0
    clock = BootClock()
    for _ in range(tried):
        _spawn(host)
        until_s = clock.now_s() + moment.uniform(0.2, 4.0)
        while clock.now_s() < until_s:
            most = max(most, len(_engines(host)))
        assert host.process is not None
        host.process.kill()
        host.process.wait()
    _spawn(host)
    health = host.wait_result("success")
    wait_until(lambda: len(_engines(host)) == 1, 20, "just one engine")
    guarantee(
        "T11",
        "A host that is killed at any moment leaves no second engine",
        tried=tried,
        violations=int(most > 1),
        unit="kills at random moments",
        control="after the last start there is exactly one",
    )

    assert most <= 1
    assert health["message"] == "The vLLM API is ready"


@pytest.mark.parametrize("code", [2, 3, 74, 77, 78])
def test_t13_a_permanent_failure_is_tried_once(host, guarantee, code):
    """T13: an exit code that means "not again" is believed."""
    (host.folder / "fake" / "exits").write_text(f"{code} {code} {code}")
    _spawn(host)
    failure = wait_until(lambda: _failure(host), 30, "the record of the failure")
    guarantee(
        "T13",
        "A start that can only fail is tried once",
        tried=1,
        violations=int(_started(host) != 1) + int(not failure["is_final"]),
        unit=f"engines that end with {code}",
        control="an engine that ends with 1 is started again",
    )

    assert _started(host) == 1
    assert failure["is_final"] is True
    assert failure["hint"].startswith("It is not started again.")


def test_t13_the_control_is_tried_again(host):
    """The control of T13: an exit code of 1 is not permanent."""
    (host.folder / "fake" / "exits").write_text("1")
    _spawn(host)
    wait_until(lambda: _started(host) == 2, 30, "a second start")
    host.wait_result("success")


def test_t14_storms_of_signals_stop_it_once(host, guarantee):
    """T14: a frozen engine goes on when it is let; a storm of SIGTERM is one stop."""
    tried = _times(200, 1000)
    _spawn(host)
    host.wait_result("success")
    (engine,) = _engines(host)
    os.kill(engine, signal.SIGSTOP)
    silent = host.health()["result"]
    os.kill(engine, signal.SIGCONT)
    well = host.wait_result("success")["result"]
    assert host.process is not None
    for _ in range(tried):
        if host.process.poll() is None:
            host.process.send_signal(signal.SIGTERM)
    code = host.process.wait(60)
    left = _engines(host)
    guarantee(
        "T14",
        "Frozen processes and storms of signals cause no restart and lose no stop",
        tried=tried,
        violations=int(_started(host) != 1) + int(code != 0) + len(left),
        unit="signals",
        control="while it was frozen, health was no success",
    )

    assert silent != "success"
    assert well == "success"
    assert code == 0
    assert left == []
    assert _started(host) == 1


def _spawn(host) -> None:
    with (host.folder / "run.log").open("a") as log:
        host.process = subprocess.Popen(
            [*host.program, "run", "--port", str(host.port)],
            env=host.environment,
            stdout=log,
            stderr=log,
            text=True,
        )


def _failure(host):
    file = host.main / "run" / "last-failure.json"
    return json.loads(file.read_text()) if file.exists() else None


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
