"""
Downloads that fail under the whole host: what is tried again, and what mends it.

supervisord, keeper, daemon and huggingface_hub are real; the Hub is a server on
loopback, and the engine is the fake of `support.fake_vllm`.
"""

from __future__ import annotations

import contextlib
import json

import pytest

from support import hub_faults
from support.downloads import write_model
from support.fake_host import make_fake_host
from support.hub_server import HubServer
from support.mended_starts import failing_variables
from support.small_disk import small_disk
from support.waiting import wait_until
from vllm_pkg.engine.exit_report import START_MARK

pytestmark = pytest.mark.timeout(120)
TINY = "org/tiny"
GATED = "org/gated"
TIMEOUT_S = 40.0


@pytest.fixture(name="hub")
def hub_fixture(tmp_path):
    """A Hub with the tiny model, open and gated."""
    with HubServer() as hub:
        folder = write_model(tmp_path / "served")
        hub.add(TINY, folder)
        hub.add(GATED, folder, is_gated=True)
        yield hub


@pytest.fixture(name="host")
def host_fixture(tmp_path, hub):
    """A service that fetches from that Hub, not started yet."""
    host = make_fake_host(tmp_path / "host")
    # A token of whoever runs the tests is none of theirs.
    home = str(tmp_path / "hf")
    host.variables = {"HF_HUB_OFFLINE": "", "HF_TOKEN": "", "HF_HOME": home}
    host.variables["HF_ENDPOINT"] = hub.url
    yield host
    host.close()
    host.destroy()


def select(host, *arguments):
    """Select a model."""
    host.main.mkdir(exist_ok=True)
    store = {"serveArgs": list(arguments)}
    (host.main / "store.json").write_text(json.dumps(store))


def wait_failure(host, *, is_final, starts=1):
    """Wait until the keeper has written a failure down, and return it."""

    def written():
        failure = host.failure() or {}
        return failure if failure.get("hint", "").startswith(told) else None

    told = "It is not started again." if is_final else "It is started again in"
    failure = wait_until(written, TIMEOUT_S, told)
    assert (failure["is_final"], failure["starts"]) == (is_final, starts)
    return failure


def tries(host):
    """Return how often the daemon was started."""
    log = host.main / "logs" / "engine.log"
    return log.read_text(errors="replace").count(START_MARK)


def test_the_daemons_own_words_are_kept(host):
    """The keeper adds what it does next to the daemon's cause, and tries no more."""
    select(host, GATED)
    host.start()

    failure = wait_failure(host, is_final=True)

    assert failure["cause"] == "model-gated"
    assert failure["summary"] == (
        f"The engine could not be started: {GATED} is gated, and no Hugging Face token"
        " is set."
    )
    assert failure["fix"] == (
        f"Log in at the Hub, accept the licence on the page of {GATED}, then set a"
        ' token of that account with the "Hugging Face Token" action.'
    )
    assert failure["hint"] == f"It is not started again. {failure['fix']}"
    assert failure["exit_code"] == 77
    assert any(GATED in line for line in failure["log_tail"])
    assert host.wait_result("failure")["message"] == (
        f"{failure['summary']} {failure['hint']}"
    )
    assert tries(host) == 1


def test_a_full_disk_is_told_once(host):
    """No later start would have more room: one start, its cause, and no other."""
    with small_disk(host.main, "2m"), contextlib.closing(host):
        select(host, TINY)
        host.start()
        failure = wait_failure(host, is_final=True)
        health = host.wait_result("failure")
        found = tries(host)

    assert (failure["exit_code"], failure["cause"]) == (73, "disk-full")
    assert failure["fix"] == (
        "Free some disk space, or use a larger disk; no other model is cached."
    )
    assert failure["summary"] in health["message"]
    assert found == 1


def test_a_wrong_revision_is_mended_in_one_click(host):
    """From the failed start through Apply Fix to an engine that serves."""
    select(host, TINY, "--revision", "v9", "--enforce-eager")
    host.start()
    failure = wait_failure(host, is_final=True)
    offers = {item["id"]: item for item in host.json("action", "list", "--json")}

    assert failure["cause"] == "revision-not-found"
    assert offers["apply-fix"]["visibility"] == "enabled"
    assert "remove --revision" in offers["apply-fix"]["description"]

    host.json("action", "run", "apply-fix", "--json")
    host.wait_result("success")

    (start,) = host.fake.starts()
    assert "--revision" not in start["argv"]
    assert "--enforce-eager" in start["argv"]


@pytest.mark.parametrize(
    ("cause", "arguments", "cure"),
    [
        (
            "context-exceeds-model",
            ("--max-model-len", "9999"),
            "--max-model-len 2048",
        ),
        (
            "heads-not-divisible",
            ("-tp", "3", "--enforce-eager"),
            "--enforce-eager --tensor-parallel-size 2",
        ),
    ],
)
def test_an_engine_that_failed_is_mended_in_one_click(
    host, tmp_path, cause, arguments, cure
):
    """What vLLM said in a recorded start leads to a change with which it serves."""
    host.variables |= failing_variables(tmp_path, cause, cure)
    select(host, TINY, *arguments)
    host.start()
    failure = wait_failure(host, is_final=True)

    result = host.json("action", "run", "apply-fix", "--json")
    host.wait_result("success")

    assert failure["cause"] == cause
    assert result["title"] == "Fix Applied"
    first, second = (" ".join(start["argv"]) for start in host.fake.starts())
    assert cure not in first
    assert cure in second
    assert host.failure() is None


def test_a_hub_that_is_ill_is_waited_for(host, hub):
    """The control: what passes is tried again by itself, until the Hub is well."""
    hub.fail(TINY, hub_faults.API, hub_faults.status(503, Retry_After="3600"))
    select(host, TINY)
    host.start()

    failure = wait_failure(host, is_final=False)
    hub.fail(TINY, hub_faults.API)
    host.wait_result("success")

    assert failure["cause"] == "hub-unreachable"
    assert failure["exit_code"] == 75
    assert tries(host) >= 2
