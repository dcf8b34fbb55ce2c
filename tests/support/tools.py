"""Tools that some tests need and not every machine has."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRE = "VLLM_PKG_REQUIRE_TOOLS"


def require(condition: object, what: str) -> None:
    """
    Skip the test unless a condition holds; fail it where tools are required.

    Args:
        condition: Such as the path of a tool.
        what: What is missing, for the summary.
    """
    if condition:
        return
    if os.environ.get(REQUIRE):
        pytest.fail(f"{what}, and {REQUIRE} is set")
    pytest.skip(what)


def require_tool(name: str) -> str:
    """Return the path of a program; skip or fail the test when there is none."""
    path = shutil.which(name)
    require(path, f"{name} is not installed")
    assert path is not None
    return path
