"""The model cache: listing with real sizes, and deleting what was listed only."""

from __future__ import annotations

import os

import pytest
from huggingface_hub import scan_cache_dir

from support.model_cache import weights_of
from support.settings_factory import make_settings
from vllm_pkg.errors import CacheError, DeletionIncomplete, NotInCache
from vllm_pkg.models.cache import Kind, list_cached
from vllm_pkg.models.deletion import delete_model
from vllm_pkg.models.deletion_plan import plan_deletion
from vllm_pkg.models.open_folder import open_folder
from vllm_pkg.models.removal import Tally, remove_entry

KIB = 1024
COMMIT = "c" * 40
HASH = "ab" + "0" * 62


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings over an empty cache."""
    settings = make_settings(tmp_path)
    settings.models_dir.mkdir(parents=True)
    return settings


def add_model(settings, folder="models--org--name", blob_kib=64):
    """Make a repository as the hub does: one blob with two names, and one small."""
    repository = settings.models_dir / folder
    snapshot = repository / "snapshots" / COMMIT
    for path in (repository / "blobs", repository / "refs", snapshot):
        path.mkdir(parents=True)
    (repository / "blobs" / "big").write_bytes(weights_of(blob_kib * KIB))
    (repository / "blobs" / "small").write_bytes(b"y" * 10)
    (repository / "refs" / "main").write_text(COMMIT)
    (snapshot / "model.safetensors").symlink_to("../../blobs/big")
    (snapshot / "copy.safetensors").symlink_to("../../blobs/big")
    (snapshot / "config.json").symlink_to("../../blobs/small")
    return repository


def add_shared(settings, folder):
    """Make a repository whose blob is a link into the store that models share."""
    store = settings.models_dir / "blobs"
    (store / "ab").mkdir(parents=True, exist_ok=True)
    (store / ".huggingface-shared-blobs").write_text("1\n")
    (store / "ab" / HASH).write_bytes(weights_of(8 * KIB))
    repository = settings.models_dir / folder
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "blobs" / "etag").symlink_to(f"../../blobs/ab/{HASH}")
    (snapshot / "model.safetensors").symlink_to("../../blobs/etag")
    with (store / "ab" / f"{HASH}.refs").open("a") as stream:
        stream.write(f"{folder}/blobs/etag\n")


def summary(settings):
    """Return key, size in bytes and completeness of everything in the cache."""
    return [
        (item.key, item.size_bytes, item.is_partial) for item in list_cached(settings)
    ]


def test_no_cache_is_an_empty_one(tmp_path):
    """Before the first download there is no folder, and nothing in it."""
    assert list_cached(make_settings(tmp_path)) == ()


def test_a_blob_with_two_names_counts_once(settings):
    """The size is that of the files, not of the links to them."""
    repository = add_model(settings)
    os.utime(repository / "blobs" / "big", (2000, 1000))
    os.utime(repository / "blobs" / "small", (500, 3000))
    (entry,) = list_cached(settings)
    refs_bytes = 40
    assert entry.size_bytes == 64 * KIB + 10 + refs_bytes
    assert (entry.repo_id, entry.kind, entry.is_partial) == (
        "org/name",
        Kind.MODEL,
        False,
    )
    assert entry.path == repository
    assert entry.last_used_s >= 3000


def test_sizes_are_those_of_the_hubs_own_scan(settings):
    """huggingface_hub counts the same blobs; only the names of branches come on top."""
    add_model(settings)
    add_model(settings, "models--org--other", blob_kib=16)
    scanned = scan_cache_dir(settings.models_dir)

    theirs = {repo.repo_id: repo.size_on_disk for repo in scanned.repos}
    ours = {entry.repo_id: entry.size_bytes for entry in list_cached(settings)}

    refs_bytes = 40
    assert ours == {name: size + refs_bytes for name, size in theirs.items()}
    assert len(ours) == 2


def test_largest_first_and_every_kind(settings):
    """Models come by their name, other repositories with their kind before it."""
    add_model(settings, blob_kib=4)
    add_model(settings, "models--gpt2", blob_kib=16)
    add_model(settings, "datasets--org--data", blob_kib=8)
    assert [item[0] for item in summary(settings)] == [
        "gpt2",
        "dataset/org/data",
        "org/name",
    ]


def test_what_is_no_repository_is_not_listed(settings):
    """Lock files, foreign folders and files are left alone."""
    (settings.models_dir / ".locks" / "models--org--name").mkdir(parents=True)
    (settings.models_dir / "models--").mkdir()
    (settings.models_dir / "models").mkdir()
    (settings.models_dir / "notes--of--mine").mkdir()
    (settings.models_dir / "models--a--file").write_text("")
    assert list_cached(settings) == ()


def test_an_unfinished_download_is_listed(settings):
    """A repository with only parts of a file is there, and said to be incomplete."""
    blobs = settings.models_dir / "models--org--part" / "blobs"
    blobs.mkdir(parents=True)
    with (blobs / "etag.incomplete").open("wb") as stream:
        stream.write(b"x" * 4 * KIB)
        stream.truncate(1024 * KIB)
    assert summary(settings) == [("org/part", 4 * KIB, True)]


def test_what_is_no_file_occupies_nothing(settings):
    """A pipe in a repository is not counted, and goes with it."""
    repository = add_model(settings)
    os.mkfifo(repository / "pipe")
    assert summary(settings)[0][1] == 64 * KIB + 50
    assert delete_model(settings, "org/name").files == 7


def test_an_empty_repository_is_listed(settings):
    """A repository without any file is incomplete and occupies nothing."""
    (settings.models_dir / "models--org--empty").mkdir()
    assert summary(settings) == [("org/empty", 0, True)]


def test_a_broken_link_is_incomplete(settings):
    """A snapshot that lacks a blob is no whole model."""
    repository = add_model(settings)
    (repository / "blobs" / "big").unlink()
    assert summary(settings) == [("org/name", 50, True)]


def test_a_link_out_of_the_cache_does_not_count(settings, tmp_path):
    """A file elsewhere is neither counted nor removed."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"x" * 32 * KIB)
    repository = add_model(settings)
    (repository / "blobs" / "link").symlink_to(outside)
    assert summary(settings)[0][1] == 64 * KIB + 50
    assert delete_model(settings, "org/name").freed_bytes == 64 * KIB + 50
    assert outside.stat().st_size == 32 * KIB


