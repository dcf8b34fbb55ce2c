"""T22 and T23: what deletions in the model cache refuse, and never touch."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from support.crash.link_races import PLACES, Swapper, set_trap, swapping
from support.guarantees.plugin import is_long
from support.model_cache import ONE, TWO, add_revision, digest
from support.settings_factory import make_settings
from vllm_pkg.actions.model_removal import remove
from vllm_pkg.errors import CacheError, ModelInUse, NotInCache, ServiceError
from vllm_pkg.models.deletion import delete_model
from vllm_pkg.models.deletion_plan import plan_deletion
from vllm_pkg.state.store import ModelSelection, update_store

INSIDE = (
    "Whatever link appears in the cache while something is deleted, nothing outside of"
    " the cache is touched"
)
NAMES = (
    *("", ".", "..", "../..", "/", "/etc", "../outside", "org/../../outside"),
    *("models--org--name", "org--name", "org/name/", "org/name\0", "org\\name"),
    *(
        "\uff2f\uff32\uff27/name",
        "org/n\u00e4me",
        "org/name@main",
        "leftover/../../outside",
    ),
    *("dataset/../models--org--name", ".locks", "blobs", "org/name/../name", "*"),
)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings over a cache with one model of two revisions."""
    settings = make_settings(tmp_path)
    repository = settings.models_dir / "models--org--name"
    add_revision(repository, ONE, {"config.json": b"{}", "m.bin": b"m"}, ("main",))
    add_revision(repository, TWO, {"config.json": b"{}", "n.bin": b"n"}, ("v2",))
    return settings


def select(settings, *serve_args):
    """Select a model by its arguments."""
    chosen = ModelSelection("custom")
    update_store(settings, lambda store: store.with_model(serve_args, (), chosen))


