"""Writing a support bundle: one zip file that can be opened everywhere."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.service.file_target import check_target
from vllm_pkg.service.support.known_secrets import make_redactor
from vllm_pkg.service.support.sections import sections
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from pathlib import Path

    from vllm_pkg.service.support.redaction import Redactor
    from vllm_pkg.service.support.sections import Section
    from vllm_pkg.settings import Settings

MODE: Final = 0o600
# Of all members together, before they are compressed.
SIZE_MAX_BYTES: Final = 48 * 1024 * 1024
README_NAME: Final = "README.txt"
MISSING_NAME: Final = "missing.json"
README: Final = """\
Support bundle of vllm-pkg, made {made}.

It is for people who help with this service. It holds:

versions.json    versions of the package, Python, the engine, the system and drivers
settings.json    settings in force; variables that are not known to be harmless are ***
status.json      the whole state of the service at that moment; health.json its checks
hardware.json    what this machine is; replay it with VLLM_PKG_HARDWARE=hardware.json
state/           what is selected, how many keys there are, which files there are
run/             records of starts, of the last failure, and how health has changed
machine/         processors, disks, memory, and the service's own processes
logs/            logs: of the last start, of the last one that failed, of the host
missing.json     what could not be collected, and why

Keys, tokens, passwords in addresses, and the values of environment variables are ***
everywhere. Names of models, arguments of the engine and paths are not hidden, and logs
are the engine's own: look through them before you publish the bundle.
"""


@dataclass(frozen=True)
class BundleReport:
    """
    What was written.

    Args:
        path: The bundle.
        size_bytes: Its size.
        members: What is in it.
        missing: What could not be collected.
    """

    path: Path
    size_bytes: int
    members: tuple[str, ...]
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "file": str(self.path.absolute()),
            "sizeBytes": self.size_bytes,
            "members": list(self.members),
            "missing": list(self.missing),
        }


def bundle_name(now: datetime) -> str:
    """Return how a bundle of a moment is called."""
    return f"vllm-pkg-support-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.zip"


def write_bundle(settings: Settings, target: Path) -> BundleReport:
    """
    Collect what there is and write it, without secrets.

    Works whatever is damaged or missing: what cannot be collected is named in it.

    Args:
        settings: Settings in force.
        target: The file; it gets mode 0600, and is whole or not there.
    Raises:
        InvalidArgument: something that is no file stands there.
        StateWriteFailed: it cannot be written.
    """
    check_target(target)
    redactor = make_redactor(settings, os.environ)
    with (
        atomic.new_file(target, MODE) as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        writer = _Writer(archive, redactor)
        writer.add(README_NAME, README.format(made=writer.made))
        for section in sections(settings, os.environ, redactor):
            writer.collect(section)
        writer.add(MISSING_NAME, json.dumps(writer.missing, indent=2) + "\n")
    return BundleReport(
        path=target,
        size_bytes=target.stat().st_size,
        members=tuple(archive.namelist()),
        missing=tuple(writer.missing),
    )


class _Writer:
    """Writes members; nothing gets into the archive but through `add`."""

    def __init__(self, archive: zipfile.ZipFile, redactor: Redactor) -> None:
        now = datetime.now(UTC)
        self.made = now.isoformat(timespec="seconds")
        self.missing: dict[str, str] = {}
        self._archive = archive
        self._redactor = redactor
        self._date = now.timetuple()[:6]
        self._left_bytes = SIZE_MAX_BYTES

    def collect(self, section: Section) -> None:
        """Add a section, or note why it could not be collected."""
        try:
            text = section.make()
        except Exception as error:  # noqa: BLE001  # made when anything may be broken
            told = self._redactor.text(f"{type(error).__name__}: {error}")
            self.missing[section.name] = told
            return
        if len(text) > self._left_bytes:
            self.missing[section.name] = "the bundle would be too large"
            return
        self._left_bytes -= len(text)
        self.add(section.name, text)

    def add(self, name: str, text: str) -> None:
        """Add a member; what is known to be secret does not pass, whoever made it."""
        info = zipfile.ZipInfo(self._redactor.text(name), self._date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = MODE << 16
        data = self._redactor.known(text).encode(errors="replace")
        self._archive.writestr(info, data)