def test_deleting_frees_what_was_listed(settings):
    """A deletion removes the one repository with its locks, and reports real bytes."""
    add_model(settings)
    add_model(settings, "models--org--other")
    for name in ("models--org--name", "models--org--other"):
        (settings.models_dir / ".locks" / name).mkdir(parents=True)
    report = delete_model(settings, "org/name")
    assert report.freed_bytes == 64 * KIB + 50
    assert report.leftover_bytes == 0
    assert report.files == 6
    names = sorted(path.name for path in settings.models_dir.iterdir())
    assert names == [".locks", "models--org--other"]
    locks = sorted(path.name for path in (settings.models_dir / ".locks").iterdir())
    assert locks == ["models--org--other"]


def test_a_file_with_another_name_elsewhere_frees_nothing(settings, tmp_path):
    """Bytes that a hard link outside still holds are not reported as freed."""
    repository = add_model(settings)
    os.link(repository / "blobs" / "big", tmp_path / "kept")
    assert delete_model(settings, "org/name").freed_bytes == 50


@pytest.mark.parametrize(
    "key", ["org/nam", "", "..", "../..", "/", "org--name", "models--org--name", "org"]
)
def test_only_what_is_listed_is_deleted(settings, key):
    """Anything else than an entry of the listing is refused, and nothing is touched."""
    add_model(settings)
    before = summary(settings)
    with pytest.raises(NotInCache):
        delete_model(settings, key)
    assert summary(settings) == before


def test_a_misspelt_name_gets_a_suggestion(settings):
    """The most similar entry is named; without one the form is."""
    add_model(settings)
    with pytest.raises(NotInCache) as caught:
        plan_deletion(settings, "org/nmae")
    assert caught.value.hint == "did you mean org/name?"
    with pytest.raises(NotInCache) as caught:
        plan_deletion(settings, "zzz")
    assert "action input delete-model-cache" in caught.value.hint


def test_a_linked_repository_is_refused(settings, tmp_path):
    """A repository that is a link to another place is not followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("kept")
    (settings.models_dir / "models--org--linked").symlink_to(elsewhere)
    assert list_cached(settings) == ()
    with pytest.raises(CacheError, match="link to a folder outside the cache"):
        delete_model(settings, "org/linked")
    assert (elsewhere / "file").read_text() == "kept"


def test_a_cache_that_is_a_link_works(tmp_path):
    """The whole cache may lie on another disk."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    (tmp_path / "disk").mkdir()
    settings.models_dir.symlink_to(tmp_path / "disk")
    add_model(settings)
    assert delete_model(settings, "org/name").freed_bytes == 64 * KIB + 50


