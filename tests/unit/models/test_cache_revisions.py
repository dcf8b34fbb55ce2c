"""The cache view: revisions, what only one of them holds, and what is whole."""

from __future__ import annotations

import os

import pytest

from support.model_cache import (
    ONE,
    TWO,
    add_revision,
    index_of,
    share_blob,
    weights_of,
)
from support.settings_factory import make_settings
from vllm_pkg.models.cache import Kind, list_cached
from vllm_pkg.models.cache_content import parse_folder
from vllm_pkg.models.deletion import delete_model

CONFIG = b'{"architectures": ["LlamaForCausalLM"]}'


@pytest.fixture(name="repository")
def repository_fixture(tmp_path):
    """The folder of a repository that does not exist yet."""
    return make_settings(tmp_path).models_dir / "models--org--name"


def listed(repository):
    """Return the one repository of the cache."""
    (entry,) = list_cached(make_settings(repository.parents[2]))
    return entry


def test_revisions_newest_first_with_what_only_they_hold(repository):
    """Shared content counts for both revisions, and is freed by neither alone."""
    shared, old, new = b"s" * 3000, b"o" * 1000, b"n" * 2000
    add_revision(repository, ONE, {"a.bin": shared, "b.bin": old}, ("v1", "refs/pr/1"))
    for path in (repository / "blobs").iterdir():
        os.utime(path, (5000, 1000))
    add_revision(repository, TWO, {"a.bin": shared, "c.bin": new}, ("main",))
    os.utime(next((repository / "snapshots" / TWO).glob("c.bin")).resolve(), (6000, 9))
    os.utime(repository / "blobs", (1, 1))
    entry = listed(repository)
    first, second = entry.revisions
    assert (first.commit, first.refs, first.files) == (ONE, ("refs/pr/1", "v1"), 2)
    assert (first.size_bytes, first.own_bytes) == (4000, 1000 + 40 + 40)
    assert first.last_modified_s == 1000
    assert (second.commit, second.refs) == (TWO, ("main",))
    assert (second.size_bytes, second.own_bytes) == (5000, 2000 + 40)
    assert entry.size_bytes == 6000 + 3 * 40
    assert entry.own_bytes == 6000 + 3 * 40
    assert entry.last_used_s >= 6000
    assert not entry.is_partial


def test_the_last_revision_frees_the_repository(repository):
    """A single revision holds all that its repository holds."""
    add_revision(repository, ONE, {"a.bin": b"a" * 100}, ("main",))
    (repository / "blobs" / "orphan").write_bytes(b"o" * 10)
    entry = listed(repository)
    assert entry.revisions[0].own_bytes == entry.own_bytes == 100 + 10 + 40


def test_files_without_links_count(repository):
    """On disks without links huggingface_hub copies files into the revision."""
    snapshot = add_revision(repository, ONE, {"a.bin": b"a" * 100})
    (snapshot / "own.bin").write_bytes(b"b" * 50)
    (revision,) = listed(repository).revisions
    assert (revision.size_bytes, revision.files) == (150, 2)
    assert not revision.is_partial


def test_shared_content_is_freed_by_the_last_user(repository):
    """A payload of the store counts for each model, and is freed by none alone."""
    content = b"x" * 4000
    other = repository.with_name("models--org--other")
    for one in (repository, other):
        add_revision(one, ONE, {"a.bin": content})
        share_blob(one, content)
    settings = make_settings(repository.parents[2])
    assert [(e.size_bytes, e.own_bytes) for e in list_cached(settings)] == [
        (4000, 0),
        (4000, 0),
    ]
    delete_model(settings, "org/other")
    entry = listed(repository)
    list_bytes = sum(
        len(f"{name}/blobs/{'0' * 64}\n") for name in (repository.name, other.name)
    )
    assert entry.own_bytes == 4000 + list_bytes


@pytest.mark.parametrize(
    ("files", "is_partial"),
    [
        ({"config.json": CONFIG, "model.safetensors": weights_of()}, False),
        ({"config.json": CONFIG}, True),
        ({"config.json": CONFIG, "model.gguf": b"w"}, False),
        ({"config.json": b"{}"}, False),
        ({"config.json": b"[1]"}, False),
        ({"config.json": b"{nonsense"}, False),
        ({"tokenizer.json": b"{}"}, False),
        ({"model.safetensors.index.json": index_of("a.safetensors")}, True),
        (
            {
                "model.safetensors.index.json": index_of("a.safetensors"),
                "a.safetensors": weights_of(),
            },
            False,
        ),
        (
            {
                "sub/m.safetensors.index.json": index_of("a.safetensors"),
                "a.safetensors": weights_of(),
            },
            True,
        ),
        ({"model.safetensors.index.json": b"{}", "a.safetensors": weights_of()}, True),
        ({"model.safetensors.index.json": b"no", "a.safetensors": weights_of()}, True),
        ({"model.safetensors.index.json": b"[" * 9999, "a.safetensors": b""}, True),
    ],
)
def test_a_revision_is_whole_when_its_index_is(repository, files, is_partial):
    """Every file that an index names must be there, and weights beside a model."""
    add_revision(repository, ONE, files)
    (revision,) = listed(repository).revisions
    assert revision.is_partial is is_partial
    assert listed(repository).is_partial is is_partial


