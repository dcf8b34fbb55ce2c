"""
Who may read what the service keeps: repaired at each start.

Files are written with the right mode. One that came otherwise, out of a backup or an
older package, may have a wider one.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import InsecurePermissions
from vllm_pkg.settings_table import Profile
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from pathlib import Path

    from vllm_pkg.settings import Settings

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700


def tighten_modes(settings: Settings) -> None:
    """
    Take away what other users may do with secrets and volumes.

    Raises:
        InsecurePermissions: others can use one, and its mode cannot be changed.
    """
    _tighten(settings.store_file, PRIVATE_FILE)
    _tighten(settings.switch_file, PRIVATE_FILE)
    _tighten(settings.secrets_file, PRIVATE_FILE)
    _tighten(settings.credentials_file, settings.credentials_mode)
    if settings.profile is Profile.STARTOS:
        # Its volumes are seen by nobody else, and their folders are the host's own.
        return
    for folder in (settings.main, settings.run_dir, settings.logs_dir):
        _tighten(folder, PRIVATE_FOLDER)
    _tighten(settings.public, settings.public_mode)


def _tighten(path: Path, allowed: int) -> None:
    try:
        found = path.stat().st_mode
        # Something else in a file's place is told by whoever reads it.
        is_kind = stat.S_ISDIR(found) if allowed & 0o100 else stat.S_ISREG(found)
        if is_kind and found & 0o077 & ~allowed:
            atomic.set_mode(path, stat.S_IMODE(found) & (0o700 | allowed))
    except FileNotFoundError:
        return
    except OSError as error:
        raise InsecurePermissions(
            f"other users may be able to read {path}: {error.strerror}",
            hint=f"make it yours, or run: chmod {allowed:o} {path}",
        ) from error
