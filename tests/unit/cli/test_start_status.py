"""What status and its bars show of a start."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from rich.console import Console

from vllm_pkg.cli.status import picture, progress_bars
from vllm_pkg.clock import BootClock
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.settings import load_settings
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity


@pytest.fixture(name="write")
def write_fixture(cli):
    """Write the record of a start of a selected model; it is this process."""
    cli.store({"serveArgs": ["org/name"]})

    def write(**fields):
        settings = load_settings(os.environ)
        now_s = BootClock().now_s()
        start = records.StartRecord(
            process=own_identity(),
            started_s=now_s - 100.0,
            host="127.0.0.1",
            port=settings.port,
            model="org/name",
            updated_s=now_s,
        )
        records.write_record(settings.start_file, replace(start, **fields))

    return write


def test_a_start_is_told(cli, write):
    """The JSON form has all that is known; the health tells it in words."""
    write(
        phase="load",
        phase_percent=40.0,
        percent=55.5,
        eta_s=90.0,
        phases=(("starting", 30.0),),
        log_file="/logs/engine-1.log",
    )

    start = cli("status", "--json").document()["start"]
    text = cli("status").out

    assert start.pop("text").startswith(
        "Now: loading the weights (40 %), 56 % of the start, about "
    )
    assert 85 <= start.pop("etaS") <= 90
    assert 100 <= start.pop("elapsedS") <= 110
    assert start == {
        "phase": "load",
        "phasePercent": 40.0,
        "percent": 55.5,
        "readyAfterS": None,
        "repository": None,
        "bytesDone": None,
        "bytesTotal": None,
        "bytesPerS": None,
        "isStalled": False,
        "phases": [{"phase": "starting", "seconds": 30.0}],
        "logFile": "/logs/engine-1.log",
    }
    assert text.count("Now: loading the weights") == 1
    assert "Start: " not in text


def test_a_download_is_a_line_of_the_health(cli, write):
    """People see both checks while there is a download, programs always."""
    write(phase="download", repository="org/name", bytes_done=10, bytes_total=20)

    out = cli("health").out.splitlines()

    assert out[0].startswith("vLLM API: loading: The model is loading. ")
    assert out[1].startswith("Model download: loading: Downloading org/name: ")
    assert cli("health", "--check", "download").code == 61


def test_a_late_start_is_told_beside_the_failure(cli, write):
    """After 35 minutes the health has the mission's words, and status has the rest."""
    write(started_s=BootClock().now_s() - 2101.0, phase="compile")

    text = cli("status").out

    assert "did not come up within 35 minutes" in text
    assert "Start:     Now: compiling the model.\n" in text


def test_a_start_that_was_ready_says_how_long_it_took(cli, write):
    """Afterwards one line tells it."""
    write(phase="ready", percent=100.0, ready_after_s=41.4)

    assert "Start:     ready after 41 s\n" in cli("status").out
    assert progress_bars(cli("status", "--json").document()) == []


def test_a_start_whose_process_ended_is_not_shown(cli, write):
    """What is left of an engine that is gone is no progress."""
    write(process=ProcessIdentity(1, 1, "earlier boot"), phase="load")

    assert cli("status", "--json").document()["start"] is None


def test_a_start_has_two_bars(cli, write):
    """One for the step and one for the whole, the first without a number if unknown."""
    write(phase="capture", percent=90.0)
    status = cli("status", "--json").document()
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115

    with console.file:
        console.print(picture(status))

    assert progress_bars(status) == [
        ("Capturing the CUDA graphs", None),
        ("The whole start", 90.0),
    ]
    shown = console.export_text()
    assert "The whole start" in shown
    assert " 90 %" in shown
    assert json.dumps(status)
