"""Models of a backup, made ready beside their places until all is known to be whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vllm_pkg.errors import ModelInUse, StateWriteFailed
from vllm_pkg.models.download.disk_plan import RESERVE_BYTES, format_bytes
from vllm_pkg.models.open_folder import open_folder
from vllm_pkg.models.running_downloads import is_downloading
from vllm_pkg.service.backup.errors import BackupTooLarge
from vllm_pkg.state import atomic
from vllm_pkg.state.restore_journal import MODELS, staging_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vllm_pkg.service.backup.contents import Contents, Member
    from vllm_pkg.settings import Settings


class Staging:
    """
    Takes the models of a backup.

    Args:
        settings: Where they belong.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def begin(self, contents: Contents) -> None:
        """
        Check that there is room, and that nobody fetches one of them now.

        Raises:
            BackupTooLarge: there is no room.
            ModelInUse: one is being downloaded.
        """
        if not contents.folders:
            return
        models = self._settings.models_dir
        atomic.make_folder(models)
        self._check_room(models, contents.model_bytes)
        roots = {name.partition("/")[0] for name in contents.folders}
        for root in roots:
            atomic.make_folder(staging_of(self._settings, root))
        with open_folder(models) as cache:
            for name in contents.folders:
                root, _, folder = name.partition("/")
                if root == MODELS and is_downloading(cache, folder):
                    raise ModelInUse(
                        f"{folder} is being downloaded",
                        hint="wait for its end, or stop it, and try again",
                    )

    def file(self, member: Member, chunks: Iterator[bytes]) -> None:
        """
        Write a file, durably.

        Raises:
            BackupDamaged: its content is not what was backed up.
            StateWriteFailed: it cannot be written.
        """
        path = self._place(member)
        with atomic.new_file(path, member.mode | 0o600) as stream:
            for chunk in chunks:
                stream.write(chunk)

    def link(self, member: Member) -> None:
        """
        Make a link, durably.

        Raises:
            StateWriteFailed: it cannot be made.
        """
        atomic.make_link(self._place(member), member.link or "")

    def _place(self, member: Member) -> Path:
        root, _, folder = (member.folder or "").partition("/")
        rest = member.path.removeprefix(f"main/{root}/{folder}/")
        path = staging_of(self._settings, root) / folder / rest
        atomic.make_folder(path.parent)
        return path

    def _check_room(self, folder: Path, needed_bytes: int) -> None:
        try:
            found = os.statvfs(folder)
        except OSError as error:
            raise StateWriteFailed(f"cannot use {folder}: {error.strerror}") from error
        free_bytes = found.f_bavail * found.f_frsize
        if needed_bytes + RESERVE_BYTES > free_bytes:
            raise BackupTooLarge(
                f"its models need {format_bytes(needed_bytes)},"
                f" {format_bytes(free_bytes)} are free and"
                f" {format_bytes(RESERVE_BYTES)} of that have to stay free"
            )