@contextlib.contextmanager
def held_lock(settings):
    """Hold the lock that a download holds."""
    folder = settings.models_dir / ".locks" / "models--org--name"
    folder.mkdir(parents=True)
    with (folder / "etag.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def held_part(settings):
    """Hold the partial file itself, as a program of another kind may do."""
    blobs = settings.models_dir / "models--org--name" / "blobs"
    with (blobs / "etag.incomplete").open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def growing_part(settings):
    """Let a partial file grow each time somebody waits."""
    blobs = settings.models_dir / "models--org--name" / "blobs"
    part = blobs / "etag.incomplete"
    part.write_bytes(b"")
    yield


def selected(*serve_args):
    """Return a state in which a model is selected by these arguments."""

    @contextlib.contextmanager
    def state(settings):
        select(settings, *serve_args)
        yield

    return state


STATES = {
    "selected": (selected("org/name"), None),
    "selected-revision": (selected("org/name"), "main"),
    "pinned": (selected("org/name", "--revision", TWO), "v2"),
    "tokenizer": (selected("big/one", "--tokenizer", "org/name"), None),
    "draft": (
        selected("big/one", "--speculative-config", '{"model": "org/name"}'),
        None,
    ),
    "downloading": (held_lock, None),
    "downloading-revision": (held_lock, "v2"),
    "partial-locked": (held_part, None),
    "partial-growing": (growing_part, None),
}


def test_models_in_use_and_downloads_stay(settings, monkeypatch, guarantee):
    """T22: what is selected, or being downloaded, is refused and stays as it is."""
    part = settings.models_dir / "models--org--name" / "blobs" / "etag.incomplete"
    changed, allowed = [], []

    def grow(_):
        part.write_bytes(b"grown")

    monkeypatch.setattr(time, "sleep", grow)
    for name, (state, revision) in STATES.items():
        with state(settings):
            # The partial file is what the test itself writes to.
            before = digest(settings.models_dir, (".incomplete",))
            try:
                remove(settings, plan_deletion(settings, "org/name", revision))
                allowed.append(name)
            except ModelInUse:
                if digest(settings.models_dir, (".incomplete",)) != before:
                    changed.append(name)
        shutil.rmtree(settings.models_dir / ".locks", ignore_errors=True)
        part.unlink(missing_ok=True)
        select(settings, "big/one")
    guarantee(
        "T22",
        "A model that is selected, or that is being downloaded, cannot be deleted",
        tried=len(STATES),
        violations=len(changed) + len(allowed),
        unit="states",
        control="without that state each deletion is done",
    )
    assert allowed == []
    assert changed == []
    remove(settings, plan_deletion(settings, "org/name", "v2"))
    remove(settings, plan_deletion(settings, "org/name"))
    assert list(settings.models_dir.glob("models--*")) == []


@pytest.mark.parametrize("revision", [None, "main", "..", "/", "\0", "../../outside"])
def test_names_that_are_none_are_refused(settings, tmp_path, guarantee, revision):
    """T23: no name leads anywhere but to an entry of the listing."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("precious")
    before = digest(tmp_path)
    accepted = []
    names = NAMES if revision in {None, "main"} else (*NAMES, "org/name")
    for name in names:
        with contextlib.suppress(NotInCache):
            delete_model(settings, name, revision)
            accepted.append(name)
    guarantee(
        "T23",
        "A name that is not in the listing is refused, and nothing is touched",
        tried=len(names),
        violations=len(accepted) + (digest(tmp_path) != before),
        unit="names",
        control="the listed name is deleted",
    )
    assert accepted == []
    assert digest(tmp_path) == before
    delete_model(settings, "org/name")
    assert digest(tmp_path) != before


def naive_delete(settings, revision):
    """Delete by path, as a program does that thinks of no link: the control."""
    folder = settings.models_dir / "models--org--name"
    if revision is not None:
        folder = folder / "snapshots" / TWO
    for parent, _, names in os.walk(folder):
        for name in names:
            os.unlink(os.path.join(parent, name))  # noqa: PTH108, PTH118


def careful_delete(settings, revision):
    """Delete with the code under test."""
    delete_model(settings, "org/name", revision)


def delete_with(trap, delete, revision, swapper, monkeypatch):
    """Delete while something is swapped; return whether what is outside was touched."""
    before = digest(trap.outside)
    with monkeypatch.context() as patch, contextlib.suppress(ServiceError, OSError):
        swapper.install(patch)
        delete(make_settings(trap.cache.parents[1]), revision)
    return digest(trap.outside) != before


def sweep_moments(tmp_path, monkeypatch, delete):
    """Swap before every step of a deletion; return the tries and what was touched."""
    tried, touched = 0, []
    share = 1 if is_long() else 7
    for number, where in enumerate(PLACES):
        for is_back in (False, True):
            revision = "v2" if (number + is_back) % 2 else None
            trap = set_trap(tmp_path / f"{number}-{is_back}", where)
            peace = Swapper(trap, 0, is_back=False)
            delete_with(trap, delete, revision, peace, monkeypatch)
            for at in range(1 + number % share, peace.steps + 1, share):
                folder = tmp_path / f"{number}-{is_back}-{at}"
                trap = set_trap(folder, where)
                swapper = Swapper(trap, at, is_back=is_back)
                tried += 1
                if delete_with(trap, delete, revision, swapper, monkeypatch):
                    touched.append(f"{where} at {at}, back {is_back}")
                shutil.rmtree(folder)
    return tried, touched


@pytest.mark.timeout(600)
def test_a_link_at_every_moment(tmp_path, monkeypatch, guarantee):
    """T23: a folder becomes a link before each single step of a deletion."""
    tried, touched = sweep_moments(tmp_path, monkeypatch, careful_delete)
    guarantee(
        "T23",
        INSIDE,
        tried=tried,
        violations=len(touched),
        unit="moments",
        control="a deletion by paths: found",
    )
    assert touched == []
    assert tried >= (1000 if is_long() else 300)


def test_the_moments_find_a_deletion_by_paths(tmp_path, monkeypatch):
    """T23: a deletion that walks by path is seen to touch what is outside."""
    _, touched = sweep_moments(tmp_path, monkeypatch, naive_delete)
    assert touched


def race(tmp_path, where, count, delete):
    """Delete while another process swaps; return how each ended, and what went."""
    ended, touched = [], []
    place = Path(tempfile.mkdtemp(dir=tmp_path))
    folder = place / "race"
    with swapping(folder, where):
        for number in range(count):
            trap = set_trap(folder, where)
            before = digest(trap.outside)
            try:
                delete(make_settings(folder), "v2" if number % 2 else None)
                ended.append("done")
            except (CacheError, OSError):
                ended.append("refused")
            # In one step out of the other process's sight.
            left = folder.rename(place / f"race-{number}")
            if digest(left / "outside") != before:
                touched.append(f"{where}, race {number}")
            # An exchange that had begun before the move may end after it.
            shutil.rmtree(left, ignore_errors=True)
    return ended, touched


@pytest.mark.timeout(600)
def test_races_with_another_process(tmp_path, guarantee):
    """T23: another process exchanges folder and link all the time."""
    count = 112 if is_long() else 34
    raced = [race(tmp_path, where, count, careful_delete) for where in PLACES]
    ended = [item for some, _ in raced for item in some]
    touched = [item for _, some in raced for item in some]
    _, seen = race(tmp_path, PLACES[0], 60, naive_delete)
    done = ended.count("done")
    guarantee(
        "T23",
        INSIDE,
        tried=len(ended),
        violations=len(touched),
        unit=f"races ({done} deletions done, {len(ended) - done} refused)",
        control="a deletion by paths: found",
    )
    assert touched == []
    assert len(ended) >= (1000 if is_long() else 300)
    assert set(ended) == {"done", "refused"}
    assert seen
