"""A disk that is too small, and checking and repairing what is in the cache."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support import hub_faults
from support.command_line import MACHINES, run_program
from support.downloads import WEIGHTS, make_downloads, write_model
from support.hub_server import HubServer
from support.small_disk import small_disk
from vllm_pkg.models.cache import list_cached
from vllm_pkg.models.download import errors, fetching
from vllm_pkg.models.download.ensure import make_circumstances
from vllm_pkg.models.download.repair import repair_files
from vllm_pkg.models.download.verify import verify_models
from vllm_pkg.models.tiny import tiny_files
from vllm_pkg.models.uses import keep_use


@pytest.fixture(name="downloads")
def downloads_fixture(tmp_path):
    """A Hub with ``org/tiny`` and a cache that holds it whole."""
    with HubServer() as hub:
        hub.add("org/tiny", write_model(tmp_path / "served", tiny_files()))
        downloads = make_downloads(tmp_path, hub)
        downloads.ensure("org/tiny")
        yield downloads


@pytest.fixture(name="small_disk")
def small_disk_fixture(tmp_path):
    """A file system of 2 MiB, where the weights of 2.8 MiB do not fit."""
    with small_disk(tmp_path / "disk", "2m") as folder:
        yield folder


def environment(downloads):
    """Return the environment of a command with this cache and this Hub."""
    main = str(downloads.settings.main)
    return downloads.environ | {"VLLM_PKG_MAIN": main, "VLLM_PKG_PUBLIC": f"{main}/p"}


def pointer(downloads, name=WEIGHTS):
    """Return where a file of the model appears in the cache."""
    folder = downloads.folder("org/tiny")
    return folder.pointer(folder.commit_of("main"), name)


def damage(path, position):
    """Change one byte of a file."""
    with Path(path).open("r+b") as stream:
        stream.seek(position)
        byte = stream.read(1)
        stream.seek(position)
        stream.write(bytes([byte[0] ^ 0xFF]))


def repair_damaged(downloads):
    """Look through the cache, and fetch again what is damaged."""
    circumstances = make_circumstances(
        downloads.settings, downloads.environ, lambda: False
    )
    checks = verify_models(
        downloads.settings, None, is_full=False, on_checked=lambda _name, _bytes: None
    )
    damaged = [check for check in checks if not check.is_ok]
    repair_files(downloads.settings, damaged, circumstances, downloads.seen.append)


def test_what_does_not_fit_is_refused_before_a_byte(tmp_path, downloads, monkeypatch):
    """The error names what is needed, what is free and which model could go."""
    hub = downloads.hub
    other = write_model(tmp_path / "other", tiny_files() | {"x.json": b"{}"})
    hub.add("org/other", other)
    before = dict(hub.sent_bytes)
    monkeypatch.setattr(fetching, "free_bytes", lambda _folder: 1024**3)

    with pytest.raises(errors.DiskFull) as caught:
        downloads.ensure("org/other")

    assert caught.value.message == (
        "the download needs 2.8 MiB, 1.0 GiB are free and 1.0 GiB of that have to stay"
        " free: 2.8 MiB are missing"
    )
    assert caught.value.hint == "remove what is not needed: org/tiny (2.8 MiB)"
    assert hub.sent_bytes["org/other", WEIGHTS] == 0
    assert before["org/tiny", WEIGHTS] == len(tiny_files()[WEIGHTS])


@pytest.mark.parametrize(
    ("started", "suggested"), [((), "org/tiny"), (("org/tiny",), "org/second")]
)
def test_what_was_started_last_stays_longest(
    tmp_path, downloads, monkeypatch, started, suggested
):
    """The plan names what was used longest ago; lists in between change nothing."""
    for name in ("org/second", "org/other"):
        files = tiny_files() | {"x.json": name.encode()}
        downloads.hub.add(name, write_model(tmp_path / name, files))
    downloads.ensure("org/second")
    for at_s, name in enumerate(("org/tiny", "org/second"), 1000):
        for path in downloads.folder(name).path.rglob("*"):
            os.utime(path, (at_s, at_s))
    keep_use(downloads.settings, started, 5000.0)
    list_cached(downloads.settings)
    monkeypatch.setattr(fetching, "free_bytes", lambda _folder: 1024**3)

    with pytest.raises(errors.DiskFull) as caught:
        downloads.ensure("org/other")

    assert caught.value.hint == f"remove what is not needed: {suggested} (2.8 MiB)"


def test_a_disk_that_becomes_full_is_not_tried_again(tmp_path, small_disk, monkeypatch):
    """A real full disk ends the download at once, and what has arrived stays."""
    # The plan would refuse it; here somebody else fills the disk after the plan.
    monkeypatch.setattr(fetching, "free_bytes", lambda _folder: 1024**4)
    with HubServer() as hub:
        hub.add("org/tiny", write_model(tmp_path / "served", tiny_files()))
        downloads = make_downloads(small_disk, hub)

        with pytest.raises(errors.DiskFull, match="No space left on device"):
            downloads.ensure("org/tiny")

        assert downloads.clock.pauses_s == []
        assert downloads.partial_bytes() > 1024**2


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    """It is no problem of the network, and is not tried again."""
    with HubServer() as hub:
        hub.add("org/tiny", write_model(tmp_path / "served", tiny_files()))
        downloads = make_downloads(tmp_path, hub)
        downloads.settings.main.mkdir()
        downloads.settings.models_dir.write_text("a file where the folder belongs")

        with pytest.raises(errors.CacheUnwritable, match="cannot be written"):
            downloads.ensure("org/tiny")

        assert downloads.clock.pauses_s == []


def test_pull_says_what_it_has_done(downloads):
    """People get one line, programs one document; nothing is fetched twice."""
    spoken = run_program(environment(downloads), "model", "pull", "org/tiny")
    commit = downloads.folder("org/tiny").commit_of("main")
    told = run_program(
        environment(downloads),
        *("model", "pull", "org/tiny", "--revision", commit, "--json"),
    )

    assert (spoken.code, spoken.out) == (0, "Complete in the cache: org/tiny.\n")
    assert json.loads(told.out) == {
        "repositories": ["org/tiny"],
        "bytes_fetched": 0,
        "complete": True,
    }


def test_pull_tells_errors_like_any_command(downloads):
    """One line on stderr with what to do, and the error's own exit code."""
    ended = run_program(environment(downloads), "model", "pull", "org/missing")

    assert ended.code == 77
    assert ended.err.startswith("error: org/missing: the Hub has no such repository")


