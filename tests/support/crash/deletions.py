"""
Deletions in the model cache, each over a cache of its own: what is done, what stays.

`MUTANTS` are deletions that look right: a test that does not find them proves nothing.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from support.model_cache import ONE, TWO, add_revision, contents, index_of, share_blob
from vllm_pkg.models import deletion
from vllm_pkg.models.repository_reader import read_repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm_pkg.settings import Settings

SMALL: Final = b"config" * 10
FIRST: Final = b"a" * 9000
SECOND: Final = b"b" * 9001
THIRD: Final = b"c" * 9002


@dataclass(frozen=True)
class Deletion:
    """
    One deletion.

    Args:
        name: For messages and folders.
        prepare: Fills the cache.
        key: What is deleted.
        revision: Which revision of it; None: all.
        kept: Repositories and revisions that must stay as they are.
    """

    name: str
    prepare: Callable[[Path], object]
    key: str
    revision: str | None
    kept: tuple[tuple[str, str], ...]


def _other(cache: Path) -> Path:
    repository = cache / "models--org--other"
    add_revision(repository, ONE, {"config.json": SMALL, "m.bin": SECOND}, ("main",))
    return repository


def _repository(cache: Path) -> Path:
    _other(cache)
    repository = cache / "models--org--name"
    shards = {"m-1.safetensors": FIRST, "m-2.safetensors": SECOND}
    index = {"model.safetensors.index.json": index_of(*shards)}
    files = {"config.json": SMALL} | index | shards
    add_revision(repository, ONE, files, ("main", "refs/pr/1"))
    locks = cache / ".locks" / repository.name
    locks.mkdir(parents=True)
    (locks / "etag.lock").touch()
    return repository


def _revision(cache: Path) -> Path:
    repository = _repository(cache)
    files = {"config.json": SMALL, "m-1.safetensors": FIRST, "sub/m.bin": THIRD}
    add_revision(repository, TWO, files, ("v2",))
    own = repository / ".vllm-pkg"
    own.mkdir()
    for commit in (ONE, TWO):
        (own / f"{commit}.json").write_text(f'{{"commit": "{commit}"}}')
    return repository


def _store(cache: Path) -> Path:
    repository = _repository(cache)
    share_blob(repository, FIRST)
    share_blob(repository, SECOND)
    share_blob(cache / "models--org--other", SECOND)
    return repository


def _store_revision(cache: Path) -> Path:
    repository = _revision(cache)
    for content in (FIRST, SECOND, THIRD):
        share_blob(repository, content)
    return repository


def _leftovers(cache: Path) -> None:
    """Leave what two interrupted deletions leave; a third one follows."""
    repository = _revision(cache)
    hidden = cache / f".deleting-1--{repository.name}@{TWO}"
    for part in ("snapshots", "refs", "blobs"):
        (hidden / part).mkdir(parents=True)
    (repository / "snapshots" / TWO).rename(hidden / "snapshots" / TWO)
    (repository / "refs" / "v2").rename(hidden / "refs" / "v2")
    old = cache / ".deleting-1--models--org--old"
    add_revision(old, ONE, {"m.bin": b"o" * 5000}, ("main",))
    share_blob(old, b"o" * 5000)
    add_revision(cache / "models--org--more", ONE, {"m.bin": b"p" * 5000}, ("main",))


_OTHER: Final = ("models--org--other", ONE)
_FIRST: Final = ("models--org--name", ONE)
DELETIONS: Final = (
    Deletion("repository", _repository, "org/name", None, (_OTHER,)),
    Deletion("revision", _revision, "org/name", "v2", (_OTHER, _FIRST)),
    Deletion("store", _store, "org/name", None, (_OTHER,)),
    Deletion("store-revision", _store_revision, "org/name", TWO, (_OTHER, _FIRST)),
    Deletion("leftovers", _leftovers, "org/more", None, (_OTHER, _FIRST)),
)


def kept_contents(cache: Path, case: Deletion) -> dict[str, Any]:
    """Return what the revisions that must stay hold, with their references."""
    found: dict[str, Any] = {}
    for name, commit in case.kept:
        files = contents(cache / name / "snapshots" / commit)
        refs = {
            str(path.relative_to(cache)): path.read_text()
            for path in sorted((cache / name / "refs").rglob("*"))
            if path.is_file() and path.read_text() == commit
        }
        found[f"{name}@{commit}"] = {"files": files, "refs": refs}
    return found


def _blobs_first(real: Callable[..., str]) -> Callable[..., str]:
    """Remove the content while the model still has its name."""

    def hide(cache: Any, plan: Any) -> str:
        for blob in sorted((plan.model.path / "blobs").iterdir()):
            if plan.commit is None:
                blob.unlink()
        return real(cache, plan)

    return hide


def _all_blobs(_: Callable[..., None]) -> Callable[..., None]:
    """Take all blobs of a revision, whoever else needs them."""

    def gather(cache: Any, hidden: str) -> None:
        base = hidden.partition("--")[2].partition("@")[0]
        left = read_repository(cache, hidden)
        assert left is not None
        with (
            contextlib.suppress(FileNotFoundError),
            cache.inside(base, "blobs") as source,
            cache.inside(hidden, "blobs") as target,
        ):
            for commit in left.commits:
                for blob in left.blobs_of(commit):
                    if source.status(blob) is not None:
                        source.move(blob, target, blob)

    return gather


def _planned_bytes(real: Callable[..., Any]) -> Callable[..., Any]:
    """Report what was planned, not what was done."""

    def incomplete(plan: Any, reason: str, _: int) -> Any:
        return real(plan, reason, plan.freed_bytes)

    return incomplete


def _forgets_payloads(_: Callable[..., None]) -> Callable[..., None]:
    """Remove what is hidden, and leave the content that nobody uses any more."""

    def collect(*_: Any) -> None:
        return

    return collect


MUTANTS: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "blobs-first": ("_hide", _blobs_first),
    "all-blobs": ("_gather_blobs", _all_blobs),
    "planned-bytes": ("_incomplete", _planned_bytes),
    "forgets-payloads": ("collect_unused", _forgets_payloads),
}


def apply_mutant(name: str) -> None:
    """Put a mutant in the place of the real function, for good in this process."""
    attribute, make = MUTANTS[name]
    setattr(deletion, attribute, make(getattr(deletion, attribute)))


def run_deletion(settings: Settings, case: Deletion) -> deletion.DeletionReport:
    """Delete what a case says."""
    return deletion.delete_model(settings, case.key, case.revision)
