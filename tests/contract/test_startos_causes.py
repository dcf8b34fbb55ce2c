"""
Starts that fail under StartOS, where nobody sees how the engine ended.

StartOS starts the daemon again by itself and asks for health; nothing else of ours runs
beside the engine. The daemon is real, and the engine is the fake of
`support.fake_vllm`, which says what a recorded vLLM has said.
"""

from __future__ import annotations

import json

import pytest

from support.daemons import Daemon
from support.fake_vllm import make_fake_vllm
from support.mended_starts import failing_variables
from support.waiting import wait_until
from vllm_pkg.health.checker import ENDED, LOADING
from vllm_pkg.state import records
from vllm_pkg.state.records import SettingChange

CAUSE = "context-exceeds-model"
CURE = "--max-model-len 2048"
CHANGE = SettingChange("--max-model-len", "2048")
SUMMARY = (
    "The engine ended. A context of 999999 tokens was asked for, and the model allows"
    " 2048 at most."
)
OFFER = 'The "Apply Fix" action can do it: set --max-model-len to 2048.'


@pytest.fixture(name="daemon")
def daemon_fixture(tmp_path):
    """A daemon under StartOS with a fake engine, not started yet."""
    daemon = Daemon(tmp_path, make_fake_vllm(tmp_path / "fake"))
    daemon.under_startos()
    daemon.select("org/tiny", "--max-model-len", "999999")
    yield daemon
    daemon.close()


@pytest.fixture(name="failing")
def failing_fixture(daemon, tmp_path):
    """The same, whose engine fails as vLLM did until its context is shorter."""
    daemon.variables |= failing_variables(tmp_path, CAUSE, CURE)
    return daemon


def failure(daemon):
    """Return the record of the last failure, or None."""
    return records.read_failure(daemon.settings)


def run_json(daemon, *arguments):
    """Return the JSON that a command prints."""
    return json.loads(daemon.run(*arguments, "--json")[1])


def wait_ready(daemon):
    """Wait until the recorder has seen that the engine answers."""

    def is_ready():
        start = records.read_start(daemon.settings)
        return start is not None and start.phase == "ready"

    wait_until(is_ready, 20, "readiness")


def restart(daemon):
    """Start the daemon as StartOS does, with an engine that only loads."""
    daemon.variables["FAKE_MODE"] = "hang"
    daemon.variables.pop("FAKE_LOG", None)
    seen = len(daemon.fake.starts())
    daemon.start()
    wait_until(lambda: len(daemon.fake.starts()) > seen, 20, "the engine")


def test_the_health_check_names_the_cause(failing):
    """Who asks between two starts is told what the log of the first one says."""
    failing.start().wait(30)
    code, message = failing.health()

    found = failure(failing)
    assert code == 1
    assert message.startswith(f"vLLM API: failure: {SUMMARY} ")
    assert OFFER in message
    assert found is not None
    assert (found.cause, found.changes, found.exit_code) == (CAUSE, (CHANGE,), None)
    assert "derived max_model_len" in (found.evidence or "")


def test_the_next_start_names_the_cause(failing):
    """Without a health check the daemon finds it; the mission's words come first."""
    failing.start().wait(30)
    failing.start().wait(30)
    found = failure(failing)
    restart(failing)

    again = failure(failing)
    code, message = failing.health()
    form = json.dumps(run_json(failing, "action", "input", "set-model")["spec"])
    status = run_json(failing, "status")
    assert (found.cause, found.starts) == (CAUSE, 1)
    assert (again.cause, again.starts) == (CAUSE, 2)
    assert code == 61
    assert message.startswith(f"vLLM API: loading: {LOADING} ")
    assert f"The start before this one failed: {SUMMARY} " in message
    assert message.rstrip().endswith(OFFER)
    assert f"The last start of the present model failed: {SUMMARY}" in form
    assert status["lastFailure"]["cause"] == CAUSE


def test_a_failed_start_is_mended_in_one_click(failing):
    """Apply Fix is offered with the exact change, and the next engine serves."""
    failing.start().wait(30)
    failing.health()
    offers = {item["id"]: item for item in run_json(failing, "action", "list")}
    done = run_json(failing, "action", "run", "apply-fix")
    failing.start()
    wait_ready(failing)

    assert "set --max-model-len to 2048" in offers["apply-fix"]["description"]
    assert done["title"] == "Fix Applied"
    assert CURE in " ".join(failing.fake.starts()[-1]["argv"])
    assert failure(failing) is None


def test_a_stop_is_no_failure(daemon):
    """The control: an engine that was ready and was ended leaves nothing to tell."""
    process = daemon.start()
    wait_ready(daemon)
    process.terminate()
    process.wait(20)
    code, message = daemon.health()
    restart(daemon)

    _, loading = daemon.health()
    assert (code, message) == (1, f"vLLM API: failure: {ENDED}\n")
    assert failure(daemon) is None
    assert "failed" not in loading


def test_another_selection_is_not_blamed(failing):
    """What failed is not told of a model that was selected since."""
    failing.start().wait(30)
    failing.select("org/other")
    restart(failing)

    _, message = failing.health()
    assert failure(failing) is None
    assert "failed" not in message


def test_the_daemons_own_words_are_not_replaced(daemon):
    """What kept the daemon from becoming an engine is told by its own record."""
    daemon.select("/missing/model")
    daemon.start().wait(30)
    daemon.start().wait(30)

    found = failure(daemon)
    assert found is not None
    assert (found.cause, found.exit_code) == ("model-folder-missing", 78)
