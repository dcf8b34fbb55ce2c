"""What a deletion would remove from the cache, and free; nothing is done here."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from vllm_pkg.errors import CacheError, NotInCache
from vllm_pkg.models.cache import CachedModel, Kind, describe_cache
from vllm_pkg.models.cache_content import (
    REVISION_MARK,
    entries_of,
    is_last,
    read_cache,
)
from vllm_pkg.models.uses import read_uses

if TYPE_CHECKING:
    from vllm_pkg.models.cache_content import CacheContent
    from vllm_pkg.models.repository_content import RepositoryContent
    from vllm_pkg.settings import Settings

COMMIT_MIN_LENGTH: Final = 4


@dataclass(frozen=True)
class DeletionPlan:
    """
    What a deletion would do.

    Args:
        model: The repository, as it is listed.
        commit: The revision that goes; None: the repository with all it holds.
        refs: The references that go with it.
        files: How many files and links go.
        size_bytes: Bytes that those files occupy.
        freed_bytes: Bytes that come free: content that other revisions or models
            share, and files with further names elsewhere, give none.
        leftover_bytes: Bytes of what other interrupted deletions left, which goes too.
    """

    model: CachedModel
    commit: str | None
    refs: tuple[str, ...]
    files: int
    size_bytes: int
    freed_bytes: int
    leftover_bytes: int

    @property
    def shared_bytes(self) -> int:
        """Bytes that stay occupied, because something else needs them."""
        return self.size_bytes - self.freed_bytes


def plan_deletion(
    settings: Settings, key: str, revision: str | None = None
) -> DeletionPlan:
    """
    Find in a fresh listing what a deletion would remove.

    Args:
        settings: Where the cache is.
        key: A repository such as ``org/name``, or another entry's key.
        revision: A commit, the beginning of one, or a reference such as ``main``; None
            for the whole repository.
    Raises:
        NotInCache: it is not there; the hint names what is.
        CacheError: it is a link to another place, or the cache cannot be read.
    """
    cache = read_cache(settings)
    listing = describe_cache(cache, read_uses(settings))
    model, commit = _target(cache, listing, key, revision)
    content = cache.repositories[model.path.name]
    if commit is not None and content.unread:
        # What cannot be read may need the very blobs that would go.
        raise CacheError(
            f"{content.unread[0]} of {model.repo_id} cannot be read, so that what its "
            "revisions share is not known",
            hint="check its owner and permissions, or remove the whole repository",
        )
    if commit is not None and is_last(content, commit):
        commit = None
    paths = entries_of(content, commit)
    files = {cache.file_of(content, path) for path in paths}
    sizes = {item.identity: item.size_bytes for item in files if item is not None}
    return DeletionPlan(
        model=model,
        commit=commit,
        refs=tuple(
            sorted(ref for ref, to in content.refs.items() if commit in {None, to})
        ),
        files=len(paths),
        size_bytes=sum(sizes.values()),
        freed_bytes=cache.freed_bytes(content, paths),
        leftover_bytes=sum(
            item.own_bytes
            for item in listing
            if item.kind is Kind.LEFTOVER and item != model
        ),
    )


def _target(
    cache: CacheContent, listing: tuple[CachedModel, ...], key: str, wanted: str | None
) -> tuple[CachedModel, str | None]:
    """Return the repository or leftover, and which revision of it."""
    entries = {entry.key: entry for entry in listing}
    # What an interrupted deletion left is also found by the repository's name.
    leftovers = [
        entry
        for entry in listing
        if entry.kind is Kind.LEFTOVER and entry.repo_id == key
    ]
    model = entries.get(key)
    if wanted is None or (model is not None and model.kind is Kind.LEFTOVER):
        found = model or next(iter(leftovers), None)
        return (found, None) if found else _refuse(cache, entries, key)
    content = cache.repositories[model.path.name] if model else None
    commit = content and _commit_of(content.refs, content.commits, wanted)
    if model and commit:
        return model, commit
    for leftover in leftovers:
        commit = _deleted_commit(cache.repositories[leftover.path.name], wanted)
        if commit is None:
            continue
        # Interrupted before the revision itself was moved, it is finished as it began.
        is_there = model and content and commit in content.commits
        return (model, commit) if model and is_there else (leftover, None)
    if model is None:
        return _refuse(cache, entries, key)
    raise NotInCache(
        f"{key} has no revision {wanted} in the cache", hint=_revisions_hint(model)
    )


def _commit_of(
    refs: dict[str, str], commits: tuple[str, ...], wanted: str
) -> str | None:
    """Return the one commit that a reference or the beginning of a commit means."""
    if refs.get(wanted) in commits:
        return refs[wanted]
    if wanted in commits:
        return wanted
    found = [commit for commit in commits if commit.startswith(wanted)]
    is_clear = len(found) == 1 and len(wanted) >= COMMIT_MIN_LENGTH
    return found[0] if is_clear else None


def _deleted_commit(leftover: RepositoryContent, wanted: str) -> str | None:
    """Return the commit of a leftover of a revision, when that is the wanted one."""
    commit = leftover.name.partition(REVISION_MARK)[2]
    if not commit:
        return None
    refs = {unquote(name): to for name, to in leftover.refs.items()}
    return _commit_of(refs, (commit,), wanted)


def _refuse(
    cache: CacheContent, entries: dict[str, CachedModel], key: str
) -> tuple[CachedModel, None]:
    if (cache.path / f"models--{key.replace('/', '--')}").is_symlink():
        raise CacheError(
            f"{key} is a link to a folder outside the cache",
            hint="remove the link and that folder by hand",
        )
    similar = difflib.get_close_matches(key, entries, n=1)
    hint = f"did you mean {similar[0]}?" if similar else None
    raise NotInCache(f"{key} is not in the cache", hint=hint)


def _revisions_hint(model: CachedModel) -> str:
    names = [
        f"{item.commit[:12]} ({', '.join(item.refs)})"
        if item.refs
        else item.commit[:12]
        for item in model.revisions
    ]
    return f"it has {', '.join(names)}" if names else "it has no revision at all"
