"""
Deleting a repository or a revision from the cache.

What goes is first moved to a hidden folder, so that an interrupted deletion never looks
like a whole model; what it left is listed, and the next deletion finishes it. The
hidden folder of a revision is a small repository of its own: it gets the references,
then the revision, and only then the blobs that nothing else needs, so that whatever is
still in its place is whole at every moment. Nothing is walked by path: a link that
appears meanwhile leads nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from vllm_pkg.errors import (
    CacheError,
    DeletionIncomplete,
    ModelInUse,
    StateWriteFailed,
)
from vllm_pkg.models.cache import Kind
from vllm_pkg.models.cache_content import REVISION_MARK, unreadable
from vllm_pkg.models.deletion_plan import plan_deletion
from vllm_pkg.models.download.layout import OWN_FOLDER
from vllm_pkg.models.open_folder import open_folder
from vllm_pkg.models.removal import Tally, remove_entry
from vllm_pkg.models.repository_content import (
    BLOBS,
    LEFTOVER_PREFIX,
    LOCKS,
    REFS,
    SNAPSHOTS,
)
from vllm_pkg.models.repository_reader import read_repository
from vllm_pkg.models.running_downloads import is_downloading
from vllm_pkg.models.shared_blobs import collect_unused, linked_payloads

if TYPE_CHECKING:
    from vllm_pkg.models.deletion_plan import DeletionPlan
    from vllm_pkg.models.open_folder import OpenFolder
    from vllm_pkg.settings import Settings

_PARTS: Final = (REFS, SNAPSHOTS, BLOBS)


@dataclass(frozen=True)
class DeletionReport:
    """
    What a deletion did, counted file by file as each was removed.

    Args:
        freed_bytes: Bytes given back by what was named.
        leftover_bytes: Bytes given back by what earlier deletions had left.
        files: How many files and links were removed.
    """

    freed_bytes: int
    leftover_bytes: int
    files: int


def delete_model(
    settings: Settings, key: str, revision: str | None = None
) -> DeletionReport:
    """
    Delete a repository or a revision from the cache, and what earlier deletions left.

    Args:
        settings: Where the cache is.
        key: A repository such as ``org/name``, or another entry's key.
        revision: A commit, the beginning of one, or a reference; None for all.
    Raises:
        NotInCache: it is not there.
        ModelInUse: it is being downloaded.
        DeletionIncomplete: some files could not be removed; it says what was freed.
        CacheError: it is a link to another place, or the cache cannot be read.
    """
    return execute_plan(settings, plan_deletion(settings, key, revision))


def execute_plan(settings: Settings, plan: DeletionPlan) -> DeletionReport:
    """
    Do what a plan says; see `delete_model`.

    Raises:
        ModelInUse: it is being downloaded.
        DeletionIncomplete: some files could not be removed; it says what was freed.
        CacheError: the cache cannot be read.
    """
    path = settings.models_dir.resolve()
    try:
        with open_folder(path) as cache:
            return _execute(cache, plan)
    except OSError as error:
        raise unreadable(path, error) from error


def _execute(cache: OpenFolder, plan: DeletionPlan) -> DeletionReport:
    name = plan.model.path.name
    if is_downloading(cache, name):
        raise ModelInUse(
            f"{plan.model.repo_id} is being downloaded",
            hint="wait until it is there, or stop the download first",
        )
    removed, swept = Tally(), Tally()
    is_left = plan.model.kind is Kind.LEFTOVER
    # First: done again after an interruption, a deletion still finds its target.
    for other in cache.names():
        if other.startswith(LEFTOVER_PREFIX) and not (is_left and other == name):
            _sweep(cache, other, swept)
    try:
        hidden = name if is_left else _hide(cache, plan)
    except StateWriteFailed as error:
        reason = _strerror(error.__cause__)
        raise _incomplete(plan, reason, swept.freed_bytes) from error
    except OSError as error:
        raise _incomplete(plan, _strerror(error), swept.freed_bytes) from error
    _finish(cache, hidden, removed)
    if removed.failures:
        freed_bytes = removed.freed_bytes + swept.freed_bytes
        raise _incomplete(plan, "; ".join(removed.failures[:3]), freed_bytes)
    files = removed.files + swept.files
    return DeletionReport(removed.freed_bytes, swept.freed_bytes, files)


def _incomplete(plan: DeletionPlan, reason: str, freed_bytes: int) -> CacheError:
    return DeletionIncomplete(
        f"not all of {plan.model.repo_id} could be deleted ({reason}); "
        f"{freed_bytes} bytes were freed",
        actual_bytes=freed_bytes,
    )


def _strerror(error: BaseException | None) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number or 0)


def _hide(cache: OpenFolder, plan: DeletionPlan) -> str:
    """
    Move what goes out of the cache's own folders, and return its hidden name.

    Raises:
        OSError: that cannot be done; what was there is still there.
        StateWriteFailed: likewise.
    """
    name = plan.model.path.name
    mark = "" if plan.commit is None else f"{REVISION_MARK}{plan.commit}"
    number = 1
    while cache.status(f"{LEFTOVER_PREFIX}{number}--{name}{mark}") is not None:
        number += 1
    hidden = f"{LEFTOVER_PREFIX}{number}--{name}{mark}"
    if plan.commit is None:
        cache.move(name, cache, hidden)
    else:
        _hide_revision(cache, plan.commit, plan, hidden)
    return hidden


def _hide_revision(
    cache: OpenFolder, commit: str, plan: DeletionPlan, hidden: str
) -> None:
    cache.make_folder(hidden)
    with (
        cache.inside(plan.model.path.name) as repository,
        cache.inside(hidden) as place,
    ):
        for part in _PARTS:
            place.make_folder(part)
        try:
            for ref in plan.refs:
                _move_ref(repository, ref, place)
            # It has no name any more, and is still whole.
            _move_snapshot(repository, commit, place)
        except (OSError, StateWriteFailed):
            with contextlib.suppress(OSError, StateWriteFailed):
                _give_names_back(repository, commit, plan.refs, place)
                remove_entry(cache, hidden, Tally())
            raise


def _move_ref(repository: OpenFolder, ref: str, place: OpenFolder) -> None:
    *folders, last = ref.split("/")
    with repository.inside(REFS, *folders) as source, place.inside(REFS) as target:
        source.move(last, target, quote(ref, safe=""))


def _move_snapshot(repository: OpenFolder, commit: str, place: OpenFolder) -> None:
    with repository.inside(SNAPSHOTS) as source, place.inside(SNAPSHOTS) as target:
        source.move(commit, target, commit)


def _give_names_back(
    repository: OpenFolder, commit: str, refs: tuple[str, ...], place: OpenFolder
) -> None:
    """Undo the beginning; where the revision has gone already, raise instead."""
    with repository.inside(SNAPSHOTS, commit), place.inside(REFS) as source:
        for ref in refs:
            *folders, last = ref.split("/")
            name = quote(ref, safe="")
            # One that could not be made durable has been moved all the same.
            if source.status(name) is not None:
                with repository.inside(REFS, *folders) as target:
                    source.move(name, target, last)


def _sweep(cache: OpenFolder, hidden: str, tally: Tally) -> None:
    """Finish what another deletion left, unless its repository is being downloaded."""
    if REVISION_MARK in hidden and is_downloading(cache, _base_of(hidden)):
        return
    _finish(cache, hidden, tally)


def _finish(cache: OpenFolder, hidden: str, tally: Tally) -> None:
    """Remove a hidden folder; where that fails it stays, for the next deletion."""
    failures = len(tally.failures)
    try:
        if REVISION_MARK in hidden:
            _gather_blobs(cache, hidden)
        payloads = linked_payloads(cache, hidden)
    except StateWriteFailed as error:
        tally.failures.append(f"{hidden}: {_strerror(error.__cause__)}")
        return
    except OSError as error:
        tally.add_failure(hidden, error)
        return
    # First: the hidden links are what tells which payloads are to be looked at.
    collect_unused(cache, payloads, tally)
    if len(tally.failures) == failures:
        _remove_hidden(cache, hidden, tally)


def _remove_hidden(cache: OpenFolder, hidden: str, tally: Tally) -> None:
    base = _base_of(hidden)
    try:
        if REVISION_MARK not in hidden and cache.status(base) is None:
            _remove_locks(cache, base)
        with cache.inside(hidden) as place:
            # The references last: by them, too, a revision is found again.
            for part in (BLOBS, SNAPSHOTS):
                remove_entry(place, part, tally)
    except OSError as error:
        tally.add_failure(hidden, error)
        return
    remove_entry(cache, hidden, tally)


def _gather_blobs(cache: OpenFolder, hidden: str) -> None:
    """
    Move to a hidden revision what only it needs.

    Raises:
        OSError: not all can be read; what the other revisions need is not known then.
        StateWriteFailed: a blob cannot be moved.
    """
    left = read_repository(cache, hidden)
    content = read_repository(cache, _base_of(hidden))
    if left is None or content is None:
        return
    if left.unread or content.unread:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    needed = {blob for commit in content.commits for blob in content.blobs_of(commit)}
    wanted = {blob for commit in left.commits for blob in left.blobs_of(commit)}
    orphans = {f"{BLOBS}/{blob}" for blob in wanted - needed}
    # What was kept of the Hub's answer about revisions that have gone.
    gone = set(left.commits) - set(content.commits)
    orphans |= {f"{OWN_FOLDER}/{commit}.json" for commit in gone}
    orphans &= content.entries.keys()
    if not orphans:
        return
    with cache.inside(hidden) as place:
        if place.status(BLOBS) is None:
            place.make_folder(BLOBS)
    with cache.inside(hidden, BLOBS) as target:
        for path in sorted(orphans):
            folder, _, name = path.partition("/")
            with cache.inside(content.name, folder) as source:
                source.move(name, target, name)


def _base_of(hidden: str) -> str:
    """Return the folder of the repository of which a hidden folder is a part."""
    return hidden.partition("--")[2].partition(REVISION_MARK)[0]


def _remove_locks(cache: OpenFolder, name: str) -> None:
    """Remove the lock files of one repository, which hold no bytes."""
    try:
        with cache.inside(LOCKS) as locks:
            remove_entry(locks, name, Tally())
    except (FileNotFoundError, NotADirectoryError):
        return
