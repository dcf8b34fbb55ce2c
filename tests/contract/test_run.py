"""The standalone host as a real process, with a real supervisord and a fake engine."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import signal
import socket
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from support.foreground_host import RUNNING
from support.service import free_port
from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.errors import NotAllowedInState
from vllm_pkg.hosts.standalone import run as run_module
from vllm_pkg.hosts.standalone.run import HostEvents, run_host
from vllm_pkg.state import locks, records
from vllm_pkg.state.identity import started_ticks

HEEDED = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
NOBODY = HostEvents(on_started=lambda: None, on_health=lambda *_: None)
# Waits for signals that come at any moment of a wait, two hundred times in a row.
HAMMERED = """\
import random, signal
from types import SimpleNamespace
from vllm_pkg.health.checker import HealthResult, Result
from vllm_pkg.hosts.standalone import run
run.POLL_S = 0
run.check_health = lambda _: HealthResult(Result.SUCCESS, "ready")
run.note_health = lambda *_: None
supervisor = SimpleNamespace(poll=lambda: None)
events = run.HostEvents(lambda: None, lambda *_: None)
run._SIGNALS = (signal.SIGALRM,)
for _ in range(200):
    with run._received_signals() as received:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.01))
        run._watch(None, supervisor, received, events)
print("done")
"""


def test_each_signal_ends_everything(make_host):
    """Each signal ends it with 0, ready or idle: no process and no record is left."""
    ready = {number: make_host("org/name") for number in HEEDED}
    idle = {number: make_host() for number in HEEDED}
    for host in (*ready.values(), *idle.values()):
        host.start("--no-default")
    for number, host in ready.items():
        host.wait_shown("success: The vLLM API is ready")
        host.wait_processes(*RUNNING["serve"])
        assert len(list(host.temporary.iterdir())) == 1
        host.send(number)
    for number, host in idle.items():
        host.wait_shown("disabled: No model selected.")
        host.wait_processes(*RUNNING["daemon"])
        host.send(number)

    for host in (*ready.values(), *idle.values()):
        assert host.wait_end() == 0
        assert host.log.endswith("Stopped; no process is left.\n")
        host.assert_clean()


def test_early_signal_leaves_nothing(make_host):
    """SIGTERM at any moment of eight starts ends it and leaves no process."""
    hosts = [make_host("org/name") for _ in range(8)]
    chance = random.Random(6)  # noqa: S311  # moments, no secrets
    for number, host in enumerate(hosts):
        host.spawn()
        # Two moments do not depend on how fast the machine is: at once, and when the
        # host has begun.
        if number == 0:
            host.wait_shown("  Status  ")
        elif number > 1:
            with pytest.raises(subprocess.TimeoutExpired):
                host.process.wait(chance.uniform(0.05, 1.8))
        host.send(signal.SIGTERM)

    codes = {host.wait_end() for host in hosts}

    assert codes == {0, -signal.SIGTERM}
    assert [host.processes() for host in hosts] == [{}] * 8


def test_signal_never_meets_a_lock():
    """
    A signal that comes at any moment of the waiting ends it.

    With a threading.Event in the queue's place a third of such signals hang.
    """
    done = subprocess.run(
        [sys.executable, "-c", HAMMERED],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stdout == "done\n", done.stderr


def test_other_commands_work_meanwhile(host):
    """While it runs, key and status answer and a second run is refused."""
    host.select("org/name", "--served-model-name", "short")
    host.start()
    host.wait_shown("success: The vLLM API is ready")
    assert host.process is not None

    key = host.command("key", "show").stdout.strip()
    status = host.json("status", "--json")
    second = host.command("run", "--port", str(free_port()))

    assert key == host.key()
    assert host.fake.starts()[0]["env"]["VLLM_API_KEY"] == key
    assert status["isRunning"] is True
    assert status["health"]["result"] == "success"
    assert status["api"] == {"baseUrl": host.base_url}
    assert second.returncode == 2
    assert second.stderr == (
        f"error: the service runs already (process {host.process.pid}, port"
        f" {host.port}); see vllm-pkg status, or stop it with Ctrl-C where it was"
        " started\n"
    )
    assert len(host.fake.starts()) == 1


def test_a_main_process_by_hand_is_refused(host):
    """A daemon that a person starts does not end the engine that the host serves."""
    host.select("org/name")
    host.start()
    host.wait_shown("success: The vLLM API is ready")
    before = host.wait_processes(*RUNNING["serve"])

    done = host.command("daemon")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the service runs already (process ")
    assert host.processes() == before
    assert len(host.fake.starts()) == 1


def test_two_at_once_are_refused(tmp_path):
    """While another process is starting the service, a second one gives up."""
    settings = make_settings(tmp_path)

    with (
        locks.locked(settings.host_lock_file),
        pytest.raises(NotAllowedInState) as caught,
    ):
        run_host(settings, NOBODY)

    assert caught.value.message == "the service is being started by another process"
    assert not settings.host_file.exists()


def test_of_two_started_together_one_runs(make_host):
    """Of two that start in the same moment one serves, and one says why not."""
    host = make_host()
    both = [
        subprocess.Popen(
            [*host.program, "run", "--no-default", "--port", str(port)],
            env=host.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for port in (host.port, free_port())
    ]
    loser = wait_until(
        lambda: next((one for one in both if one.poll() is not None), None), 20, "one"
    )
    winner = both[1 - both.index(loser)]
    host.wait_processes(*RUNNING["daemon"])

    error = loser.communicate()[1]
    winner.send_signal(signal.SIGINT)
    winner.communicate(timeout=20)

    assert loser.returncode == 2
    assert error.startswith("error: the service ")
    assert winner.returncode == 0


def test_killed_host_takes_everything_with_it(make_host):
    """After kill -9 of the host the rest ends by itself, and it starts again."""
    hosts = {"serve": make_host("org/name"), "daemon": make_host()}
    for host in hosts.values():
        host.start("--no-default")
    for role, host in hosts.items():
        host.wait_processes(*RUNNING[role])
        assert host.end(signal.SIGKILL) == -signal.SIGKILL
    for host in hosts.values():
        host.wait_none()
        host.start("--no-default")
    for role, host in hosts.items():
        host.wait_processes(*RUNNING[role])
        host.send(signal.SIGINT)

    for host in hosts.values():
        assert host.wait_end() == 0
        assert host.processes() == {}


def test_engine_left_on_the_port_is_ended_by_the_next_run(host):
    """Host and supervisor killed together leave an engine; the next start ends it."""
    host.start()
    host.wait_shown("success: The vLLM API is ready")
    running = host.wait_processes(*RUNNING["serve"])
    # The supervisor is stopped first, so that it cannot hear that the host ended.
    running["supervisord"].suspend()
    running["run"].kill()
    running["supervisord"].kill()
    host.wait_end()
    left = host.wait_processes("recorder", "serve")["serve"]
    (host.folder / "run.log").unlink()

    host.start()
    host.wait_shown("success: The vLLM API is ready")

    assert started_ticks(left.pid) is None
    assert len(host.fake.starts()) == 2
    assert host.end(signal.SIGTERM) == 0


def test_killed_supervisor_is_told_and_leaves_nothing(make_host):
    """Without its supervisor the host ends with an error, and with no process."""
    hosts = {"serve": make_host("org/name"), "daemon": make_host()}
    for host in hosts.values():
        host.start("--no-default")
    for role, host in hosts.items():
        running = host.wait_processes(*RUNNING[role])
        running["supervisord"].kill()

    for host in hosts.values():
        assert host.wait_end() == 70
        assert host.log.splitlines()[-1] == (
            "error: the process supervisor ended with -9;"
            f" see {host.main}/logs/host.log"
        )
        host.assert_clean()


def test_crash_is_shown_and_the_engine_comes_back(host):
    """A crash is shown with its cause; a second later the engine is started again."""
    host.fake.set_exits(1)

    host.start()
    host.wait_shown("success: The vLLM API is ready")

    lines = host.log.splitlines()
    # While it loads again, that is told too.
    shown = [line for line in lines if "failure: The" in line and "FakeError" in line]
    assert len(shown) == 1
    assert shown[0].endswith(
        "failure: The engine ended with exit code 1: FakeError: told to end with 1."
        " It is started again in 1 s. See the service logs for the rest."
    )
    assert len(host.fake.starts()) == 2


def test_permanent_failure_is_shown_once(host):
    """Exit code 3 is told once and the engine is not started again."""
    host.fake.set_exits(3)

    host.start()
    host.wait_shown("It is not started again.")
    failure = wait_until(
        lambda: records.read_failure(make_settings(host.folder)), 10, "the record"
    )
    code = host.end(signal.SIGINT)

    assert failure.is_final
    assert code == 0
    assert host.log.count("exit code 3: FakeError: told to end with 3.") == 1
    assert len(host.fake.starts()) == 1


def test_engine_is_restarted_although_nothing_can_be_recorded(host):
    """A crash whose record cannot be written, as on a full disk, is restarted too."""
    host.start()
    host.wait_shown("success: The vLLM API is ready")
    failure_file = host.main / "run" / "last-failure.json"
    failure_file.mkdir()

    host.wait_processes(*RUNNING["serve"])["serve"].kill()
    wait_until(lambda: len(host.fake.starts()) == 2, 20, "the second start")

    log = (host.main / "logs" / "host.log").read_text()
    assert "It is started again in 1 s." in log
    assert f"cannot write {failure_file}: Is a directory" in log
    assert host.end(signal.SIGTERM) == 0


def test_nohup_outlives_the_terminal(make_host):
    """Where SIGHUP is ignored for it, the service leaves it so."""
    host = make_host()
    host.program = ("nohup", *host.program)
    host.start("--no-default")
    host.wait_shown("disabled: No model selected.")
    running = host.processes()["run"]

    running.send_signal(signal.SIGHUP)

    status = Path(f"/proc/{running.pid}/status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigIgn"))
    assert int(mask.split()[1], 16) & 1 << (signal.SIGHUP - 1)
    assert host.json("status", "--json")["isRunning"] is True
    assert host.end(signal.SIGTERM) == 0


def test_closed_terminal_ends_everything(host):
    """When its terminal is closed, nothing can be shown any more and all ends."""
    master, slave = pty.openpty()
    host.process = subprocess.Popen(
        [*host.program, "run", "--port", str(host.port)],
        env=host.environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY),  # noqa: PLW1509
    )
    os.close(slave)
    host.wait_processes(*RUNNING["serve"])

    os.close(master)

    host.wait_end()
    host.assert_clean()


def test_port_of_a_stranger_is_refused(make_host):
    """A port that belongs to nobody of ours is refused, and nothing is changed."""
    host = make_host()
    with socket.create_server(("127.0.0.1", host.port)):
        done = host.command("run", "--port", str(host.port))

    assert done.returncode == 75
    assert done.stderr == (
        f"error: port {host.port} on 127.0.0.1 is in use by another program;"
        " stop that program, or choose another port: --port\n"
    )
    assert not host.main.exists()


def test_damaged_store_is_shown(tmp_path):
    """State that is damaged while it runs is a failure on the screen, and no end."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    settings.store_file.write_text("{")

    health = run_module._health(settings)

    assert health.result == "failure"
    assert "store.json is damaged" in health.message
