"""The cache view tells files that were cut, without reading more than headers."""

from __future__ import annotations

import json
import os

import pytest

from support.hub_cache import COMMIT, write_cached_model
from support.model_cache import ONE, TWO, add_revision, share_blob, weights_of
from support.settings_factory import make_settings
from vllm_pkg.models import repository_reader
from vllm_pkg.models.cache import list_cached
from vllm_pkg.models.download import hashing
from vllm_pkg.models.download.layout import RepositoryFolder
from vllm_pkg.models.download.listing import Listing, RemoteFile

WEIGHTS = "model.safetensors"
CONFIG = b'{"architectures": ["LlamaForCausalLM"]}'


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """A cache with the tiny model, as other programs leave it."""
    settings = make_settings(tmp_path)
    write_cached_model(settings.models_dir, "org/name")
    return settings


@pytest.fixture(name="folder")
def folder_fixture(settings):
    """The tiny model's folder."""
    return RepositoryFolder(settings.models_dir, "org/name")


def is_partial(settings):
    """Whether the one repository is partial, which its one revision is, too."""
    (entry,) = list_cached(settings)
    (revision,) = entry.revisions
    assert revision.is_partial is entry.is_partial
    return entry.is_partial


def keep_listing(folder, sizes_bytes, wanted):
    """Keep a listing of the Hub beside a repository."""
    files = tuple(
        RemoteFile(name, size_bytes, "a" * 64)
        for name, size_bytes in sizes_bytes.items()
    )
    folder.own_path.mkdir(exist_ok=True)
    listing = Listing("org/name", COMMIT, files, frozenset(wanted))
    folder.listing_file(COMMIT).write_text(json.dumps(listing.as_json()))


def test_whole_weights_are_complete(settings):
    """The control: nothing was cut."""
    assert not is_partial(settings)


@pytest.mark.parametrize("left_bytes", [0, 7, 8, 1000, -1])
def test_cut_weights_are_partial(settings, folder, left_bytes):
    """Wherever they were cut, their header, or its lack, tells it."""
    path = folder.pointer(COMMIT, WEIGHTS)
    os.truncate(path, left_bytes % path.stat().st_size)

    assert is_partial(settings)


def test_weights_with_too_much_are_partial(settings, folder):
    """A header that is shorter than the file is not believed either."""
    with folder.pointer(COMMIT, WEIGHTS).open("ab") as stream:
        stream.write(b"x")

    assert is_partial(settings)


def test_cut_weights_beside_links_are_partial(settings, folder):
    """Where the file system knows no links, snapshots hold the files themselves."""
    path = folder.pointer(COMMIT, WEIGHTS)
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    whole = is_partial(settings)
    os.truncate(path, 1000)

    assert (whole, is_partial(settings)) == (False, True)


def test_cut_weights_in_the_shared_store_are_partial(tmp_path):
    """The content that models share is looked at, too."""
    settings = make_settings(tmp_path)
    repository = settings.models_dir / "models--org--name"
    content = weights_of(3000)
    add_revision(repository, ONE, {"config.json": CONFIG, WEIGHTS: content})
    payload = share_blob(repository, content)
    whole = is_partial(settings)
    os.truncate(payload, 1000)

    assert (whole, is_partial(settings)) == (False, True)


def test_only_the_revision_with_the_cut_file_is_partial(tmp_path):
    """Another one that does not need it stays complete."""
    settings = make_settings(tmp_path)
    repository = settings.models_dir / "models--org--name"
    add_revision(repository, ONE, {"config.json": CONFIG, WEIGHTS: weights_of(300)})
    add_revision(repository, TWO, {"config.json": CONFIG, WEIGHTS: weights_of(400)})
    os.truncate(repository / "snapshots" / TWO / WEIGHTS, 200)

    (entry,) = list_cached(settings)

    partial = {item.commit: item.is_partial for item in entry.revisions}
    assert partial == {ONE: False, TWO: True}


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", WEIGHTS])
def test_a_listing_tells_about_any_kind_of_file(settings, folder, name):
    """What this package has fetched is compared with what the Hub listed."""
    snapshot = folder.snapshot(COMMIT)
    sizes = {path.name: path.stat().st_size for path in snapshot.iterdir()}
    keep_listing(folder, sizes, sizes)
    whole = is_partial(settings)
    path = folder.pointer(COMMIT, name)
    os.truncate(path, path.stat().st_size - 1)

    assert (whole, is_partial(settings)) == (False, True)


def test_a_file_that_was_asked_for_and_never_came_is_missed(settings, folder):
    """And one of the listing that nobody asked for is not."""
    snapshot = folder.snapshot(COMMIT)
    sizes = {path.name: path.stat().st_size for path in snapshot.iterdir()}
    keep_listing(folder, sizes | {"more.bin": 5}, sizes)
    unwanted = is_partial(settings)
    keep_listing(folder, sizes | {"more.bin": 5}, {*sizes, "more.bin"})

    assert (unwanted, is_partial(settings)) == (False, True)


def test_a_damaged_listing_tells_nothing(settings, folder):
    """Then the headers do."""
    folder.own_path.mkdir()
    folder.listing_file(COMMIT).write_text("no")
    whole = is_partial(settings)
    os.truncate(folder.pointer(COMMIT, WEIGHTS), 1000)

    assert (whole, is_partial(settings)) == (False, True)


def test_only_headers_are_read(settings, monkeypatch):
    """The list of a cache costs no more than the headers in it."""
    limits: list[int] = []
    real = hashing.announced_length

    def measure(stream, size_bytes):
        expected_bytes = real(stream, size_bytes)
        limits.append(stream.tell())
        return expected_bytes

    monkeypatch.setattr(repository_reader, "announced_length", measure)
    list_cached(settings)

    assert len(limits) == 1
    assert 0 < limits[0] < 10_000


def test_a_header_that_cannot_be_read_tells_nothing(settings, monkeypatch):
    """What the disk does not give is no sign of a cut."""

    def fail(*_):
        raise OSError

    monkeypatch.setattr(repository_reader, "announced_length", fail)

    assert not is_partial(settings)
