"""Counts of requests: kept over restarts, never counted twice, never in the way."""

from __future__ import annotations

import json

import pytest

from vllm_pkg.engine.guard.usage import Usage, UsageCounter, fold_ended, read_usage
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.state import atomic
from vllm_pkg.state.identity import ProcessIdentity

OWN = own_identity()
ENDED = ProcessIdentity(pid=OWN.pid, started_ticks=7, boot_id=OWN.boot_id)


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    """The folder of the counts."""
    return tmp_path / "key-usage"


def write(folder, process, *counts):
    """Count requests in a process and write them down."""
    counter = UsageCounter(folder, process)
    for key_id, at_s in counts:
        counter.count(key_id, at_s)
    counter.snapshot()()
    return counter


def fold(folder):
    """Fold what has ended."""
    fold_ended(folder, folder.parent / ".lock", OWN.boot_id, {"old": "new"})


def test_requests_are_counted_per_key(folder):
    """Each key has its own count and the time of its last request."""
    counter = write(folder, OWN, ("a", 1.0), ("b", 2.0), ("a", 3.0))
    assert read_usage(folder) == {"a": Usage(2, 3.0), "b": Usage(1, 2.0)}
    assert counter.is_dirty is False
    counter.count("a", 4.0)
    assert counter.is_dirty is True
    assert read_usage(folder)["a"] == Usage(2, 3.0)


def test_processes_are_added_up(folder):
    """Several API servers count apart and are read together."""
    write(folder, OWN, ("a", 5.0))
    write(folder, ENDED, ("a", 1.0), ("a", 2.0))
    assert read_usage(folder) == {"a": Usage(3, 5.0)}


def test_nothing_counted_is_nothing(folder):
    """Without a folder there are no counts."""
    assert read_usage(folder) == {}


def test_ended_processes_are_folded_into_one_file(folder):
    """After any number of restarts two files are left, and every request counts."""
    for ticks in range(1, 6):
        ended = ProcessIdentity(ENDED.pid, ticks, ENDED.boot_id)
        write(folder, ended, ("a", float(ticks)))
        fold(folder)
    write(folder, OWN, ("a", 9.0))
    fold(folder)
    assert read_usage(folder) == {"a": Usage(6, 9.0)}
    own = f"{OWN.pid}-{OWN.started_ticks}.json"
    assert {path.name for path in folder.iterdir()} == {own, "total.json"}


def test_a_crash_while_folding_counts_nothing_twice(folder, monkeypatch):
    """Files that are in the total and were not removed yet do not count again."""
    write(folder, ENDED, ("a", 1.0))
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "remove_file", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fold(folder)
    assert len(list(folder.iterdir())) == 2
    assert read_usage(folder) == {"a": Usage(1, 1.0)}
    fold(folder)
    assert read_usage(folder) == {"a": Usage(1, 1.0)}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"keys": 1}', '{"keys": {"a": {}}}', '{"keys": 1']
)
def test_what_cannot_be_understood_counts_nothing(folder, content):
    """A damaged file is no error: it counts nothing, and the next start removes it."""
    folder.mkdir()
    (folder / "1-1.json").write_text(content)
    (folder / "total.json").write_text(content)
    write(folder, OWN, ("a", 1.0))
    assert read_usage(folder) == {"a": Usage(1, 1.0)}
    fold(folder)
    assert read_usage(folder) == {"a": Usage(1, 1.0)}
    assert not (folder / "1-1.json").exists()


def test_a_total_with_strange_names_is_read(folder):
    """A list of folded files that is none is as good as empty."""
    folder.mkdir()
    keys = {"a": {"requests": 2, "last_used_s": 1.0}}
    (folder / "total.json").write_text(json.dumps({"keys": keys, "folded": 7}))
    assert read_usage(folder) == {"a": Usage(2, 1.0)}


def test_counts_of_an_id_of_older_versions_go_to_the_present_one(folder):
    """They are added to it once, whether a process has ended meanwhile or not."""
    folder.mkdir()
    keys = {"old": {"requests": 2, "last_used_s": 1.0}}
    (folder / "total.json").write_text(json.dumps({"keys": keys}))
    fold(folder)
    assert read_usage(folder) == {"new": Usage(2, 1.0)}
    write(folder, ENDED, ("old", 3.0), ("new", 2.0))
    fold(folder)
    fold(folder)
    assert read_usage(folder) == {"new": Usage(4, 3.0)}
