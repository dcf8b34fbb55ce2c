"""
T11: a host that is killed at any moment, and what is there when it is started again.

The engine is a fake, all else is real. VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import json
import random
import subprocess

import pytest

from support.guarantees.plugin import is_long
from support.hub_cache import write_cached_model
from support.waiting import wait_until
from vllm_pkg.clock import BootClock

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

OFFLINE = {"name": "HF_HUB_OFFLINE", "value": "1"}


def _times(quick: int, long: int) -> int:
    return long if is_long() else quick


def test_t11_a_killed_host_leaves_one_engine_at_most(host, guarantee):
    """T11: killed at any moment and started again, there is one engine, never two."""
    tried = _times(4, 200)
    moment = random.Random(11)  # noqa: S311  # the same moments each time
    most = 0
    clock = BootClock()
    for _ in range(tried):
        host.spawn()
        until_s = clock.now_s() + moment.uniform(0.2, 4.0)
        while clock.now_s() < until_s:
            most = max(most, len(host.engines()))
        assert host.process is not None
        host.process.kill()
        host.process.wait()
    host.spawn()
    health = host.wait_result("success")
    wait_until(lambda: len(host.engines()) == 1, 20, "just one engine")
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


def _kill_within(host, seconds):
    """Kill the host after a while; return the most engines seen at once until then."""
    clock = BootClock()
    until_s = clock.now_s() + seconds
    most = 0
    while clock.now_s() < until_s:
        most = max(most, len(host.engines()))
    host.process.kill()
    host.process.wait()
    return most


def _begin_set_model(host, name, *options):
    """Begin to run Set Model."""
    value = {"args": name, "env": [OFFLINE]}
    document = {"config": {"selection": "custom", "value": value}}
    arguments = ("action", "run", "set-model", "--input", json.dumps(document))
    return subprocess.Popen(
        [*host.program, *arguments, *options],
        env=host.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _settle(host):
    """Start the host, let it do what is left to do; return what is selected then."""
    host.spawn()
    host.wait_result("success")

    def is_over():
        current = host.json("switch", "status", "--json")["current"]
        return current is None or current["isOver"]

    wait_until(is_over, 120, "the end of a switch")
    host.wait_result("success")
    return host.selected()


def test_t11_what_was_acknowledged_outlives_a_kill(host, guarantee):
    """T11: killed in a stop or a Set Model, it serves the last acknowledged model."""
    tried = _times(3, 120)
    moment = random.Random(12)  # noqa: S311  # the same moments each time
    selected = _settle(host)
    most, acknowledged, wrong = 0, 0, []
    for number in range(tried):
        legal = {selected}
        if number % 3 == 0:
            host.process.terminate()
            most = max(most, _kill_within(host, moment.uniform(0.0, 2.0)))
        else:
            name = f"org/model-{number}"
            # A switch does not begin with what is missing offline.
            write_cached_model(host.main / "models", name)
            options = ("--no-prepare",) * (number % 3 - 1)
            action = _begin_set_model(host, name, *options)
            if number % 2 == 0:
                # However slow the machine: some are killed after the answer.
                action.wait(120)
                most = max(most, _kill_within(host, moment.uniform(0.0, 0.5)))
            else:
                most = max(most, _kill_within(host, moment.uniform(0.5, 6.0)))
            is_acknowledged = action.wait(120) == 0
            acknowledged += is_acknowledged
            legal = {name} if is_acknowledged else {selected, name}
        selected = _settle(host)
        engines = wait_until(host.engines, 10, "the engine")
        if selected not in legal or host.served() != selected or len(engines) != 1:
            wrong.append((number, selected, host.served(), legal, engines))
    guarantee(
        "T11",
        "A host that is killed while it stops or while a model is set serves the last"
        " acknowledged model when it is started again, with one engine",
        tried=tried,
        violations=len(wrong) + int(most > 1),
        unit=f"kills, {acknowledged} of them around a Set Model that was acknowledged",
        control="each acknowledged model was another than the one before",
    )

    assert wrong == []
    assert most <= 1
    assert acknowledged >= 1
