"""Why an engine ended, read from its exit status and its log."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.exit_report import find_cause, is_passing, report_exit

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
