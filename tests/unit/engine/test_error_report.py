"""What is told of a start that this package itself gives up."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.exit_report import ExitReport, report_error
from vllm_pkg.errors import (
    EngineError,
    EngineStartFailed,
    ModelDoesNotFit,
    ModelFolderMissing,
    PortInUse,
    ServiceError,
    StateWriteFailed,
)
from vllm_pkg.models.download import errors
from vllm_pkg.state.records import SettingChange

NOT_RECORDED = {errors.DownloadCancelled}
GONE = errors.RevisionNotFound("org/name has no branch, tag or commit 'v1'")


def _all(kind):
    return [kind, *(found for child in kind.__subclasses__() for found in _all(child))]


DOWNLOAD_ERRORS = [
    kind for kind in _all(errors.DownloadError) if kind not in NOT_RECORDED
]


@pytest.mark.parametrize("kind", DOWNLOAD_ERRORS)
def test_every_error_of_a_download_has_a_cause(kind):
    """By its code, or by its words; whether it is final says its exit code."""
    error = kind("org/name holds no weights that the engine would load")

    report = report_error(error, None)

    assert report.cause is not None
    assert (report.explanation or "").endswith(".")
    assert report.summary == (
        "The engine could not be started: org/name holds no weights that the engine"
        " would load."
    )
    assert report.is_final is (kind.exit_code in {73, 77, 78})


def test_an_error_says_itself_what_to_do():
    """The hint is that of the error, which knows more than the rule."""
    report = report_error(errors.DiskFull("it is full", hint="remove org/old"), None)

    assert report == ExitReport(
        summary="The engine could not be started: it is full.",
        hint="Remove org/old.",
        is_final=True,
        log_tail=(),
        cause="disk-full",
        explanation="There was no room left on a disk for what had to be written.",
    )


@pytest.mark.parametrize(
    ("error", "cause", "explanation"),
    [
        (PortInUse("port 1 is in use"), "port-in-use", None),
        (
            ModelFolderMissing("/m is not a folder with a model in it"),
            "model-folder-missing",
            "/m is not a folder with a model in it.",
        ),
        (
            EngineStartFailed("the stored arguments are refused: no; x"),
            "stored-arguments-refused",
            "the stored arguments are refused: no; x.",
        ),
        (
            StateWriteFailed("cannot write /x: No space left on device"),
            "disk-full",
            None,
        ),
        (EngineError("the recorder cannot be started"), None, None),
        (ServiceError("no"), None, None),
    ],
)
def test_other_errors_are_named_too(error, cause, explanation):
    """What has no code in the table is recognised by its words, or not at all."""
    report = report_error(error, None)

    assert report.cause == cause
    assert report.hint.endswith(".")
    if explanation is not None:
        assert report.explanation == explanation
        assert report.evidence is not None


@pytest.mark.parametrize(
    ("selected", "changes"),
    [
        (None, ()),
        ((("org/name",), ()), ()),
        (
            (("org/name", "--revision", "v1"), ()),
            (SettingChange("--revision", is_removed=True),),
        ),
    ],
)
def test_a_change_is_one_of_what_is_selected(selected, changes):
    """Nothing is proposed that is not there, or for what is not known."""
    report = report_error(GONE, selected)

    assert report.changes == changes
    assert ("Apply Fix" in report.hint) is bool(changes)
    assert report.hint.startswith("Correct --revision or the like, or leave it out")


@pytest.mark.parametrize("is_joined", [False, True])
def test_the_revision_that_is_wrong_is_the_one_removed(is_joined):
    """Of two revisions the offered change names the one that the Hub does not have."""
    gone = errors.RevisionNotFound("org/name has no tag 'v1'", revision="v1")
    wrong = (
        ("--tokenizer-revision=v1",) if is_joined else ("--tokenizer-revision", "v1")
    )

    report = report_error(gone, (("org/name", "--revision", "v0", *wrong), ()))

    assert report.changes == (SettingChange("--tokenizer-revision", is_removed=True),)


def test_a_model_that_does_not_fit_names_its_change():
    """What the estimate has found can be applied in one click."""
    error = ModelDoesNotFit("it does not fit", options=(("--max-model-len", "2048"),))

    known = report_error(error, (("org/name",), ()))
    unknown = report_error(error, None)
    other = report_error(ServiceError("no"), (("org/name",), ()))

    assert known.changes == (SettingChange("--max-model-len", "2048"),)
    assert "set --max-model-len to 2048" in known.hint
    assert unknown.changes == other.changes == ()
