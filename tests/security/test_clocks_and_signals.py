"""
T14: clocks that jump, signals that come in storms or get lost, processes that freeze.

Over a whole host with a fake engine. VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import vllm_pkg
from support.clock_rules import find_wall_clocks
from support.guarantees.plugin import is_long
from support.jumping_clock import DAY_S, MUTANT, make_jumping_clock
from support.waiting import wait_until
from vllm_pkg.state.identity import started_ticks

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

PACKAGE = Path(vllm_pkg.__file__).parent
JUMPS_S = (DAY_S, -DAY_S, 0, 400 * DAY_S)
# An engine that still loads, looked at as `vllm-pkg health` does.
LOADING = """\
import os
from vllm_pkg.clock import BootClock
from vllm_pkg.health.probe import check_health
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.settings import load_settings
from vllm_pkg.state import records
settings = load_settings(os.environ)
host = records.HostRecord(own_identity(), "127.0.0.1", 1, "/s")
records.write_record(settings.host_file, host)
start = records.StartRecord(own_identity(), BootClock().now_s(), "127.0.0.1", 1, "x")
records.write_record(settings.start_file, start)
with open(os.environ["JUMPING_CLOCK_FILE"], "w") as stream:
    stream.write(os.environ["JUMP"])
print(check_health(settings).result)
"""
WALL_CLOCK = "import time; print(int(time.time()))"


def _times(quick: int, long: int) -> int:
    return long if is_long() else quick


@pytest.fixture(name="clock")
def clock_fixture(tmp_path):
    """A wall clock to move."""
    return make_jumping_clock(tmp_path / "clock")


def _python(script, variables) -> str:
    return subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_t14_jumps_of_the_wall_clock_change_nothing(host, clock, guarantee):
    """T14: a day forth or back is no stall, no timeout, no restart and no lost stop."""
    tried = _times(8, 400)
    host.variables.update(clock.variables)
    host.spawn()
    host.wait_result("success")
    wrong = []
    for number in range(tried):
        clock.jump(JUMPS_S[number % len(JUMPS_S)])
        result = host.health()["result"]
        if result != "success":
            wrong.append(result)
    before_the_crash = host.starts()
    (engine,) = host.engines()
    os.kill(engine, signal.SIGKILL)
    clock.jump(-DAY_S)
    wait_until(lambda: host.starts() == 2, 20, "a new start after a crash")
    host.wait_result("success")
    clock.jump(DAY_S)
    host.process.send_signal(signal.SIGTERM)
    code = host.process.wait(60)
    seen = int(_python(WALL_CLOCK, clock.variables)) - int(_python(WALL_CLOCK, {}))
    guarantee(
        "T14",
        "Jumps of the wall clock cause no restart, no failure and lose no stop",
        tried=tried + 2,
        violations=len(wrong)
        + int(before_the_crash != 1)
        + int(host.starts() != 2)
        + int(code != 0)
        + len(host.engines()),
        unit="jumps of a day and more",
        control="a program of the host sees the jump; with a boot clock that jumps too,"
        " a load is called a failure",
    )

    assert wrong == []
    assert before_the_crash == 1
    assert host.starts() == 2
    assert code == 0
    assert host.engines() == []
    assert DAY_S - 60 < seen < DAY_S + 60


@pytest.mark.parametrize(
    ("jump_s", "variables", "result"),
    [
        (DAY_S, {}, "loading"),
        (-DAY_S, {}, "loading"),
        (DAY_S, {MUTANT: "1"}, "failure"),
    ],
    ids=["forth", "back", "control"],
)
def test_t14_a_load_is_not_timed_out_by_a_jump(host, clock, jump_s, variables, result):
    """T14: the 35 minutes of a load are counted by a clock that does not jump."""
    variables = host.environment | clock.variables | variables

    assert _python(LOADING, variables | {"JUMP": str(jump_s)}) == result


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_t14_storms_of_signals_stop_it_once(host, guarantee, number):
    """T14: a storm of signals is one stop, and the first of them is heard."""
    tried = _times(200, 1000)
    host.spawn()
    host.wait_result("success")
    for _ in range(tried):
        if host.process.poll() is None:
            host.process.send_signal(number)
    code = host.process.wait(60)
    left = host.engines()
    guarantee(
        "T14",
        "A storm of signals is one stop: nothing is restarted, and nothing is left",
        tried=tried,
        violations=int(host.starts() != 1) + int(code != 0) + len(left),
        unit=f"signals, {number.name}",
        control="before the storm the service was ready",
    )

    assert code == 0
    assert left == []
    assert host.starts() == 1


def test_t14_frozen_and_lost(host, guarantee):
    """
    T14: what is frozen restarts nothing; ends that nobody was told of are noticed.

    Two children end while their parent is frozen: of two SIGCHLD one is lost, as a
    signal that is pending already is not queued.
    """
    host.program = ("nohup", *host.program)
    host.spawn()
    host.wait_result("success")
    record = json.loads((host.main / "run" / "host.json").read_text())
    foreground = record["process"]["pid"]
    (supervisor,) = psutil.Process(foreground).children()
    (engine,) = host.engines()
    os.kill(engine, signal.SIGSTOP)
    silent = host.health()["result"]
    os.kill(engine, signal.SIGCONT)
    for _ in range(_times(200, 1000)):
        os.kill(foreground, signal.SIGHUP)
    keeper = wait_until(lambda: _keeper(supervisor), 10, "the keeper")
    for pid in (foreground, supervisor.pid, keeper):
        os.kill(pid, signal.SIGSTOP)
        answer = host.health()["result"]
        os.kill(pid, signal.SIGCONT)
        assert answer == "success"
    starts_while_frozen = host.starts()
    ended = [keeper, *host.engines()]
    ticks = {pid: started_ticks(pid) for pid in ended}
    supervisor.suspend()
    for pid in ended:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(started_ticks, ended)), 10, "their end")
    supervisor.resume()
    # supervisord starts its listener again, which has to see to the engine then.
    wait_until(lambda: _keeper(supervisor) not in {None, keeper}, 30, "a new keeper")
    wait_until(lambda: _is_noticed(host), 60, "the end of the engine to be noticed")
    starts = host.starts()
    host.process.send_signal(signal.SIGTERM)
    code = host.process.wait(60)
    guarantee(
        "T14",
        "Frozen processes cause no restart, an ignored SIGHUP no end, and no end of"
        " others is overlooked when SIGCHLD is lost",
        tried=6,
        violations=int(starts_while_frozen != 1) + int(starts > 2) + int(code != 0),
        unit="processes frozen or ended unheard",
        control="while the engine was frozen, health was no success; both others had"
        " ended before their parent could hear of it",
    )

    assert silent != "success"
    assert None not in ticks.values()
    assert starts_while_frozen == 1
    assert starts <= 2
    assert code == 0
    assert host.engines() == []


def _keeper(supervisor: psutil.Process) -> int | None:
    for child in supervisor.children():
        # One that has ended has no command line, and no number that counts.
        with contextlib.suppress(psutil.Error):
            if child.cmdline()[-1].endswith("keeper"):
                return child.pid
    return None


def _is_noticed(host) -> bool:
    return bool(host.health()["result"] == "success" and host.starts() == 2)


# Where the wall clock is the right one.
ALLOWED = {
    # When a key expires, which people write as a date.
    "engine/guard/middleware.py",
    # Sessions go on over a boot, which no other clock does; set back it adds nothing
    # to one that has been seen, and within a boot it does not count.
    "portal/access/sessions.py",
    # How old a file is that another machine may have made: files have no other clock.
    "state/atomic.py",
}


def test_t14_no_duration_is_measured_by_the_wall_clock(guarantee):
    """T14: in no module but the three named is there a way to do it."""
    files = sorted(PACKAGE.rglob("*.py"))
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in files
        if find_wall_clocks(path.read_text())
    }
    guarantee(
        "T14",
        "No module measures a duration by a clock that people and NTP set",
        tried=len(files),
        violations=len(found - ALLOWED),
        unit="modules",
        control="each way to do it is found",
    )

    assert found == ALLOWED


@pytest.mark.parametrize(
    "code",
    [
        *("now = time.time()", "clock = time.time", "time.time_ns()"),
        *("from time import time", "time.clock_gettime(time.CLOCK_REALTIME)"),
        *("datetime.now(UTC) - began", "began < datetime.now(UTC)"),
        *("keys.now_utc() - began", "age = datetime.utcnow() - x"),
    ],
)
def test_the_rule_about_clocks_finds_what_it_forbids(code):
    """Each way to take the wall clock for a duration is found."""
    assert find_wall_clocks(f"x = 1\n{code}\n") == [2]


@pytest.mark.parametrize(
    "code",
    ["datetime.now(UTC).isoformat()", "time.monotonic() - x", "x = datetime.now(UTC)"],
)
def test_the_rule_about_clocks_leaves_the_rest_alone(code):
    """Dates for people and clocks that do not jump are no violations."""
    assert find_wall_clocks(code) == []
