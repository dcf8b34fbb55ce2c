"""Downloads and checks in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vllm_pkg.portal.pages.models.job_rows import (
    FILES_SHOWN,
    check_row,
    content_bytes,
    download_row,
    newest_checks,
    newest_downloads,
)
from vllm_pkg.portal.texts.catalogue import load_texts
from vllm_pkg.service.jobs import Job, Kind, State

EN = load_texts("en")
SPACE = "\N{NO-BREAK SPACE}"
GIB = 1024**3
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _download(**changes):
    return {
        "id": "1",
        "state": "running",
        "model": "acme/model",
        "repository": "acme/model",
        "bytesDone": GIB,
        "bytesTotal": 4 * GIB,
        "bytesPerS": 84 * 1024**2,
        "etaS": 120,
        "isCancellable": True,
        "error": None,
    } | changes


def _check(state=State.RUNNING, model="acme/model", **more):
    return Job("1", Kind.VERIFY, model, state, NOW, **more)


def _verdict(*damaged, files=5, repaired=0):
    return {
        "files": files,
        "damaged": len(damaged),
        "repaired": repaired,
        "first_damaged": [{"file": name, "state": state} for name, state in damaged],
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {},
            (
                f"Downloading acme/model: 1.0 of 4.0{SPACE}GiB at 84{SPACE}MiB/s, "
                "about 2 minutes left."
            ),
        ),
        ({"etaS": None}, f"Downloading acme/model: 1.0 of 4.0{SPACE}GiB."),
        ({"bytesPerS": None}, f"Downloading acme/model: 1.0 of 4.0{SPACE}GiB."),
        ({"bytesTotal": None}, "Asking the Hub what acme/model consists of."),
        (
            {"state": "stalled", "bytesDone": None},
            (
                f"No bytes of acme/model arrive at the moment: 0.0 of 4.0{SPACE}GiB. "
                "It is tried again by itself."
            ),
        ),
        ({"state": "done"}, "acme/model is complete on the disk."),
        (
            {"state": "cancelled"},
            "The download of acme/model was cancelled. What has arrived is kept.",
        ),
        (
            {"state": "interrupted"},
            "The download of acme/model was interrupted. What has arrived is kept.",
        ),
        ({"state": "failed"}, "acme/model was not downloaded."),
    ],
)
def test_a_download_says_how_far_it_is(changes, sentence):
    """In each of its states, in one sentence."""
    assert download_row(EN, _download(**changes), {}).sentence == sentence


def test_a_download_that_ended_early_can_go_on():
    """One that is done cannot, and one that runs can be cancelled instead."""
    rows = {
        state: download_row(EN, _download(state=state, isCancellable=False), {})
        for state in ("running", "done", "cancelled", "interrupted", "failed")
    }

    assert {state for state, row in rows.items() if row.can_resume} == {
        "cancelled",
        "interrupted",
        "failed",
    }
    assert rows["done"].is_well
    assert [rows[state].is_running for state in ("running", "done")] == [True, False]
    assert download_row(EN, _download(), {}).can_cancel


def test_a_preset_is_called_by_its_name():
    """What is fetched for it is still named while it runs."""
    row = download_row(EN, _download(model="p"), {"p": "Preset"})

    assert (row.name, row.model, row.percent) == ("Preset", "p", 25.0)
    assert "acme/model" in row.sentence


def test_a_download_that_failed_says_why():
    """Message and hint, each as a sentence; a hint may be missing."""
    error = {"code": "x", "message": "no space is left", "hint": ""}

    row = download_row(EN, _download(state="failed", error=error), {})

    assert row.foreign == ("No space is left.",)


def test_a_download_without_a_model_has_the_name_of_its_repository():
    """Neither may be known at first; how much there is neither."""
    bare = download_row(EN, _download(model=None), {})
    none = download_row(EN, _download(model=None, repository=None, bytesDone=None), {})

    assert bare.name == "acme/model"
    assert (none.name, none.percent) == ("", None)


def test_a_check_says_how_far_it_is():
    """Nothing at first, and then how much of all content was read."""
    begun = check_row(EN, _check(), 4 * GIB, "All models")
    later = check_row(EN, _check(progress={"bytes_done": GIB}), 4 * GIB, "All models")
    beyond = check_row(EN, _check(progress={"bytes_done": 9}), 4, "All models")

    assert (begun.sentence, begun.percent) == ("Checking acme/model.", None)
    assert later.percent == 25.0
    assert later.sentence == (
        f"Checking all content of acme/model: 1.0 of 4.0{SPACE}GiB."
    )
    assert beyond.percent == 100.0
    assert begun.can_cancel
    assert begun.is_check


def test_a_check_that_found_nothing_says_so():
    """So does one that has mended what it found; all models have a name together."""
    done = _check(State.DONE, model="", result=_verdict(files=5))
    mended = _check(State.DONE, result=_verdict(repaired=1))

    row = check_row(EN, done, 0, "All models")

    assert row.sentence == "All models is in order: 5 files were checked."
    assert row.is_well
    assert check_row(EN, mended, 0, "").sentence == (
        "acme/model is in order again: 1 file was fetched anew."
    )


@pytest.mark.parametrize(
    ("state", "is_full"),
    [("missing", False), ("wrong-size", False), ("wrong-hash", True)],
)
def test_damaged_files_are_named_and_can_be_mended(state, is_full):
    """A repair looks as closely as the check that found the damage."""
    result = _verdict(("model.safetensors", state))

    row = check_row(EN, _check(State.DONE, result=result), 0, "")

    assert row.sentence == "1 file of acme/model is damaged."
    assert "model.safetensors" in row.details[0]
    assert row.repairs_fully is is_full
    assert not row.is_well


def test_of_many_damaged_files_some_are_named():
    """Their number is told all the same."""
    damaged = [(str(number), "missing") for number in range(FILES_SHOWN + 5)]

    row = check_row(EN, _check(State.DONE, result=_verdict(*damaged)), 0, "")

    assert len(row.details) == FILES_SHOWN
    assert row.sentence.startswith("15 files")


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (State.CANCELLED, "The check of acme/model was cancelled."),
        (State.INTERRUPTED, "The check of acme/model was interrupted."),
        (State.FAILED, "acme/model could not be checked."),
    ],
)
def test_a_check_that_ended_early_says_how(state, sentence):
    """And why, if that is known."""
    error = {"message": "it is not there", "hint": "pull it"}

    row = check_row(EN, _check(state, error=error), 0, "")

    assert row.sentence == sentence
    assert row.foreign == ("It is not there.", "Pull it.")


def test_of_each_model_what_runs_and_the_last_end_are_shown():
    """Older ends of the same model are not news any more."""
    downloads = [
        _download(id="1"),
        _download(id="2", state="done"),
        _download(id="3", state="failed", model="acme/other"),
        _download(id="4", state="failed", model="acme/other"),
    ]
    checks = [_check(State.DONE), _check(), _check(State.FAILED)]

    assert [item["id"] for item in newest_downloads(downloads)] == ["1", "3"]
    assert newest_checks(checks) == (checks[0], checks[1])


def test_a_check_reads_the_files_of_every_revision():
    """Of one model, or of all."""
    models = [
        {"model": "a/x", "revisions": [{"sizeBytes": 1}, {"sizeBytes": 2}]},
        {"model": "a/y", "revisions": [{"sizeBytes": 4}]},
    ]

    assert [content_bytes(models, name) for name in ("a/x", "a/y", "", "z")] == [
        3,
        4,
        7,
        0,
    ]
