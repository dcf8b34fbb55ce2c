"""AMD GPUs read from the kernel's own list."""

from __future__ import annotations

import pytest

from support.amd_machine import GFX90A, GFX942, NODES, amd_root
from vllm_pkg.hardware.facts import Gpu, Vendor
from vllm_pkg.hardware.kfd import graphics_target, read_gpus


@pytest.mark.parametrize(
    ("version", "target"),
    [
        (0, ""),
        (80003, "gfx803"),
        (90010, "gfx90a"),
        (90012, "gfx90c"),
        (90402, "gfx942"),
        (100306, "gfx1036"),
        (110000, "gfx1100"),
        (120001, "gfx1201"),
    ],
)
def test_targets_have_the_compilers_names(version, target):
    """The kernel's decimal pairs become the compiler's hexadecimal digits."""
    assert graphics_target(version) == target


def test_gpus_are_read_in_the_kernels_order(tmp_path):
    """Target and own memory of each GPU are read, and the processor is none."""
    root = amd_root(tmp_path, GFX942, *[GFX90A] * 10, memory_gib=64)

    gpus = read_gpus(root)

    assert gpus[0] == Gpu(Vendor.AMD, 0, "AMD GPU", "gfx942", 64.0)
    assert [gpu.compute_capability for gpu in gpus[1:]] == ["gfx90a"] * 10
    assert [gpu.index for gpu in gpus] == list(range(11))


def test_what_may_not_be_read_is_left_out(tmp_path):
    """A GPU that is kept from this container is not there, and the next one is."""
    root = amd_root(tmp_path, GFX942, GFX90A)
    (root / NODES / "1/properties").unlink()

    assert [gpu.compute_capability for gpu in read_gpus(root)] == ["gfx90a"]


def test_a_kernel_without_the_list_has_no_gpu(tmp_path):
    """Where the kernel has no such list, nothing is found."""
    assert read_gpus(tmp_path) == ()
