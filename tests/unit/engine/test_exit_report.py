"""Why an engine ended, read from its exit status and its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.engine_logs import HEALTHY, load_logs
from vllm_pkg.engine.diagnosis.matcher import READY_MARK
from vllm_pkg.engine.exit_report import (
    find_cause,
    is_passing,
    report_end,
    report_exit,
)

TOO_LONG = (
    "(EngineCore pid=9) ERROR 11-21 20:00:01 [core.py:700] ValueError: To serve at"
    " least one request with the model's max seq len (4096), (9 GiB KV cache is needed."
)
GENERIC = (
    "(APIServer pid=7) RuntimeError: Engine core initialization failed. See above."
)


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([], None),
        (["INFO all is well", "Error in the middle: x"], None),
        (
            ["vllm serve: error: argument --x: bad"],
            "vllm serve: error: argument --x: bad",
        ),
        (["error: port 1 is in use; stop it"], "port 1 is in use; stop it"),
        (
            [TOO_LONG, GENERIC],
            "ValueError: To serve at least one request with the model's",
        ),
        (
            ["torch.OutOfMemoryError: CUDA out of memory."],
            "torch.OutOfMemoryError: CUDA",
        ),
        ([GENERIC], "RuntimeError: Engine core initialization failed"),
        ([GENERIC, "KeyError: 'x'"], "KeyError: 'x'"),
        ([GENERIC, GENERIC + " again"], "RuntimeError: Engine core initialization"),
    ],
)
def test_first_specific_error_is_the_cause(lines, cause):
    """The first line that names a specific error wins over the generic end."""
    found = find_cause(lines)

    assert (found is None) if cause is None else (found or "").startswith(cause)


@pytest.mark.parametrize(
    ("code", "is_final"),
    [
        (0, False),
        (1, False),
        (2, True),
        (3, True),
        (70, False),
        (73, True),
        (74, True),
        (75, False),
        (77, True),
        (78, True),
        (-1, False),
        (137, False),
    ],
)
def test_which_exits_are_final(code, is_final):
    """A refused argument and what we know not to pass are final, a crash is not."""
    assert report_exit(code, []).is_final is is_final


def test_summary_and_hint_of_a_refused_argument():
    """A refused argument is told with its text and the way to correct it."""
    report = report_exit(2, ["\x1b[31mvllm serve: error: unknown --x\x1b[0m  "])

    assert report.summary == (
        "The engine ended with exit code 2: vllm serve: error: unknown --x."
    )
    assert "Set Model" in report.hint
    assert report.log_tail == ("vllm serve: error: unknown --x",)


@pytest.mark.parametrize("code", [73, 74, 77])
def test_no_other_model_mends_a_disk_or_a_token(code):
    """Without a cause in the log, the hint names no action that would not help."""
    report = report_exit(code, ["error: the disk is full; free some"])

    assert report.summary == (
        f"The engine ended with exit code {code}: the disk is full; free some."
    )
    assert report.hint == "See the service logs for the rest."


def test_summary_of_a_signal_names_memory():
    """A kill without a cause in the log points at memory."""
    report = report_exit(-1, ["INFO x"])

    assert report.summary == "The engine ended with a signal."
    assert "memory" in report.hint


def test_crash_without_a_cause_points_at_the_log():
    """A crash that says nothing points at the rest of the log."""
    assert "logs" in report_exit(1, []).hint


def test_tail_is_bounded():
    """Only the last twenty lines are kept, and a cause is cut at 300 characters."""
    report = report_exit(
        1, [f"line {n}" for n in range(100)] + ["A.Error: " + "x" * 999]
    )

    assert len(report.log_tail) == 20
    assert len(report.summary) < 350


@pytest.mark.parametrize(
    ("exit_code", "cause", "expected"),
    [
        (75, "hub-unreachable", True),
        (75, None, True),
        (75, "port-in-use", False),
        (70, "hub-unreachable", False),
        (None, None, False),
    ],
)
def test_what_passes_by_itself(exit_code, cause, expected):
    """A Hub that is silent passes; who has a port keeps it, and a crash is a crash."""
    assert is_passing(exit_code, cause) is expected


# What only the exit status tells.
SILENT = {"engine-segfault", "killed", "processor-not-supported"}
# What the daemon refuses, which writes it down itself.
REFUSED = {"engine-not-installed", "model-folder-missing", "stored-arguments-refused"}
STOPS = Path(__file__).parents[2] / "data" / "stops"
TRIGGERED = (
    "(APIServer pid=7) INFO 11-21 20:00:01 [launcher.py:246] [shutdown] API server:"
    " shutdown triggered"
)


@pytest.mark.parametrize("log", load_logs(), ids=lambda log: log.cause)
def test_the_log_alone_tells_nearly_every_cause(log):
    """Without the exit status the same causes are named, and none where all is well."""
    report = report_end(log.lines, None, is_short_of_memory=False)

    cause = None if report is None else report.cause
    assert cause == (None if log.cause in {HEALTHY, *SILENT, *REFUSED} else log.cause)


def test_an_end_without_a_named_cause_has_its_first_error():
    """The error is told, and no exit status is made up."""
    report = report_end([GENERIC, "KeyError: 'x'"], None, is_short_of_memory=False)

    assert report is not None
    assert report.summary == "The engine ended: KeyError: 'x'."
    assert (report.cause, report.is_final) == (None, False)
    assert report.hint == "See the service logs for the rest."


@pytest.mark.parametrize(
    "lines",
    [
        ["all is well"],
        [TOO_LONG, "(APIServer pid=7) KeyboardInterrupt: terminated"],
        [READY_MARK, "ValueError: a request was wrong"],
        [READY_MARK, TRIGGERED, "EngineDeadError: it is gone"],
    ],
    ids=["silent", "stopped-while-loading", "request", "stopped"],
)
def test_what_may_have_been_ended_from_outside_is_no_failure(lines):
    """Silence, a stop, and an error of a request say nothing about the end."""
    assert report_end(lines, None, is_short_of_memory=False) is None


@pytest.mark.parametrize("log", sorted(STOPS.glob("*.log")), ids=lambda log: log.stem)
def test_a_recorded_stop_is_no_failure(log):
    """What vLLM says when it is told to end is known; without it the error counts."""
    lines = log.read_text(encoding="utf-8").splitlines()
    mark = ("KeyboardInterrupt: terminated", "shutdown triggered")
    other = [line for line in lines if not line.endswith(mark)]

    assert report_end(lines, None, is_short_of_memory=True) is None
    assert len(other) == len(lines) - 1
    assert report_end(other, None, is_short_of_memory=True) is not None


def test_silence_after_memory_ran_out_is_its_cause():
    """The kernel has ended programs meanwhile, and the log says nothing of an end."""
    killed = report_end(["all is well"], None, is_short_of_memory=True)
    stopped = report_end([TRIGGERED], None, is_short_of_memory=True)
    told = report_end(["KeyError: 'x'"], None, is_short_of_memory=True)

    assert killed is not None
    assert killed.cause == "killed"
    assert stopped is None
    assert told is not None
    assert told.cause is None
