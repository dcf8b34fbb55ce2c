"""What the processor can do is read from the kernel."""

from __future__ import annotations

import pytest

from vllm_pkg.hardware.cpu import has_amx


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx512f amx_bf16 amx_tile amx_int8", True), ("fpu amx_tiles avx2", False)],
)
def test_amx_is_a_flag(tmp_path, flags, expected):
    """The tiles are there when the flag is, and only then."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")

    assert has_amx(tmp_path) is expected


def test_without_a_list_there_is_none(tmp_path):
    """What cannot be read is not there."""
    assert has_amx(tmp_path) is False
