"""Set Model's answer about the fit comes in time, whatever the Hub does."""

from __future__ import annotations

import threading

import pytest

from support.settings_factory import make_settings
from support.sizing_cases import cpu_hardware
from vllm_pkg.actions.fit_answer import assess_in_time
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.errors import InvalidArgument
from vllm_pkg.models.sizing.assess import Assessment
from vllm_pkg.models.sizing.verdict import Verdict
from vllm_pkg.state.switch import Selected

TARGET = Selected(("org/name",), ())


@pytest.fixture(name="ask")
def ask_fixture(tmp_path):
    """A function that asks with some way to find the answer."""

    def ask(assess, limit_s=20.0):
        context = ActionContext(
            make_settings(tmp_path),
            is_running=False,
            probe=lambda _: cpu_hardware(),
            assess=assess,
        )
        return assess_in_time(context, TARGET, limit_s)

    return ask


def test_the_answer_is_passed_on(ask):
    """What was found out about these arguments is the answer."""
    asked = []

    def assess(_settings, hardware, serve_args, serve_env):
        asked.append((hardware, serve_args, serve_env))
        return Assessment("org/name", Verdict.RUNS)

    assert ask(assess).verdict is Verdict.RUNS
    assert asked == [(cpu_hardware(), TARGET.serve_args, TARGET.serve_env)]


def test_a_hub_that_takes_its_time_makes_it_unknown(ask):
    """The action does not wait longer than a person would."""
    is_over = threading.Event()

    def assess(*_):
        is_over.wait(30)
        return Assessment("org/name", Verdict.RUNS)

    found = ask(assess, limit_s=0.05)
    is_over.set()

    assert found.verdict is Verdict.UNKNOWN
    assert found.reason == "the Hub has not answered within 0 s"


def test_what_the_estimate_cannot_read_makes_it_unknown(ask):
    """An option that vLLM may understand is not refused by the estimate."""

    def assess(*_):
        raise InvalidArgument("--x is no number", hint="give one")

    found = ask(assess)

    assert found.verdict is Verdict.UNKNOWN
    assert (found.reason, found.hint) == ("--x is no number", "give one")
