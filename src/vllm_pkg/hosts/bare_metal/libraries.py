"""
Libraries of the operating system that the engine needs and a small machine lacks.

Where apt is at hand, the library is taken out of the distribution's own package and put
beside the Python packages: that needs no root and changes nothing outside. A ``.pth``
file loads it whenever that Python starts; code that is linked to it then finds it
loaded already.
"""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import InstallFailed
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.hosts.bare_metal.metadata import Site
    from vllm_pkg.hosts.bare_metal.running import RunCommand
    from vllm_pkg.package.variants import Library

FOLDER: Final = "vllm_pkg_libraries"
_TOOLS: Final = ("apt-get", "dpkg-deb")


def absent(libraries: Sequence[Library]) -> tuple[str, ...]:
    """Return the file names of the libraries that this process cannot load."""
    names = []
    for library in libraries:
        try:
            ctypes.CDLL(library.file)
        except OSError:
            names.append(library.file)
    return tuple(names)


def add_library(site: Site, library: Library, run: RunCommand, log_file: Path) -> Path:
    """
    Put a library beside the packages, out of the distribution's own package.

    Args:
        site: Where the packages are.
        library: Which library.
        run: Runs apt and dpkg.
        log_file: Where their output goes.
    Returns:
        The library's file.
    Raises:
        InstallFailed: there is no apt, or it cannot get the package.
        StateWriteFailed: the library cannot be written.
    """
    if not all(shutil.which(tool) for tool in _TOOLS):
        raise _install_it(library)
    with TemporaryDirectory(prefix="vllm-pkg-") as name:
        folder = Path(name)
        if not _download(folder, library, run, log_file):
            raise _install_it(library)
        for package in folder.glob("*.deb"):
            run(
                ["dpkg-deb", "--extract", str(package), str(folder / "root")],
                log_file=log_file,
            )
        found = next((folder / "root").rglob(library.file), None)
        if found is None:
            raise _install_it(library)
        content = found.read_bytes()
    target = site.packages / FOLDER / library.file
    atomic.make_folder(target.parent, 0o755)
    atomic.write_file(target, content, 0o755)
    loader = f"import ctypes; ctypes.CDLL({str(target)!r}, ctypes.RTLD_GLOBAL)\n"
    pth = site.packages / f"vllm-pkg-{library.debian_package}.pth"
    atomic.write_file(pth, loader.encode(), 0o644)
    return target


def _download(folder: Path, library: Library, run: RunCommand, log_file: Path) -> bool:
    apt = ["env", f"--chdir={folder}", "apt-get", "--quiet"]
    if run([*apt, "download", library.debian_package], log_file=log_file) == 0:
        return True
    # This machine has no lists of packages, as in most containers: own ones, so that
    # nothing outside is changed and no root is needed.
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    apt += [
        f"--option=Dir::State::Lists={folder / 'lists'}",
        f"--option=Dir::Cache={folder / 'cache'}",
        "--option=Debug::NoLocking=true",
    ]
    if run([*apt, "update"], log_file=log_file) != 0:
        return False
    return run([*apt, "download", library.debian_package], log_file=log_file) == 0


def _install_it(library: Library) -> InstallFailed:
    return InstallFailed(
        f"the engine needs {library.file}, which this machine lacks",
        hint=f"install it, on Debian: apt-get install {library.debian_package}, "
        f"on Fedora: dnf install {library.fedora_package}",
    )
