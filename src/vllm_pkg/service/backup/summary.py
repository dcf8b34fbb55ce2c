"""What is told of a backup, to people and to programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vllm_pkg.models.cache_content import parse_folder
from vllm_pkg.service.backup.contents import FORMAT
from vllm_pkg.service.backup.state_check import has_key, secrets_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.service.backup.contents import Contents

    Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BackupSummary:
    """
    What a backup holds.

    Args:
        program: Version of the program that wrote it.
        created: UTC time, ISO 8601.
        schema: Which shape the files of the state have.
        files: How many files and links.
        size_bytes: Bytes of all of them.
        has_key: Whether the API key is in it.
        named_keys: How many additional keys.
        has_hub_token: Whether a Hugging Face token is in it.
        models: The models, as ``org/name``, or the name of a local one.
        model_bytes: Bytes of their files.
    """

    program: str
    created: str
    schema: int
    files: int
    size_bytes: int
    has_key: bool
    named_keys: int
    has_hub_token: bool
    models: tuple[str, ...]
    model_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "format": FORMAT,
            "schema": self.schema,
            "program": self.program,
            "created": self.created,
            "files": self.files,
            "sizeBytes": self.size_bytes,
            "hasKey": self.has_key,
            "namedKeys": self.named_keys,
            "hasHubToken": self.has_hub_token,
            "models": list(self.models),
            "modelBytes": self.model_bytes,
        }


def summarise(contents: Contents, state: dict[str, bytes]) -> BackupSummary:
    """
    Return what is told of a backup.

    Args:
        contents: Its list.
        state: The files of the state in it, which have been checked.
    """
    secrets = secrets_in(state)
    return BackupSummary(
        program=contents.program,
        created=contents.created,
        schema=contents.schema,
        files=len(contents.members),
        size_bytes=contents.size_bytes,
        has_key=has_key(state),
        named_keys=len(secrets.keys),
        has_hub_token=bool(secrets.hugging_face_token),
        models=tuple(map(_model_name, contents.folders)),
        model_bytes=contents.model_bytes,
    )


class Tally:
    """
    Counts bytes for whoever wants to know how far it is.

    Args:
        total_bytes: How many there are.
        progress: Who wants to know.
    """

    def __init__(self, total_bytes: int, progress: Progress) -> None:
        self._total_bytes = total_bytes
        self._progress = progress
        self._done_bytes = 0

    def advance(self, size_bytes: int) -> None:
        """Count some more."""
        self._done_bytes += size_bytes
        self._progress(self._done_bytes, self._total_bytes)


def no_progress(done_bytes: int, total_bytes: int) -> None:
    """Tell nobody how far it is."""
    del done_bytes, total_bytes


def _model_name(folder: str) -> str:
    name = folder.partition("/")[2]
    parsed = parse_folder(name)
    return name if parsed is None else parsed.repo_id