def test_pull_without_a_name_fetches_the_selected_model(downloads):
    """Without a selection that is an error."""
    ended = run_program(environment(downloads), "model", "pull")

    assert ended.code == 78
    assert ended.err == "error: no model is selected; name one\n"


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("tiny", 0, "Nothing to fetch.\n"),
        ("tinny", 78, "error: "),
        ("llama-33-70b", 78, "error: Llama 3.3 70B Instruct does not fit"),
    ],
)
def test_pull_knows_presets(downloads, name, code, said):
    """One that the package carries needs nothing; others have to exist and to fit."""
    machine = {"VLLM_PKG_HARDWARE": str(MACHINES / "cpu-24gib.json")}

    ended = run_program(environment(downloads) | machine, "model", "pull", name)

    assert ended.code == code
    assert (ended.out + ended.err).startswith(said)


def test_a_whole_cache_is_in_order(downloads):
    """Both checks pass on what was just fetched."""
    quick = run_program(environment(downloads), "model", "verify", "--json")
    full = run_program(environment(downloads), "model", "verify", "org/tiny", "--full")

    assert json.loads(quick.out)["damaged"] == 0
    assert {file["file"] for file in json.loads(quick.out)["files"]} == set(
        tiny_files()
    )
    assert (full.code, full.out) == (0, "5 files are in order.\n")


def test_verifying_what_is_not_there_is_an_error(downloads):
    """The hint is the command that fetches it."""
    ended = run_program(environment(downloads), "model", "verify", "org/other")

    assert ended.code == 73
    assert ended.err == (
        "error: org/other is not in the cache; vllm-pkg model pull org/other\n"
    )


def test_each_kind_of_damage_is_found_and_only_it_is_mended(downloads):
    """A cut file, a missing one and a changed one are fetched again, and no other."""
    size_bytes = len(tiny_files()[WEIGHTS])
    damage(pointer(downloads), size_bytes - 10)
    os.truncate(pointer(downloads, "tokenizer.json"), 100)
    pointer(downloads, "config.json").unlink()
    before = downloads.hub.sent_bytes.copy()

    quick = run_program(environment(downloads), "model", "verify", "--json")
    full = run_program(environment(downloads), "model", "verify", "--full", "--json")
    mended = run_program(
        environment(downloads), "model", "verify", "--full", "--repair"
    )

    found = {
        file["file"]: file["state"]
        for file in json.loads(full.out)["files"]
        if file["state"] != "ok"
    }
    assert (quick.code, json.loads(quick.out)["damaged"]) == (1, 2)
    assert found == {
        "model.safetensors": "wrong-hash",
        "tokenizer.json": "wrong-size",
        "config.json": "missing",
    }
    assert (mended.code, mended.out) == (
        0,
        "5 files are in order; 3 were fetched again.\n",
    )
    for name, content in tiny_files().items():
        assert downloads.content("org/tiny", name) == content
    fetched = downloads.hub.sent_bytes - before
    assert fetched["org/tiny", "generation_config.json"] == 0
    assert fetched["org/tiny", WEIGHTS] == size_bytes


