"""Whether the cache holds a whole model, without any network."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.hub_cache import COMMIT, write_cached_model
from support.settings_factory import make_settings
from vllm_pkg.models.download.completeness import is_complete
from vllm_pkg.models.download.layout import RepositoryFolder, arrived_bytes
from vllm_pkg.models.download.listing import Listing, RemoteFile
from vllm_pkg.models.download.needs import Need, Role

NEED = Need("org/name")
WEIGHTS = "model.safetensors"


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


def keep(folder, *files):
    """Keep a listing of the Hub."""
    listing = Listing("org/name", COMMIT, files)
    folder.own_path.mkdir()
    folder.listing_file(COMMIT).write_text(json.dumps(listing.as_json()))


def test_a_consistent_snapshot_is_complete(settings):
    """By its branch, by its commit, and for each thing that it may be needed for."""
    assert is_complete(settings, NEED)
    assert is_complete(settings, replace(NEED, revision=COMMIT))
    assert is_complete(settings, replace(NEED, role=Role.TOKENIZER))
    assert is_complete(settings, replace(NEED, role=Role.CONFIG))
    assert is_complete(settings, replace(NEED, role=Role.GENERATION))
    assert is_complete(settings, replace(NEED, load_format="dummy"))


@pytest.mark.parametrize(
    "need",
    [
        Need("org/other"),
        replace(NEED, revision="v1"),
        replace(NEED, revision="f" * 40),
        replace(NEED, load_format="pt"),
        replace(NEED, role=Role.ADAPTER),
    ],
)
def test_what_is_not_there_is_not_complete(settings, need):
    """Another repository, revision, format or kind of repository is missing."""
    assert not is_complete(settings, need)


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_a_missing_file_is_seen(settings, folder, name):
    """A link that leads nowhere is no file."""
    folder.pointer(COMMIT, name).resolve().unlink()

    assert not is_complete(settings, NEED)


def test_a_cut_file_is_seen(settings, folder):
    """Its header says how long it has to be."""
    path = folder.pointer(COMMIT, WEIGHTS)
    path.write_bytes(path.read_bytes()[:-1])

    assert not is_complete(settings, NEED)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (
            ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
            True,
        ),
        (("model-00001-of-00002.safetensors",), False),
    ],
)
def test_shards_count_themselves(settings, folder, present, expected):
    """Their names say how many there are."""
    path = folder.pointer(COMMIT, WEIGHTS)
    for name in present:
        folder.pointer(COMMIT, name).write_bytes(path.read_bytes())
    path.unlink()

    assert is_complete(settings, NEED) is expected


@pytest.mark.parametrize(
    ("name", "expected"), [(WEIGHTS, True), ("gone.safetensors", False)]
)
def test_an_index_names_what_has_to_be_there(settings, folder, name, expected):
    """A shard that the index names and that is missing is seen."""
    index = {"weight_map": {"a": WEIGHTS, "b": name}}
    folder.pointer(COMMIT, "model.safetensors.index.json").write_text(json.dumps(index))

    assert is_complete(settings, NEED) is expected


def test_a_listing_decides_where_there_is_one(settings, folder):
    """What the Hub listed has to be there, with its size."""
    size_bytes = folder.pointer(COMMIT, WEIGHTS).stat().st_size
    keep(folder, RemoteFile(WEIGHTS, size_bytes, "a" * 64))
    whole = is_complete(settings, NEED)
    folder.listing_file(COMMIT).unlink()
    folder.own_path.rmdir()
    keep(folder, RemoteFile(WEIGHTS, size_bytes + 1, "a" * 64))

    assert (whole, is_complete(settings, NEED)) == (True, False)


def test_a_listing_whose_index_is_missing(settings, folder):
    """Nobody can tell which shards count, so it is not complete."""
    keep(
        folder,
        RemoteFile(WEIGHTS, 1, "a" * 64),
        RemoteFile("model.safetensors.index.json", 1, "b" * 40),
    )

    assert not is_complete(settings, NEED)


def test_a_damaged_reference_is_no_commit(settings, folder):
    """What is no hash is not followed."""
    folder.ref("main").write_text("../../x")

    assert folder.commit_of("main") is None
    assert not is_complete(settings, NEED)


def test_how_much_of_a_file_has_arrived(folder):
    """A whole blob counts whole, a partial one as far as it goes, a wrong one not."""
    whole = RemoteFile("a", 5, "a" * 64)
    part = RemoteFile("b", 5, "b" * 64)
    wrong = RemoteFile("c", 5, "c" * 64)
    long = RemoteFile("d", 5, "d" * 64)
    folder.blob(whole.etag).write_bytes(b"12345")
    folder.partial(part.etag).write_bytes(b"123")
    folder.blob(wrong.etag).write_bytes(b"123")
    folder.partial(long.etag).write_bytes(b"1234567")

    found = [folder.arrived_bytes(file) for file in (whole, part, wrong, long)]

    assert found == [5, 3, 0, 5]
    assert arrived_bytes(folder, (whole, part)) == 8
