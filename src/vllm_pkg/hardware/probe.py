"""What looking for one vendor's GPUs gives, and a look at the PCI bus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vllm_pkg.hardware.facts import Gpu, Vendor

ROOT: Final = Path("/")
# PCI base classes: display controllers, and processing accelerators (AMD Instinct).
_GPU_CLASSES: Final = ("0x03", "0x12")


@dataclass(frozen=True)
class Probe:
    """
    What a vendor's library answered.

    Args:
        gpus: The GPUs it described.
        reason: Why there are none, when that is no failure: nothing is installed.
        failures: What could not be read although it should be there.
        notes: What people should know about the GPUs that were found, or not.
        source: Where the GPUs come from, when that is not the vendor's library.
        unseen: Whose GPUs may be here and could not be looked at.
    """

    gpus: tuple[Gpu, ...] = ()
    reason: str | None = None
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: str | None = None
    unseen: Vendor | None = None


def has_gpu_on_bus(vendor_id: str, root: Path) -> bool:
    """
    Whether the kernel lists a GPU of a vendor on the PCI bus, driver or not.

    Args:
        vendor_id: As in sysfs, such as ``0x10de``.
        root: Where ``sys`` is.
    """
    return any(
        _text(device / "vendor") == vendor_id
        and _text(device / "class").startswith(_GPU_CLASSES)
        for device in root.glob("sys/bus/pci/devices/*")
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
