"""Which failures are tried again, when, and what people are told in the end."""

from __future__ import annotations

import pytest

from vllm_pkg.models.download import errors
from vllm_pkg.models.download.explain import error_for
from vllm_pkg.models.download.retry import (
    Cause,
    Failure,
    Tries,
    delay_s,
    most_telling,
)

NO_REPOSITORY = "org/name: the Hub has no such repository"
GATED = "org/name is gated"
FINAL = {
    Cause.NOT_FOUND,
    Cause.HIDDEN,
    Cause.REVISION,
    Cause.NO_FILE,
    Cause.GATED,
    Cause.TOKEN,
    Cause.REFUSED,
    Cause.DISK_FULL,
    Cause.DISK,
    Cause.UNEXPECTED,
}


@pytest.mark.parametrize("cause", list(Cause))
def test_what_no_repetition_changes_is_not_repeated(cause):
    """A missing repository or a full disk has no next try; a broken line has one."""
    failure = Failure(cause, "x")
    tries = Tries().after(failure, brought_bytes=False)

    assert failure.is_final is (cause in FINAL)
    assert (delay_s(failure, tries) is None) is (cause in FINAL)


def test_pauses_grow_to_a_minute_and_then_end():
    """The eighth try in a row that brings nothing is the last."""
    failure, tries, pauses = Failure(Cause.NETWORK, "x"), Tries(), []
    for _ in range(8):
        tries = tries.after(failure, brought_bytes=False)
        pauses.append(delay_s(failure, tries))

    assert pauses == [1, 2, 4, 8, 16, 32, 60, None]


def test_a_try_that_brought_bytes_starts_anew():
    """A line that breaks every minute gets there in the end."""
    failure = Failure(Cause.NETWORK, "x")
    tries = Tries(idle=7).after(failure, brought_bytes=True)

    assert tries.idle == 0
    assert delay_s(failure, tries) == 1


def test_wrong_content_ends_even_though_it_brings_bytes():
    """The third time wrong content is an error."""
    failure, tries = Failure(Cause.CORRUPT, "x"), Tries()
    pauses = []
    for _ in range(3):
        tries = tries.after(failure, brought_bytes=True)
        pauses.append(delay_s(failure, tries))

    assert pauses == [1, 1, None]


def test_a_stall_is_tried_again_at_once():
    """Waiting was done already; the second time in a row there is a pause."""
    failure = Failure(Cause.STALLED, "")

    assert delay_s(failure, Tries(idle=1)) == 0
    assert delay_s(failure, Tries(idle=2)) == 2


@pytest.mark.parametrize(
    ("asked_s", "expected"), [(0.0, 0.0), (7.0, 7.0), (901.0, None)]
)
def test_who_asks_to_wait_is_obeyed(asked_s, expected):
    """Up to a quarter of an hour."""
    failure = Failure(Cause.RATE_LIMITED, "x", retry_after_s=asked_s)

    assert delay_s(failure, Tries(idle=1)) == expected


@pytest.mark.parametrize(
    ("cause", "has_xet"),
    [
        (Cause.STALLED, False),
        (Cause.XET, False),
        (Cause.CRASHED, False),
        (Cause.NETWORK, True),
    ],
)
def test_what_xet_may_have_done_ends_xet(cause, has_xet):
    """After a stall the transfer goes on over plain HTTP, for good."""
    tries = Tries().after(Failure(cause, "x"), brought_bytes=True)
    later = tries.after(Failure(Cause.NETWORK, "x"), brought_bytes=True)

    assert (tries.has_xet, later.has_xet) == (has_xet, has_xet)


def test_the_most_telling_failure_decides():
    """What is final comes first, then the longest wait that is asked for."""
    broken = Failure(Cause.NETWORK, "x")
    gated = Failure(Cause.GATED, "x")
    limited = Failure(Cause.RATE_LIMITED, "x", retry_after_s=5.0)

    assert most_telling([broken, gated, limited]) == gated
    assert most_telling([limited, broken]) == limited
    assert most_telling([broken]) == broken


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (
            Failure(Cause.NETWORK, "ConnectError: refused"),
            errors.HubUnreachable,
            "org/name: the Hub cannot be reached: ConnectError: refused",
        ),
        (
            Failure(Cause.DISK_FULL, "No space left on device", file="a.bin"),
            errors.DiskFull,
            "org/name: a.bin: the disk is full: No space left on device",
        ),
        (
            Failure(Cause.STALLED, ""),
            errors.DownloadStalled,
            "org/name: no byte arrives any more",
        ),
        (
            Failure(Cause.NOT_FOUND, "x", status=404),
            errors.RepositoryNotFound,
            f"{NO_REPOSITORY}, or none that this token may see",
        ),
        (
            Failure(Cause.NOT_FOUND, "it is no name of a repository"),
            errors.RepositoryNotFound,
            "org/name: it is no name of a repository",
        ),
        (
            Failure(Cause.HIDDEN, "x"),
            errors.RepositoryHidden,
            f"{NO_REPOSITORY}, or it is private and no Hugging Face token is set",
        ),
        (
            Failure(Cause.REVISION, "x"),
            errors.RevisionNotFound,
            "org/name has no branch, tag or commit 'v1'",
        ),
        (
            Failure(Cause.GATED, "x", status=401),
            errors.LicenceNotAccepted,
            f"{GATED}, and no Hugging Face token is set",
        ),
        (
            Failure(Cause.GATED, "x", status=403),
            errors.LicenceNotAccepted,
            f"{GATED}, and the account of the Hugging Face token has no access",
        ),
        (
            Failure(Cause.RATE_LIMITED, "x"),
            errors.HubRateLimited,
            "org/name: the Hub asks to wait",
        ),
        (
            Failure(Cause.RATE_LIMITED, "x", retry_after_s=9.0),
            errors.HubRateLimited,
            "org/name: the Hub asks to wait for 9 s",
        ),
    ],
)
def test_what_people_read(failure, kind, message):
    """Each error says what and where, and what to do."""
    error = error_for(failure, "org/name", "v1")

    assert type(error) is kind
    assert error.message == message
    assert error.hint


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_an_error(cause):
    """None is forgotten."""
    error = error_for(Failure(cause, "x"), "org/name", "main")

    assert isinstance(error, errors.DownloadError)
