"""Removing revisions: the plan, what goes, what stays, and what is refused."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time

import pytest

from support.model_cache import (
    ONE,
    TWO,
    add_revision,
    contents,
    names_below,
    occupied_bytes,
    share_blob,
)
from support.settings_factory import make_settings
from vllm_pkg.errors import CacheError, DeletionIncomplete, ModelInUse, NotInCache
from vllm_pkg.models import running_downloads
from vllm_pkg.models.deletion import delete_model
from vllm_pkg.models.deletion_plan import plan_deletion

THREE = "3" * 40
SHARED, OLD, NEW = b"s" * 3000, b"o" * 1000, b"n" * 2000


@pytest.fixture(name="settings")
def settings_fixture(tmp_path, monkeypatch):
    """Settings over a repository with two revisions that share a file."""
    monkeypatch.setattr(running_downloads, "WATCH_S", 0)
    return make_cache(tmp_path)


def make_cache(folder):
    """Make a cache with a repository of two revisions that share a file."""
    settings = make_settings(folder)
    repository = settings.models_dir / "models--org--name"
    first = {"a.bin": SHARED, "b.bin": OLD}
    add_revision(repository, ONE, first, ("main", "refs/pr/1"))
    add_revision(repository, TWO, {"a.bin": SHARED, "sub/c.bin": NEW}, ("v2",))
    return settings


def repository_of(settings):
    """Return the folder of the repository."""
    return settings.models_dir / "models--org--name"


@pytest.mark.parametrize("revision", ["v2", TWO, TWO[:4], TWO[:12]])
def test_a_revision_goes_and_the_other_stays(settings, revision):
    """A revision is named by reference or commit; only what it alone holds goes."""
    plan = plan_deletion(settings, "org/name", revision)
    assert (plan.commit, plan.refs, plan.files) == (TWO, ("v2",), 4)
    assert (plan.size_bytes, plan.freed_bytes) == (3000 + 2000 + 40, 2000 + 40)
    assert (plan.shared_bytes, plan.leftover_bytes) == (3000, 0)
    before = occupied_bytes(settings.models_dir)
    report = delete_model(settings, "org/name", revision)
    assert report.freed_bytes == 2040
    assert before - occupied_bytes(settings.models_dir) == 2040
    repository = repository_of(settings)
    kept = {"a.bin": SHARED, "b.bin": OLD}
    assert contents(repository / "snapshots" / ONE) == kept
    assert (repository / "refs" / "main").read_text() == ONE
    assert not (repository / "refs" / "v2").exists()
    assert [path.name for path in settings.models_dir.iterdir()] == [repository.name]


def test_nested_references_go_with_their_revision(settings):
    """A reference of a pull request stands in folders of its own."""
    assert plan_deletion(settings, "org/name", "refs/pr/1").refs == (
        "main",
        "refs/pr/1",
    )
    delete_model(settings, "org/name", "refs/pr/1")
    left = {path for path in names_below(settings.models_dir) if "refs/" in path}
    names = {"refs/v2", "refs/refs", "refs/refs/pr"}
    assert left == {f"models--org--name/{name}" for name in names}


def test_with_the_last_revision_the_repository_goes(settings):
    """When nothing else is left, nothing is kept."""
    delete_model(settings, "org/name", "v2")
    plan = plan_deletion(settings, "org/name", "main")
    assert (plan.commit, plan.refs) == (None, ("main", "refs/pr/1"))
    assert delete_model(settings, "org/name", "main").freed_bytes == 4000 + 80
    assert list(settings.models_dir.iterdir()) == []


def test_a_partial_download_outlives_the_last_revision(settings):
    """Bytes of a file that has not come yet belong to no revision, and stay."""
    delete_model(settings, "org/name", "v2")
    part = repository_of(settings) / "blobs" / "etag.incomplete"
    part.write_bytes(b"p" * 500)
    assert plan_deletion(settings, "org/name", "main").commit == ONE
    delete_model(settings, "org/name", "main")
    assert part.read_bytes() == b"p" * 500


def test_hard_links_are_not_counted(settings, tmp_path):
    """Bytes that another name holds are neither planned nor reported."""
    blob = (repository_of(settings) / "snapshots" / TWO / "sub" / "c.bin").resolve()
    os.link(blob, tmp_path / "kept")
    assert plan_deletion(settings, "org/name", "v2").freed_bytes == 40
    assert delete_model(settings, "org/name", "v2").freed_bytes == 40


def test_two_names_inside_are_one_file(settings):
    """A file with two names that both go is freed once."""
    blobs = repository_of(settings) / "blobs"
    blob = (repository_of(settings) / "snapshots" / TWO / "sub" / "c.bin").resolve()
    os.link(blob, blobs / "again")
    assert plan_deletion(settings, "org/name").freed_bytes == 6000 + 3 * 40
    assert delete_model(settings, "org/name").freed_bytes == 6000 + 3 * 40


def test_shared_payloads_stay_for_others(settings):
    """Content of the store is planned and freed only with its last user."""
    repository = repository_of(settings)
    other = repository.with_name("models--org--other")
    add_revision(other, ONE, {"x.bin": NEW})
    payload = share_blob(repository, NEW)
    share_blob(other, NEW)
    assert plan_deletion(settings, "org/name", "v2").freed_bytes == 40
    assert delete_model(settings, "org/name", "v2").freed_bytes == 40
    assert payload.read_bytes() == NEW
    plan = plan_deletion(settings, "org/other")
    before = occupied_bytes(settings.models_dir)
    assert delete_model(settings, "org/other").freed_bytes == plan.freed_bytes
    assert before - occupied_bytes(settings.models_dir) == plan.freed_bytes > 2000


@pytest.mark.parametrize("revision", ["v3", "222", "2" * 39 + "3", "..", "", "\0"])
def test_a_revision_that_is_not_there_is_refused(settings, revision):
    """What is no revision is refused with those that are there."""
    with pytest.raises(NotInCache, match="has no revision") as caught:
        plan_deletion(settings, "org/name", revision)
    assert f"{ONE[:12]} (main, refs/pr/1)" in caught.value.hint


def test_the_beginning_of_two_commits_names_neither(settings):
    """A beginning that two revisions have in common is refused."""
    add_revision(repository_of(settings), TWO[:-1] + "0", {"d.bin": b"d"})
    with pytest.raises(NotInCache) as caught:
        plan_deletion(settings, "org/name", TWO[:12])
    assert f"{TWO[:12]}," in caught.value.hint


def test_a_revision_of_nothing_is_refused(settings):
    """Without the repository there is no revision of it, and it may have none."""
    with pytest.raises(NotInCache, match="org/nme is not in the cache") as caught:
        plan_deletion(settings, "org/nme", "main")
    assert caught.value.hint == "did you mean org/name?"
    (settings.models_dir / "models--org--empty").mkdir()
    with pytest.raises(NotInCache) as caught:
        plan_deletion(settings, "org/empty", "main")
    assert caught.value.hint == "it has no revision at all"


def hide(settings, *, refs=("v2",), is_moved=True):
    """Leave what an interrupted deletion of the second revision leaves."""
    repository = repository_of(settings)
    hidden = settings.models_dir / f".deleting-1--{repository.name}@{TWO}"
    for part in ("refs", "snapshots", "blobs"):
        (hidden / part).mkdir(parents=True)
    for ref in refs:
        (repository / "refs" / ref).rename(hidden / "refs" / ref)
    if is_moved:
        (repository / "snapshots" / TWO).rename(hidden / "snapshots" / TWO)
    return hidden


@pytest.mark.parametrize("revision", ["v2", TWO[:12], None])
@pytest.mark.parametrize("is_moved", [True, False])
def test_an_interrupted_deletion_is_finished(settings, revision, is_moved):
    """Done again by the same name, a deletion comes to its end."""
    hide(settings, is_moved=is_moved)
    delete_model(settings, "org/name", revision)
    left = [] if revision is None else ["models--org--name"]
    assert [path.name for path in settings.models_dir.iterdir()] == left
    if revision is not None:
        assert len(list((repository_of(settings) / "blobs").iterdir())) == 2


def test_what_was_left_is_named_by_its_folder(settings):
    """The listing's own name of a leftover is one, with or without a revision."""
    hidden = hide(settings)
    assert delete_model(settings, f"leftover/{hidden.name}", "v2").freed_bytes == 2040
    assert not hidden.exists()