def test_a_cache_that_cannot_be_read(tmp_path):
    """A file in the place of the cache is an error, not an empty cache."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    settings.models_dir.write_text("")
    with pytest.raises(CacheError, match=r"cannot read .*Not a directory"):
        list_cached(settings)


def test_an_interrupted_deletion_is_listed_and_swept(settings):
    """What is left of a deletion is no whole model; the next deletion removes it."""
    left = add_model(settings)
    left.rename(left.with_name(".deleting-1--models--org--name"))
    add_model(settings, "models--org--other", blob_kib=4)
    assert summary(settings) == [
        ("leftover/.deleting-1--models--org--name", 64 * KIB + 50, True),
        ("org/other", 4 * KIB + 50, False),
    ]
    report = delete_model(settings, "org/other")
    assert (report.freed_bytes, report.leftover_bytes) == (4 * KIB + 50, 64 * KIB + 50)
    assert list(settings.models_dir.iterdir()) == []


def test_a_leftover_is_found_by_the_repository(settings):
    """Running an interrupted deletion again removes what it left."""
    left = add_model(settings)
    left.rename(left.with_name(".deleting-1--models--org--name"))
    report = delete_model(settings, "org/name")
    assert (report.freed_bytes, report.leftover_bytes) == (64 * KIB + 50, 0)


def test_a_new_download_beside_a_leftover(settings):
    """The repository itself wins over a leftover of the same name; both go."""
    left = add_model(settings)
    left.rename(left.with_name(".deleting-1--models--org--name"))
    add_model(settings, blob_kib=4)
    report = delete_model(settings, "org/name")
    assert (report.freed_bytes, report.leftover_bytes) == (4 * KIB + 50, 64 * KIB + 50)


def test_an_incomplete_deletion_says_what_was_freed(settings, monkeypatch):
    """A file that cannot be removed is an error with the bytes that were freed."""
    add_model(settings)
    real = os.unlink

    def refuse(path, *, dir_fd=None):
        if path == "big":
            raise PermissionError(1, "Operation not permitted")
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(DeletionIncomplete, match="big: Operation not") as caught:
        delete_model(settings, "org/name")
    assert caught.value.actual_bytes == 50
    ((key, size_bytes, is_partial),) = summary(settings)
    assert key == "leftover/.deleting-1--models--org--name"
    assert (size_bytes, is_partial) == (64 * KIB, True)


def test_a_repository_that_cannot_be_renamed_stays_whole(settings, monkeypatch):
    """Where even the first step fails, the model is left as it was."""
    add_model(settings)
    before = summary(settings)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DeletionIncomplete, match="Permission denied") as caught:
        delete_model(settings, "org/name")
    assert caught.value.actual_bytes == 0
    assert summary(settings) == before


def test_removing_nothing_and_vanishing_files(tmp_path):
    """A folder that is not there, or disappears meanwhile, is no failure."""
    tally = Tally()
    with open_folder(tmp_path) as folder:
        remove_entry(folder, "nothing", tally)
    assert tally == Tally()


def test_shared_content_goes_with_its_last_model(settings):
    """Content of the store is removed when no other model uses it, not before."""
    add_shared(settings, "models--org--one")
    add_shared(settings, "models--org--two")
    payload = settings.models_dir / "blobs" / "ab" / HASH
    assert summary(settings) == [
        ("org/one", 8 * KIB, False),
        ("org/two", 8 * KIB, False),
    ]
    assert delete_model(settings, "org/one").freed_bytes == 0
    assert payload.stat().st_size == 8 * KIB
    users_bytes = 2 * len("models--org--one/blobs/etag\n")
    assert delete_model(settings, "org/two").freed_bytes == 8 * KIB + users_bytes
    left = [path.name for path in payload.parent.iterdir()]
    assert left == [f"{HASH}.lock"]


def test_only_payloads_of_the_store_are_collected(settings):
    """A link to anything else in the cache never makes that disappear."""
    add_shared(settings, "models--org--one")
    other = add_model(settings)
    store = settings.models_dir / "blobs"
    (store / "ab" / "notes").write_text("kept")
    blobs = settings.models_dir / "models--org--one" / "blobs"
    (blobs / "b").symlink_to("../../blobs/ab/notes")
    (blobs / "c").symlink_to(f"../../blobs/cd/{HASH}")
    (blobs / "d").symlink_to("../../models--org--name/blobs/big")
    (blobs / "e").write_text("own")
    delete_model(settings, "org/one")
    assert (store / "ab" / "notes").read_text() == "kept"
    assert (other / "blobs" / "big").stat().st_size == 64 * KIB


def test_a_hard_link_keeps_a_payload_alive(settings, tmp_path):
    """Of a payload with another name outside the cache only its list is freed."""
    add_shared(settings, "models--org--one")
    os.link(settings.models_dir / "blobs" / "ab" / HASH, tmp_path / "kept")
    list_bytes = len("models--org--one/blobs/etag\n")
    assert delete_model(settings, "org/one").freed_bytes == list_bytes


def test_a_payload_that_cannot_be_removed_is_reported(settings, monkeypatch):
    """A failure in the store makes the deletion an incomplete one."""
    add_shared(settings, "models--org--one")

    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(DeletionIncomplete, match="Operation not permitted"):
        delete_model(settings, "org/one")
