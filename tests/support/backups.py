"""States to back up, archives that nobody should restore, and what is compared."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.model_cache import ONE, TWO, add_revision, weights_of
from vllm_pkg import __version__
from vllm_pkg.service.backup.contents import FORMAT, KIND, SCHEMA
from vllm_pkg.state.restore_journal import state_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.settings import Settings

NAMES = (
    "main/store.json",
    "main/secrets.json",
    "main/switch.json",
    "public/credentials.json",
)
KEY = "aB3dE5gH7jK9mN1pQ3sT5v"
OTHER_KEY = "Zy9xW7vU5tS3rQ1pO2nM4l"
PUBLISHED = Path(__file__).parents[1] / "data" / "published"
WEIGHTS = weights_of(300_000)


def write_state(settings: Settings, key: str = KEY, **store: Any) -> dict[str, bytes]:
    """Write a state with a key and a named key; return it."""
    settings.main.mkdir(parents=True, exist_ok=True)
    settings.public.mkdir(parents=True, exist_ok=True)
    named = {
        "id": "1f",
        "name": "laptop",
        "role": "user",
        "hash": hashlib.sha256(key.encode()).hexdigest(),
        "created": "2026-01-01T00:00:00+00:00",
        "expires": None,
        "revoked": None,
    }
    documents = {
        "main/store.json": {"serveArgs": ["org/name"], "future": {"x": key}, **store},
        "main/secrets.json": {"keys": [named], "huggingFaceToken": f"hf_{key}"},
        "public/credentials.json": {"apiKey": key},
    }
    for name, document in documents.items():
        state_file(settings, name).write_text(json.dumps(document))
    return state_of(settings)


def state_of(settings: Settings) -> dict[str, bytes]:
    """Return the files of the state that there are."""
    paths = {name: state_file(settings, name) for name in NAMES}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def tree_of(folder: Path) -> dict[str, bytes | str]:
    """Return every file by its content and every link by where it leads."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if "before-restore-" in name or name == ".restoring":
            continue
        if path.is_symlink():
            found[name] = os.readlink(path)  # noqa: PTH115
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def write_models(settings: Settings) -> None:
    """Write two revisions of a model, with a folder in one, and a local model."""
    repository = settings.models_dir / "models--org--name"
    shared = {"config.json": b"{}", "model.safetensors": WEIGHTS}
    add_revision(repository, ONE, shared, ("main",))
    add_revision(repository, TWO, shared | {"1_Pooling/a.json": b"[]"}, ("refs/pr/1",))
    local = settings.local_models_dir / "tiny"
    local.mkdir(parents=True)
    (local / ".complete.json").write_text("{}")
    (local / "model.safetensors").write_bytes(b"tiny")


@dataclass
class Archive:
    """
    An archive that is written member by member, right or wrong.

    Args:
        program: Version of the program that it says has written it.
        changes: Fields of its list that are another than they should be.
    """

    program: str = __version__
    changes: dict[str, Any] = field(default_factory=dict)
    members: list[tuple[tarfile.TarInfo, bytes]] = field(default_factory=list)
    listed: list[dict[str, Any]] = field(default_factory=list)

    def file(self, name: str, data: bytes, **header: Any) -> Archive:
        """Add a file, and list it; *header* changes what the archive says of it."""
        self.list_file(name, data)
        return self.hidden(name, data, **header)

    def list_file(self, name: str, data: bytes, **entry: Any) -> Archive:
        """List a file, whether it is there or not."""
        digest = hashlib.sha256(data).hexdigest()
        listed = {"path": name, "size": len(data), "mode": "0600", "sha256": digest}
        self.listed.append(listed | entry)
        return self

    def hidden(self, name: str, data: bytes = b"", **header: Any) -> Archive:
        """Add something, and do not list it."""
        info = tarfile.TarInfo(name)
        info.size = len(data)
        for attribute, value in header.items():
            setattr(info, attribute, value)
        self.members.append((info, data))
        return self

    def link(self, name: str, target: str) -> Archive:
        """Add a symbolic link, and list it."""
        self.listed.append({"path": name, "link": target})
        return self.hidden(name, type=tarfile.SYMTYPE, linkname=target)

    def write(self, path: Path) -> Path:
        """Write it."""
        document = {
            "kind": KIND,
            "format": FORMAT,
            "schema": SCHEMA,
            "program": self.program,
            "created": "2026-01-01T00:00:00+00:00",
            "members": self.listed,
        }
        document |= self.changes
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        data = json.dumps({"sha256": digest} | document).encode()
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, tarfile.TarInfo("manifest.json"), data, is_sized=False)
            for info, content in self.members:
                _add(tar, info, content, is_sized=True)
        return path


def _add(
    tar: tarfile.TarFile, info: tarfile.TarInfo, data: bytes, *, is_sized: bool
) -> None:
    if not is_sized:
        info.size = len(data)
    tar.addfile(info, io.BytesIO(data) if info.isreg() else None)


def with_state(archive: Archive, state: dict[str, bytes]) -> Archive:
    """Add the files of a state."""
    for name, data in state.items():
        archive.file(name, data)
    return archive


def old_archive(path: Path, store: str) -> Path:
    """
    Write what a program of schema 1 would have: the key stood in store.json.

    Args:
        path: Where to.
        store: Name of a store of a published package, in the test data.
    """
    archive = Archive(program="0.0.1", changes={"schema": 1})
    archive.file("main/store.json", (PUBLISHED / store).read_bytes())
    return archive.write(path)


def flipped(data: bytes, places: Iterable[int]) -> Iterable[bytes]:
    """Yield the data with one bit changed, for each place."""
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        yield bytes(changed)