def test_a_leftover_whose_repository_has_gone(settings):
    """What is left of a revision can be removed when its repository is not there."""
    hidden = hide(settings)
    repository_of(settings).rename(settings.models_dir / "models--org--moved")
    with pytest.raises(NotInCache):
        plan_deletion(settings, "org/name", "main")
    assert delete_model(settings, "org/name", "v2").freed_bytes == 40
    assert not hidden.exists()


def test_a_leftover_of_the_whole_has_no_revisions(settings):
    """What was left of a whole repository is not taken for one of its revisions."""
    add_revision(
        settings.models_dir / ".deleting-1--models--org--old", ONE, {"x": b"x"}
    )
    with pytest.raises(NotInCache, match="org/old is not in the cache"):
        plan_deletion(settings, "org/old", ONE)
    assert delete_model(settings, "org/old").freed_bytes == 1


def test_a_hidden_name_that_is_taken(settings, monkeypatch):
    """A deletion that cannot end leaves its folder; the next one takes another name."""
    with monkeypatch.context() as patch:
        refuse(patch, "rmdir", lambda path: path.startswith(".deleting-"))
        for name in ("org/name", "org/name"):
            repository = repository_of(settings)
            if not repository.exists():
                add_revision(repository, ONE, {"a.bin": SHARED}, ("main",))
            with pytest.raises(DeletionIncomplete):
                delete_model(settings, name)
    left = sorted(path.name for path in settings.models_dir.iterdir())
    assert left == [f".deleting-{n}--models--org--name" for n in (1, 2)]
    assert delete_model(settings, "org/name").freed_bytes == 0
    assert list(settings.models_dir.iterdir()) == []


