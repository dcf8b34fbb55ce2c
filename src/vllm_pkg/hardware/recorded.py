"""
A recorded machine: a document that stands in for probing.

It has the form that ``vllm-pkg hardware --json`` prints. Only what was found is taken
from it; tier, memory and notes are derived again. Pure, apart from reading the file.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vllm_pkg.errors import SettingsInvalid
from vllm_pkg.hardware.facts import Gpu, Vendor
from vllm_pkg.settings_table import environment_name

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Recording:
    """
    What was found on the recorded machine.

    Args:
        gpus: Every GPU.
        system_memory_gib: Main memory in GiB.
        probe_failures: What drivers answered instead of their GPUs.
        system_free_gib: Main memory that was free, in GiB, if the document says it.
    """

    gpus: tuple[Gpu, ...]
    system_memory_gib: float
    probe_failures: tuple[str, ...] = ()
    system_free_gib: float | None = None


def read_recording(path: Path) -> Recording:
    """
    Read a recorded machine from a file.

    Raises:
        SettingsInvalid: it cannot be read or is not such a document; the message
            names the key, the hint what was expected there.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or str(error)
        raise _refuse(f"cannot be read: {why}", "the path of a file") from error
    except (ValueError, RecursionError) as error:
        raise _refuse("is not JSON", "a file with one JSON object") from error
    return parse_recording(document)


def parse_recording(document: Any) -> Recording:
    """
    Understand a recorded machine.

    Args:
        document: A JSON value; keys that are derived (``tier``, ``notes``) and keys
            that are not known are passed over.
    Raises:
        SettingsInvalid: as for `read_recording`.
    """
    if not isinstance(document, dict):
        raise _refuse("is no JSON object", 'an object such as {"gpus": []}')
    gpus = document.get("gpus")
    if not isinstance(gpus, list):
        raise _wrong("gpus", gpus, "a list of objects")
    failures = document.get("probe_failures", [])
    if not isinstance(failures, list) or not all(map(_is_text, failures)):
        raise _wrong("probe_failures", failures, "a list of sentences")
    return Recording(
        gpus=tuple(_gpu(f"gpus[{i}]", i, value) for i, value in enumerate(gpus)),
        system_memory_gib=_size_gib(
            "system_memory_gib", document.get("system_memory_gib")
        ),
        probe_failures=tuple(failures),
        system_free_gib=_free_gib("system_free_gib", document.get("system_free_gib")),
    )


def _gpu(key: str, position: int, value: Any) -> Gpu:
    if not isinstance(value, dict):
        raise _wrong(key, value, "an object")
    vendor = value.get("vendor")
    if vendor not in tuple(Vendor):
        raise _wrong(f"{key}.vendor", vendor, " or ".join(Vendor))
    index = value.get("index", position)
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise _wrong(f"{key}.index", index, "a whole number from 0")
    for name in ("name", "compute_capability"):
        if not _is_text(value.get(name)):
            raise _wrong(f"{key}.{name}", value.get(name), "a text")
    # Left out is not the same as null: null says that the memory is the system's.
    memory = value.get("memory_gib", "")
    return Gpu(
        vendor=Vendor(vendor),
        index=index,
        name=value["name"],
        compute_capability=value["compute_capability"],
        memory_gib=None if memory is None else _size_gib(f"{key}.memory_gib", memory),
        free_gib=_free_gib(f"{key}.free_gib", value.get("free_gib")),
    )


def _free_gib(key: str, value: Any) -> float | None:
    """Return what was free, which may be nothing; None when it is left out."""
    if value is None:
        return None
    if not _is_number(value) or value < 0:
        raise _wrong(key, value, "a number of GiB from 0")
    return float(value)


def _size_gib(key: str, value: Any) -> float:
    if not _is_number(value) or value <= 0:
        also = "" if key == "system_memory_gib" else ", or null for shared memory"
        raise _wrong(key, value, f"a number of GiB above 0{also}")
    return float(value)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _wrong(key: str, value: Any, expected: str) -> SettingsInvalid:
    return _refuse(f"has {value!r} at {key}", f"a document with {expected} there")


def _refuse(what: str, expected: str) -> SettingsInvalid:
    name = environment_name("hardware_file")
    return SettingsInvalid(f"the file in {name} {what}", hint=f"set it to {expected}")
