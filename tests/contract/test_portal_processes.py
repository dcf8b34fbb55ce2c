"""Steering the programs of a real host, by the service and through the portal."""

from __future__ import annotations

import pytest

from support.portal_api import PortalApi
from support.waiting import wait_until
from vllm_pkg.errors import NotFound, NotPermitted
from vllm_pkg.health.checker import STOPPED
from vllm_pkg.service import processes
from vllm_pkg.service.processes import Verb
from vllm_pkg.settings import load_settings

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(name="served")
def served_fixture(host):
    """A host whose engine answers, and its settings."""
    host.start()
    host.wait_result("success")
    return host, load_settings(host.environment)


def _program(settings, name):
    return next(one for one in processes.list_programs(settings) if one.name == name)


def test_an_engine_that_was_stopped_stays_so_until_it_is_started(served):
    """The keeper does not bring it back, and health says what somebody did."""
    host, settings = served
    before = _program(settings, "engine")
    stopped = processes.steer(settings, "engine", Verb.STOP)
    again = processes.steer(settings, "engine", Verb.STOP)
    health = host.wait_result("disabled")
    started = processes.steer(settings, "engine", Verb.START)
    host.wait_result("success")
    restarted = processes.steer(settings, "engine", Verb.RESTART)
    host.wait_result("success")
    pids = [one.pid for one in (before, started, restarted)]

    assert (stopped.state, again.state) == ("stopped", "stopped")
    assert health["message"] == STOPPED
    assert None not in pids
    assert len(set(pids)) == 3
    assert len(host.fake.starts()) == 3


def test_the_others_are_steered_or_protected(served):
    """The fetcher comes back as another process; the keeper cannot be touched."""
    _, settings = served
    before = _program(settings, "fetcher")
    after = processes.steer(settings, "fetcher", Verb.RESTART)

    assert after.state in {"starting", "running"}
    assert after.pid != before.pid
    for verb in Verb:
        with pytest.raises(NotPermitted, match="keeper"):
            processes.steer(settings, "keeper", verb)
    with pytest.raises(NotFound):
        processes.steer(settings, "nothing", Verb.STOP)


def test_the_portal_shows_and_steers_them(served):
    """What is protected is refused with 403 and its reason."""
    host, _ = served
    with PortalApi(host.folder) as portal:
        _, programs = portal.api("GET", "/processes")
        refused, error = portal.api("POST", "/processes/keeper/stop")
        stopped, engine = portal.api("POST", "/processes/engine/stop")
        healthy, _ = portal.ask("GET", "/healthz")
        portal.api("POST", "/processes/engine/start")
        wait_until(lambda: portal.ask("GET", "/healthz")[0] == 200, 100, "a ready API")

    assert {one["name"] for one in programs} >= {"engine", "fetcher", "keeper"}
    assert refused == 403
    assert error["error"]["code"] == "not-permitted"
    assert "keeper watches the engine" in error["error"]["message"]
    assert (stopped, engine["state"]) == (200, "stopped")
    assert healthy in {200, 503}
