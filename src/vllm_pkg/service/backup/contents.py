"""
What a backup holds, and what it may hold: the list that stands first in it. Pure.

The list names every file with its size, its mode and its SHA-256, and has a digest of
its own. A file that is not in the list, or that may not be there, makes the whole
backup count as damaged: nothing of it is used.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from vllm_pkg.service.backup.errors import BackupDamaged, BackupNewer
from vllm_pkg.state import documents
from vllm_pkg.state.restore_journal import CREDENTIALS, SECRETS, STORE

KIND: Final = "vllm-pkg backup"
# Of the archive.
FORMAT: Final = 1
# Of the files of the state: 1 has the key in store.json, as older packages wrote it.
SCHEMA: Final = 2
LIST_NAME: Final = "manifest.json"
LIST_MAX_BYTES: Final = 64 * 1024 * 1024
STATE_NAMES: Final = (STORE, SECRETS, CREDENTIALS)
MODELS_PREFIX: Final = "main/models/"
LOCAL_PREFIX: Final = "main/local-models/"
_DIGEST: Final = "sha256"
_NAME_MAX_BYTES: Final = 255
_PATH_MAX_BYTES: Final = 2048
_MODE_MAX: Final = 0o777
_REPOSITORY: Final = re.compile(r"(models|datasets|spaces)--[^@]+")
_HASH: Final = re.compile("[0-9a-f]{64}")
_BLOB: Final = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_COMMIT_LIST: Final = re.compile(r"[0-9a-f]{40}\.json")
_PRINTABLE_FROM: Final = " "


@dataclass(frozen=True)
class Member:
    """
    One file of a backup, or one link in a model's folder.

    Args:
        path: Where it belongs, such as ``main/store.json``.
        size_bytes: Length of its content.
        mode: Permission bits.
        sha256: Of its content.
        link: Where it leads, when it is a symbolic link; it has no content then.
    """

    path: str
    size_bytes: int = 0
    mode: int = 0o600
    sha256: str = ""
    link: str | None = None

    @property
    def folder(self) -> str | None:
        """The folder of the model it is part of, such as ``models/models--a--b``."""
        for prefix in (MODELS_PREFIX, LOCAL_PREFIX):
            if self.path.startswith(prefix):
                return "/".join(self.path.split("/")[1:3])
        return None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        if self.link is not None:
            return {"path": self.path, "link": self.link}
        return {
            "path": self.path,
            "size": self.size_bytes,
            "mode": f"{self.mode:04o}",
            "sha256": self.sha256,
        }


@dataclass(frozen=True)
class Contents:
    """
    The list of a backup.

    Args:
        program: Version of the program that wrote it.
        created: UTC time, ISO 8601.
        members: Every file and link, in the order in which they follow.
        schema: Which shape the files of the state have.
    """

    program: str
    created: str
    members: tuple[Member, ...]
    schema: int = SCHEMA

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of models, such as ``models/models--org--name``."""
        found = (member.folder for member in self.members)
        return tuple(dict.fromkeys(name for name in found if name is not None))

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(member.size_bytes for member in self.members)

    @property
    def model_bytes(self) -> int:
        """Bytes of the files of models."""
        return sum(item.size_bytes for item in self.members if item.folder is not None)


def format_contents(contents: Contents) -> bytes:
    """Return the list as it stands in a backup."""
    document: dict[str, Any] = {
        "kind": KIND,
        "format": FORMAT,
        "schema": contents.schema,
        "program": contents.program,
        "created": contents.created,
        "members": [member.as_json() for member in contents.members],
    }
    return documents.format_object(document | {_DIGEST: _checksum(document)})


