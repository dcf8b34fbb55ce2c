"""``vllm-pkg switch``: what it says, and what can be cancelled."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.settings_factory import make_settings
from support.switching import NEW, OLD, OTHER, prepare_store
from vllm_pkg.cli import switch
from vllm_pkg.cli.main import main
from vllm_pkg.clock import BootClock
from vllm_pkg.health.checker import check_api
from vllm_pkg.health.probe import observe
from vllm_pkg.state.records import FailureRecord
from vllm_pkg.state.switch import Switches, SwitchPhase, Waiting
from vllm_pkg.state.switch_file import load_switches, request_switch, update_switches

PREPARING = "Preparing the switch to org/new, while org/old serves.\n"
AT = "2026-01-01T00:00:00+00:00"


@pytest.fixture(name="settings")
def settings_fixture(tmp_path, monkeypatch):
    """The old model is selected, and the command line works on these volumes."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)
    monkeypatch.setenv("VLLM_PKG_MAIN", str(settings.main))
    monkeypatch.setenv("VLLM_PKG_PUBLIC", str(settings.public))
    return settings


def test_without_a_switch(settings, capsys):
    """There is nothing to show and nothing to cancel."""
    assert settings.main.exists()
    assert main(["switch", "status"]) == 0
    assert main(["switch", "status", "--json"]) == 0
    assert main(["switch", "cancel"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("There was no switch yet.\n")
    assert json.loads(out.partition("\n")[2]) == {"current": None, "waiting": None}
    assert err == (
        "error: there is no switch that can be cancelled; see vllm-pkg switch status\n"
    )


def test_a_switch_is_shown_and_cancelled(settings, capsys):
    """A preparation is shown with what follows, and ends when it is cancelled."""
    request_switch(settings, NEW)
    waiting = Waiting("w", OTHER, AT)
    update_switches(settings, lambda found: replace(found, waiting=waiting))

    assert main(["switch", "status"]) == 0
    assert capsys.readouterr().out == (
        f"{PREPARING}Then follows the switch to org/other.\n"
    )
    assert main(["switch", "cancel"]) == 0
    text = "The switch to org/new was ended: It was cancelled."
    assert capsys.readouterr().out == f"{text}\n"
    assert load_switches(settings).waiting is None
    assert main(["switch", "cancel", "--json"]) == 2


def test_only_news_are_told_by_the_status(settings):
    """A switch that is under way is told; one that is done is not."""
    assert switch.news(switch.collect(settings)) == []
    request_switch(settings, NEW)
    assert switch.news(switch.collect(settings)) == [PREPARING.rstrip()]
    _set_phase(settings, SwitchPhase.DONE)
    assert switch.news(switch.collect(settings)) == []


def test_run_prints_each_phase_once(settings, capsys):
    """What was before is no news; each phase is printed when it comes."""
    request_switch(settings, OTHER)
    _set_phase(settings, SwitchPhase.DONE)
    printer = switch.SwitchPrinter(settings)
    printer(1.0)
    assert capsys.readouterr().out == ""

    request_switch(settings, NEW)
    for elapsed_s in (2.0, 3.0, 40.0):
        printer(elapsed_s)
    assert capsys.readouterr().out == f"[   2 s] switch: {PREPARING}"

    settings.switch_file.write_text("{")
    printer(41.0)
    settings.switch_file.unlink()
    printer(42.0)
    assert capsys.readouterr().out == ""


def test_health_says_why_another_model_is_not_served(settings):
    """Where what came back fails too, the failure tells of the switch before it."""
    clock = BootClock()
    request_switch(settings, NEW)
    _set_phase(settings, SwitchPhase.RETURNED, reason="Why.")
    assert observe(settings, clock).switch_note is None

    _set_phase(settings, SwitchPhase.RETURNED, reason="Why.", return_reason="Also.")
    note = "The switch to org/new was taken back: Why."
    seen = observe(settings, clock)
    assert seen.switch_note == note
    failure = FailureRecord("", 1.0, "b", "It ended.", "Do this.", 1, True, 1)  # noqa: FBT003
    failed = replace(seen, is_host_running=True, failure=failure)
    assert check_api(failed).message == f"It ended. Do this. {note}"

    settings.switch_file.write_text("{")
    assert observe(settings, clock).switch_note is None


def _set_phase(settings, phase, **changes):
    def change(found):
        return Switches(replace(found.current, phase=phase, **changes))

    update_switches(settings, change)
