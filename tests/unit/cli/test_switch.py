"""``vllm-pkg switch``: what it says, and what can be cancelled."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from support.settings_factory import make_settings
from support.switching import NEW, OLD, OTHER, prepare_store
from vllm_pkg.cli import switch
from vllm_pkg.cli.main import main
from vllm_pkg.cli.status import progress_bars
from vllm_pkg.clock import BootClock
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.health.checker import check_api
from vllm_pkg.health.probe import check_all, observe
from vllm_pkg.service import switches
from vllm_pkg.settings import load_settings
from vllm_pkg.state.records import FailureRecord, HostRecord, write_record
from vllm_pkg.state.switch import Switches, SwitchPhase, Waiting
from vllm_pkg.state.switch_file import (
    SwitchProgress,
    load_switches,
    request_switch,
    update_switches,
    write_progress,
)

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
    assert switches.news(switches.collect(settings)) == []
    request_switch(settings, NEW)
    assert switches.news(switches.collect(settings)) == [PREPARING.rstrip()]
    _set_phase(settings, SwitchPhase.DONE)
    assert switches.news(switches.collect(settings)) == []


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


def test_health_tells_the_download_of_a_switch(settings, capsys):
    """It is a line of its own while the model is prepared, and no longer."""
    with_host(settings)
    assert _download() == "disabled"
    request_switch(settings, NEW)
    assert _download() == "disabled"
    _write_progress(settings, bytes_done=2**20)
    assert _download() == "loading"
    assert main(["health"]) != 0
    assert "Downloading org/new: 1 MiB of 4 MiB (25 %)" in capsys.readouterr().out

    _write_progress(settings, bytes_done=2**20, is_stalled=True)
    assert _download() == "failure"
    _write_progress(settings, updated_s=BootClock().now_s() + 1000)
    assert _download() == "disabled"
    _write_progress(settings, bytes_done=2**20)
    _set_phase(settings, SwitchPhase.PREPARED)
    assert _download() == "disabled"
    settings.switch_file.write_text("{")
    assert _download() == "disabled"


def test_a_switch_has_a_bar(settings, capsys):
    """One for its download, without a number while nobody knows how much it is."""
    request_switch(settings, NEW)
    assert _bars(capsys) == []
    _write_progress(settings, bytes_total=0)
    assert _bars(capsys) == [("Downloading the next model", None)]
    _write_progress(settings, bytes_done=2**20)
    assert _bars(capsys) == [("Downloading the next model", 25.0)]
    _set_phase(settings, SwitchPhase.PREPARED)
    assert _bars(capsys) == []


def with_host(settings):
    """Write down that the host runs; it is this process."""
    host = HostRecord(own_identity(), "127.0.0.1", 1, "/s")
    write_record(settings.host_file, host)


def _download():
    """Return the result of the check of the download."""
    return next(found.result for found in check_all(load_settings(os.environ))[1:])


def _bars(capsys):
    capsys.readouterr()
    assert main(["status", "--json"]) == 0
    return progress_bars(json.loads(capsys.readouterr().out))


def _write_progress(settings, **changes):
    """Write down how far the present switch is, as the fetcher does."""
    current = load_switches(settings).current
    assert current is not None
    told = SwitchProgress(
        id=current.id,
        repository="org/new",
        bytes_done=0,
        bytes_total=2**22,
        bytes_per_s=1e6,
        eta_s=None,
        is_stalled=False,
        updated_s=BootClock().now_s(),
    )
    write_progress(settings, replace(told, **changes))


def _set_phase(settings, phase, **changes):
    def change(found):
        return Switches(replace(found.current, phase=phase, **changes))

    update_switches(settings, change)