def parse_contents(data: bytes, program: str) -> Contents:
    """
    Understand a list.

    Args:
        data: Its bytes.
        program: Version of this program.
    Raises:
        BackupDamaged: it is none, or names what may not be in a backup.
        BackupNewer: a newer program wrote it.
    """
    try:
        document = documents.parse_object(data, LIST_MAX_BYTES)
    except documents.Malformed as error:
        raise BackupDamaged(f"its list of files is damaged: {error}") from error
    if document.get("kind") != KIND:
        raise BackupDamaged("it is no backup of vllm-pkg")
    # First: what a newer program writes may look like damage.
    _refuse_newer(document, program)
    told = document.pop(_DIGEST, None)
    if told != _checksum(document):
        raise BackupDamaged("its list of files is damaged: its checksum is wrong")
    try:
        members = tuple(map(_member, document["members"]))
        contents = Contents(
            program=str(document["program"]),
            created=str(document["created"]),
            members=members,
            schema=int(document["schema"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackupDamaged("its list of files cannot be understood") from error
    _refuse_wrong(members)
    return contents


def problem_of(member: Member) -> str | None:
    """Return why something may not be in a backup; None: it may."""
    parts = member.path.split("/")
    if not _is_safe(member.path) or not 0 <= member.mode <= _MODE_MAX:
        return "its name or its mode is not allowed"
    if member.link is None and not _HASH.fullmatch(member.sha256):
        return "it has no checksum"
    if member.path in STATE_NAMES:
        is_small = member.size_bytes <= documents.SIZE_MAX_BYTES
        return None if member.link is None and is_small else "it is too large"
    if member.path.startswith(MODELS_PREFIX) and len(parts) > 4:  # noqa: PLR2004
        return _problem_in_repository(member, parts[2], parts[3:])
    if member.path.startswith(LOCAL_PREFIX) and len(parts) > 3:  # noqa: PLR2004
        is_file = member.link is None and not parts[2].startswith(".")
        return None if is_file else "it is no file of a model"
    return "no such file belongs into a backup"


def link_to_blob(parts: list[str], blob: str) -> str:
    """
    Return how a file of a revision leads to its content.

    Args:
        parts: Path of the file in its repository's folder.
        blob: Name of the content.
    """
    return f"{'../' * (len(parts) - 1)}blobs/{blob}"


def _problem_in_repository(
    member: Member, repository: str, parts: list[str]
) -> str | None:
    kind, name = parts[0], parts[-1]
    if not _REPOSITORY.fullmatch(repository):
        return "it is no file of a model"
    if member.link is not None:
        blob = member.link.rpartition("/")[2]
        is_inside = _is_safe(blob) and member.link == link_to_blob(parts, blob)
        is_place = kind == "snapshots" and len(parts) > 2  # noqa: PLR2004
        return None if is_inside and is_place else "it leads out of its model"
    allowed = {
        "blobs": bool(_BLOB.fullmatch(name)) and len(parts) == 2,  # noqa: PLR2004
        "refs": True,
        "snapshots": len(parts) > 2,  # noqa: PLR2004
        ".vllm-pkg": bool(_COMMIT_LIST.fullmatch(name)),
    }
    return None if allowed.get(kind, False) else "it is no file of a model"


def _is_safe(path: str) -> bool:
    """Whether a path stays below the folder it counts from, on any file system."""
    try:
        data = path.encode()
    except UnicodeEncodeError:
        return False
    parts = path.split("/")
    return (
        len(data) <= _PATH_MAX_BYTES
        and all(part not in {"", ".", ".."} for part in parts)
        and all(len(part.encode()) <= _NAME_MAX_BYTES for part in parts)
        and all(sign >= _PRINTABLE_FROM and sign != "\x7f" for sign in path)
    )


def _refuse_newer(document: dict[str, Any], program: str) -> None:
    try:
        wrote = Version(document["program"])
        is_newer = (
            int(document["format"]) > FORMAT
            or int(document["schema"]) > SCHEMA
            or wrote > Version(program)
        )
    except (KeyError, TypeError, ValueError, InvalidVersion) as error:
        raise BackupDamaged("it does not say which program wrote it") from error
    if is_newer:
        raise BackupNewer(
            f"vllm-pkg {wrote} wrote the backup, and this is vllm-pkg {program}"
        )


def _refuse_wrong(members: tuple[Member, ...]) -> None:
    paths = {member.path for member in members}
    if len(paths) != len(members):
        raise BackupDamaged("its list of files names one of them twice")
    for member in members:
        problem = problem_of(member)
        if problem is None and member.link is not None:
            blob = member.link.rpartition("/")[2]
            if f"main/{member.folder}/blobs/{blob}" not in paths:
                problem = "it leads to nothing"
        if problem is None and not paths.isdisjoint(_parents(member.path)):
            problem = "a file stands in the place of its folder"
        if problem is not None:
            raise BackupDamaged(f"{member.path!r} is in it, and {problem}")


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _member(value: Any) -> Member:
    path, link = value["path"], value.get("link")
    if not isinstance(path, str):
        raise TypeError
    if link is not None:
        return Member(path, link=str(link))
    size_bytes = value["size"]
    if type(size_bytes) is not int or size_bytes < 0:
        raise ValueError
    return Member(path, size_bytes, int(value["mode"], 8), str(value["sha256"]))


def _checksum(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
