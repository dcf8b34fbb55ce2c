"""The boot clock."""

from __future__ import annotations

from vllm_pkg import clock


def test_now_goes_forward_only():
    """Two readings never go backwards, whatever the wall clock does."""
    boot = clock.BootClock()

    assert boot.now_s() <= boot.now_s()


def test_boot_id_is_the_kernels():
    """The id is the one the kernel gives, the same at each reading."""
    boot = clock.BootClock()

    assert boot.boot_id() == boot.boot_id()
    assert len(boot.boot_id()) == 36


def test_boot_id_without_proc_is_empty(tmp_path, monkeypatch):
    """A kernel that gives no id yields an empty one."""
    monkeypatch.setattr(clock, "BOOT_ID_FILE", tmp_path / "missing")

    assert clock.BootClock().boot_id() == ""