def test_a_damaged_header_is_found_without_reading_all(downloads):
    """The header of safetensors has to agree with the length of the file."""
    damage(pointer(downloads), 2)

    ended = run_program(environment(downloads), "model", "verify")

    assert ended.code == 1
    assert "wrong-header" in ended.out
    assert "its header is longer than the file" in ended.out


def test_a_checked_download_mends_what_it_needs_and_nothing_else(downloads):
    """Two damaged files are fetched anew; unchecked, only the cut one would be."""
    damage(pointer(downloads), 2)
    os.truncate(pointer(downloads, "tokenizer.json"), 100)
    before = downloads.hub.sent_bytes.copy()

    downloads.ensure("org/tiny")
    unchecked = downloads.hub.sent_bytes - before
    report = downloads.ensure("org/tiny", is_checked=True)
    checked = downloads.hub.sent_bytes - before - unchecked

    weights_bytes = len(tiny_files()[WEIGHTS])
    assert set(unchecked) == {("org/tiny", "tokenizer.json")}
    assert checked == {("org/tiny", WEIGHTS): weights_bytes}
    assert report.bytes_fetched == weights_bytes
    for name, content in tiny_files().items():
        assert downloads.content("org/tiny", name) == content


def test_a_checked_download_of_a_whole_cache_asks_nobody(downloads):
    """Nothing is damaged, so the Hub hears nothing of it."""
    before = len(downloads.hub.requests)

    assert downloads.ensure("org/tiny", is_checked=True).bytes_fetched == 0
    assert len(downloads.hub.requests) == before


def test_nothing_is_removed_when_it_cannot_be_fetched(downloads):
    """A damaged file stays as long as the Hub does not answer."""
    damage(pointer(downloads), 2)
    downloads.hub.fail("org/tiny", hub_faults.API, hub_faults.status(404))

    ended = run_program(environment(downloads), "model", "verify", "--repair")

    assert ended.code == 78
    assert pointer(downloads).is_file()


def test_nothing_is_removed_when_there_is_no_room(downloads, monkeypatch):
    """A file that was cut stays when its whole content has no place on the disk."""
    os.truncate(pointer(downloads, "tokenizer.json"), 100)
    damage(pointer(downloads), 2)
    monkeypatch.setattr(fetching, "free_bytes", lambda _folder: 1024**2)
    before = downloads.hub.sent_bytes.copy()

    with pytest.raises(errors.DiskFull, match="are missing"):
        repair_damaged(downloads)

    assert pointer(downloads, "tokenizer.json").stat().st_size == 100
    assert pointer(downloads).is_file()
    assert downloads.hub.sent_bytes == before


def test_a_full_disk_has_room_for_what_takes_another_ones_place(downloads, monkeypatch):
    """The control: content of the same size needs no more than is given back."""
    damage(pointer(downloads), 2)
    monkeypatch.setattr(fetching, "free_bytes", lambda _folder: 0)

    repair_damaged(downloads)

    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]


def test_what_others_have_downloaded_is_checked_too(downloads):
    """Without our record of the listing, names of blobs and headers tell."""
    folder = downloads.folder("org/tiny")
    folder.listing_file(folder.commit_of("main")).unlink()
    damage(pointer(downloads, "tokenizer.json"), 50)

    quick = run_program(environment(downloads), "model", "verify")
    full = run_program(environment(downloads), "model", "verify", "--full", "--json")

    assert (quick.code, quick.out) == (0, "5 files are in order.\n")
    states = {file["file"]: file["state"] for file in json.loads(full.out)["files"]}
    assert states["tokenizer.json"] == "wrong-hash"
    assert states[WEIGHTS] == "ok"


def test_what_others_have_downloaded_is_not_fetched_again(downloads):
    """A consistent snapshot counts as complete without our record."""
    folder = downloads.folder("org/tiny")
    folder.listing_file(folder.commit_of("main")).unlink()
    before = len(downloads.hub.requests)

    downloads.ensure("org/tiny")
    unasked = len(downloads.hub.requests) == before
    os.truncate(pointer(downloads), 1000)
    downloads.ensure("org/tiny")

    assert unasked
    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]
