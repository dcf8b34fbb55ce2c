"""Who has to find out why an engine ended, and when there is nothing to tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.engine.last_end import count_memory_kills, note_last_end
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity
from vllm_pkg.state.store import ModelSelection, update_store

BOOT = FakeClock().boot_id()
ENDED = ProcessIdentity(1, 1, BOOT)
ARGS = ("org/name",)
ERROR = "ValueError: it broke\n"
START = records.StartRecord(
    *(ENDED, 1000.0, "127.0.0.1", 1, "name"),
    recorder=ENDED,
    selection=fingerprint(ARGS, ()),
    updated_s=1030.0,
    memory_kills=3,
)
EARLIER = records.FailureRecord(
    *("t", 900.0, BOOT, "It broke.", "Do.", None),
    is_final=False,
    starts=4,
    selection=START.selection,
)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """StartOS, with a start that has ended after an error."""
    settings = make_settings(
        tmp_path,
        VLLM_PKG_PROFILE="startos",
        VLLM_PKG_MAIN=str(tmp_path / "main"),
        VLLM_PKG_PUBLIC=str(tmp_path / "public"),
    )
    update_store(settings, lambda s: s.with_model(ARGS, (), ModelSelection("custom")))
    settings.logs_dir.mkdir()
    write(settings)
    return settings


def write(settings, text=ERROR, **changes):
    """Write the record of the start, and its log."""
    log = settings.logs_dir / "engine-1.log"
    log.write_text(text)
    start = replace(START, log_file=str(log))
    records.write_record(settings.start_file, replace(start, **changes))


def vmstat(tmp_path, text="nr_free_pages 7\noom_kill 3\n"):
    """Return a file as the kernel has it."""
    file = tmp_path / "vmstat"
    file.write_text(text)
    return file


def note(settings, tmp_path, text="oom_kill 3\n"):
    """Look for the cause, and return what is recorded now."""
    note_last_end(settings, FakeClock(2000.0), vmstat(tmp_path, text))
    return records.read_failure(settings)


def test_the_end_is_recorded_between_the_two_starts(settings, tmp_path):
    """It counts as later than its own start and earlier than the next one."""
    found = note(settings, tmp_path)

    assert found is not None
    assert found.summary == "The engine ended: ValueError: it broke."
    assert (found.at_s, found.boot_id, found.starts) == (1030.0, BOOT, 1)
    assert found.log_tail == ("ValueError: it broke",)
    assert found.selection == START.selection


@pytest.mark.parametrize(
    ("changes", "starts"), [({}, 5), ({"selection": "other"}, 1), ({"boot_id": "b"}, 1)]
)
def test_failures_of_the_same_are_counted(settings, tmp_path, changes, starts):
    """Starts in a row that failed add up, as long as they are of one selection."""
    records.write_record(settings.failure_file, replace(EARLIER, **changes))

    found = note(settings, tmp_path)

    assert found is not None
    assert found.starts == starts


def test_what_is_recorded_already_stays(settings, tmp_path):
    """The daemon's own words, or those of a health check, are not written anew."""
    known = replace(EARLIER, at_s=1001.0)
    records.write_record(settings.failure_file, known)

    assert note(settings, tmp_path) == known


@pytest.mark.parametrize(
    "changes",
    [
        {"process": own_identity()},
        {"process": replace(ENDED, boot_id="b")},
        {"selection": "other"},
        {"selection": None},
        {"recorder": None},
        {"text": "all is well\n"},
    ],
    ids=["it-runs", "before-the-boot", "another", "unknown", "no-log", "no-cause"],
)
def test_there_may_be_nothing_to_tell(settings, tmp_path, changes, monkeypatch):
    """An engine that runs, an earlier boot, another selection, no log, no error."""
    if changes.get("process") == own_identity():
        monkeypatch.setattr("vllm_pkg.engine.last_end.is_alive", lambda *_: True)
    write(settings, **changes)

    assert note(settings, tmp_path) is None


def test_without_a_start_there_is_no_end(settings, tmp_path):
    """The first start of all has none before it."""
    settings.start_file.unlink()

    assert note(settings, tmp_path) is None


def test_another_host_sees_it_itself(tmp_path, settings):
    """Where a keeper sees how the engine ends, the log alone is not asked."""
    other = make_settings(tmp_path)

    note_last_end(other, FakeClock(2000.0), vmstat(tmp_path))

    assert other.start_file == settings.start_file
    assert records.read_failure(other) is None


@pytest.mark.parametrize(
    ("before", "text", "cause"),
    [
        (3, "oom_kill 4\n", "killed"),
        (3, "oom_kill 3\n", None),
        (None, "oom_kill 4\n", None),
        (3, "", None),
    ],
)
def test_memory_that_ran_out_is_seen(settings, tmp_path, before, text, cause):
    """The kernel counts whom it has ended: more than at the start tell a silent end."""
    write(settings, text="all is well\n", memory_kills=before)

    found = note(settings, tmp_path, text)

    assert (found and found.cause) == cause


@pytest.mark.parametrize(
    ("text", "count"),
    [("a 1\noom_kill 3\n", 3), ("oom_kill x\n", None), ("a b c\n", None), ("", None)],
)
def test_the_kernels_count_is_read(tmp_path, text, count):
    """What is not there, or no number, is not known; this kernel has a number."""
    assert count_memory_kills(vmstat(tmp_path, text)) == count
    assert count_memory_kills(tmp_path / "none") is None
    assert isinstance(count_memory_kills(), int)