def test_a_blob_that_cannot_be_moved(settings, monkeypatch):
    """What only the revision needs stays with the rest for the next deletion."""
    blob = hashlib.sha256(NEW).hexdigest()
    with monkeypatch.context() as patch:
        refuse(patch, "replace", lambda path: path.endswith(blob))
        with pytest.raises(DeletionIncomplete, match="Permission denied") as caught:
            delete_model(settings, "org/name", "v2")
    assert caught.value.actual_bytes == 0
    assert delete_model(settings, "org/name", "v2").freed_bytes == 2040


def test_a_revision_that_came_back_keeps_its_files(settings):
    """What was downloaded again meanwhile is not swept with what was left."""
    hide(settings)
    repository = repository_of(settings)
    add_revision(repository, TWO, {"a.bin": SHARED, "sub/c.bin": NEW}, ("v2",))
    add_revision(settings.models_dir / "models--org--more", ONE, {"m.bin": b"m"})
    assert delete_model(settings, "org/more").leftover_bytes == 40
    assert contents(repository / "snapshots" / TWO) == {
        "a.bin": SHARED,
        "sub/c.bin": NEW,
    }


def test_a_leftover_without_its_folder_for_blobs(settings):
    """A deletion that was interrupted at its very end can be finished, too."""
    hidden = hide(settings)
    (hidden / "blobs").rmdir()
    delete_model(settings, "org/name", "v2")
    assert not hidden.exists()


def test_leftovers_wait_for_a_running_download(settings):
    """While its repository is downloaded, what was left of a revision stays."""
    hidden = hide(settings)
    part = repository_of(settings) / "blobs" / "etag.incomplete"
    part.write_bytes(b"")
    add_revision(settings.models_dir / "models--org--more", ONE, {"m.bin": b"m"})

    def grow(_):
        part.write_bytes(part.read_bytes() + b"p")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", grow)
        with pytest.raises(ModelInUse, match="org/name is being downloaded"):
            delete_model(settings, "org/name")
        assert delete_model(settings, "org/more").leftover_bytes == 0
    assert hidden.exists()


def refuse(monkeypatch, function, refused):
    """Let a function of the system refuse certain names."""
    real = getattr(os, function)

    def refusing(path, *arguments, **options):
        if refused(str(path)):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, function, refusing)


@pytest.mark.parametrize(
    ("function", "name"), [("replace", TWO), ("mkdir", "snapshots"), ("replace", "v2")]
)
def test_a_revision_that_cannot_be_moved_stays_whole(
    settings, monkeypatch, function, name
):
    """Where the beginning fails, references and files are as they were."""
    before = names_below(settings.models_dir)
    with monkeypatch.context() as patch:
        refuse(patch, function, lambda path: path.rsplit("/", 1)[-1] == name)
        with pytest.raises(DeletionIncomplete, match="Permission denied") as caught:
            delete_model(settings, "org/name", "v2")
    assert caught.value.actual_bytes == 0
    left = {name for name in names_below(settings.models_dir) if "deleting" not in name}
    assert left == before
    assert delete_model(settings, "org/name", "v2").freed_bytes == 2040


@pytest.mark.parametrize(
    "function", ["unlink", "rmdir", "replace", "mkdir", "listdir", "readlink", "stat"]
)
def test_whatever_fails_later_is_done_the_next_time(tmp_path, monkeypatch, function):
    """From whatever step on all fail, the kept revision is whole, and all can end."""
    kept, raised = {"a.bin": SHARED, "b.bin": OLD}, 0
    for count in range(0, 60, 3):
        settings = make_cache(tmp_path / str(count))
        share_blob(repository_of(settings), NEW)
        calls = iter(range(10_000))
        with monkeypatch.context() as patch:
            refuse(patch, function, lambda _, n=calls, c=count: next(n) >= c)
            with contextlib.suppress(CacheError):
                delete_model(settings, "org/name", "v2")
                raised -= 1
            raised += 1
        kept_now = contents(repository_of(settings) / "snapshots" / ONE)
        with contextlib.suppress(NotInCache):
            delete_model(settings, "org/name", "v2")
        assert kept_now == contents(repository_of(settings) / "snapshots" / ONE) == kept
        assert len(list((repository_of(settings) / "blobs").iterdir())) == 2
    assert raised


def test_what_cannot_be_read_may_need_anything(settings, monkeypatch):
    """A revision is not removed while another one cannot be read; the whole may be."""
    refuse(monkeypatch, "open", lambda path: path == ONE)
    with pytest.raises(CacheError, match=f"snapshots/{ONE} of org/name cannot be read"):
        delete_model(settings, "org/name", "v2")
    with pytest.raises(DeletionIncomplete):
        delete_model(settings, "org/name")


def test_what_was_left_is_not_finished_blindly(settings, monkeypatch):
    """Where the kept revisions cannot be read, nothing that was left is removed."""
    hidden = hide(settings)
    refuse(monkeypatch, "open", lambda path: path == ONE)
    with pytest.raises(DeletionIncomplete, match="Permission denied"):
        delete_model(settings, f"leftover/{hidden.name}")
    assert hidden.exists()
    assert len(list((repository_of(settings) / "blobs").iterdir())) == 3