def test_an_index_of_another_revision_does_not_count(repository):
    """Each revision is judged by its own index."""
    broken = {"model.safetensors.index.json": index_of("gone.safetensors")}
    add_revision(repository, ONE, broken)
    add_revision(repository, TWO, {"a.safetensors": weights_of()})
    partial = {item.commit: item.is_partial for item in listed(repository).revisions}
    assert partial == {ONE: True, TWO: False}


def test_a_revision_without_files_is_partial(repository):
    """A revision that is only a folder is not whole."""
    (repository / "snapshots" / ONE).mkdir(parents=True)
    (revision,) = listed(repository).revisions
    assert (revision.is_partial, revision.files, revision.size_bytes) == (True, 0, 0)


def test_partial_files_count_until_the_whole_one_is_there(repository):
    """What a killed download left beside the whole file does not make it partial."""
    add_revision(repository, ONE, {"a.bin": b"a" * 100})
    blobs = repository / "blobs"
    whole = next(blobs.iterdir()).name
    (blobs / f"{whole}.1234abcd.incomplete").write_bytes(b"p" * 30)
    assert not listed(repository).is_partial
    (blobs / "other.incomplete").write_bytes(b"q" * 20)
    entry = listed(repository)
    assert (entry.is_partial, entry.partial_bytes) == (True, 20)
    assert entry.revisions[0].own_bytes == 100


def test_links_that_are_no_blobs_lead_nowhere(repository):
    """A link that leads elsewhere is a missing file, wherever it leads."""
    snapshot = add_revision(repository, ONE, {"a.bin": b"a"})
    (snapshot / "b.bin").symlink_to("../../../etc/passwd")
    assert listed(repository).revisions[0].is_partial
    (snapshot / "b.bin").unlink()
    (snapshot / "b.bin").symlink_to("../../blobs/..")
    assert listed(repository).revisions[0].is_partial


def test_what_is_no_store_is_not_one(repository):
    """Without huggingface_hub's mark a folder named blobs is nobody's store."""
    add_revision(repository, ONE, {"a.bin": b"a" * 100})
    payload = share_blob(repository, b"a" * 100)
    mark = payload.parents[1] / ".huggingface-shared-blobs"
    mark.unlink()
    assert listed(repository).revisions[0].is_partial
    mark.mkdir()
    assert listed(repository).revisions[0].is_partial


def test_a_payload_that_is_no_file_is_none(repository):
    """A folder or a link in the place of a payload holds nothing."""
    add_revision(repository, ONE, {"a.bin": b"a" * 100})
    payload = share_blob(repository, b"a" * 100)
    payload.unlink()
    assert listed(repository).revisions[0].is_partial
    payload.mkdir()
    assert listed(repository).revisions[0].is_partial


def test_what_cannot_be_read_is_partial(repository, monkeypatch):
    """A folder or reference that cannot be read makes the repository partial."""
    add_revision(repository, ONE, {"a.bin": b"a"}, ("main",))
    real = os.open
    refused: set[str] = set()

    def refuse(path, flags, mode=0o777, *, dir_fd=None):
        if path in refused:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    for name in ("snapshots", "main", "models--org--name"):
        refused.clear()
        assert not listed(repository).is_partial
        refused.add(name)
        assert listed(repository).is_partial


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("models--org--name", ("models", "org/name", False)),
        ("spaces--a", ("spaces", "a", False)),
        (".deleting-12--datasets--a--b", ("datasets", "a/b", True)),
        (".deleting-1--models--a--b@main", ("models", "a/b", True)),
        ("models--a@main", None),
        ("models--", None),
        ("kernels--a", None),
        (".deleting-x--models--a", None),
    ],
)
def test_names_of_folders(name, parsed):
    """The name of a folder says what it is; other folders are none of ours."""
    found = parse_folder(name)
    shown = found and (found.kind, found.repo_id, found.is_leftover)
    assert shown == parsed


def test_every_kind_has_its_key(repository):
    """What an interrupted deletion left is named by its folder."""
    add_revision(repository.with_name(".deleting-1--models--a--b"), ONE, {"a": b"a"})
    entry = listed(repository)
    assert entry.kind is Kind.LEFTOVER
    assert entry.key == "leftover/.deleting-1--models--a--b"
