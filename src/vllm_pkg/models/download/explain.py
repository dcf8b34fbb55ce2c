"""From how a transfer ended to the error that people read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.models.download import errors
from vllm_pkg.models.download.retry import Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vllm_pkg.models.download.retry import Failure

_UNAUTHORIZED: Final = 401
_ACTION: Final = 'the "Hugging Face Token" action'


def error_for(failure: Failure, repo_id: str, revision: str) -> errors.DownloadError:
    """
    Return the error of a transfer that is given up.

    Args:
        failure: How the last try ended.
        repo_id: The repository.
        revision: The branch, tag or commit that was asked for.
    """
    special = _SPECIAL.get(failure.cause)
    if special is not None:
        return special(failure, repo_id, revision)
    kind, text = _PLAIN[failure.cause]
    where = f"{repo_id}: {failure.file}" if failure.file else repo_id
    said = f": {failure.message}" if failure.message else ""
    return kind(f"{where}: {text}{said}")


def _not_found(failure: Failure, repo_id: str, _revision: str) -> errors.DownloadError:
    return errors.RepositoryNotFound(
        f"{repo_id}: the Hub has no such repository, or none that this token may see"
        if failure.status
        else f"{repo_id}: {failure.message}",
        hint="check the name, written as org/name; if it is private, set the token of"
        f" an account that may read it with {_ACTION}",
    )


def _hidden(_failure: Failure, repo_id: str, _revision: str) -> errors.DownloadError:
    return errors.RepositoryHidden(
        f"{repo_id}: the Hub has no such repository, or it is private and no"
        " Hugging Face token is set"
    )


def _revision(_failure: Failure, repo_id: str, revision: str) -> errors.DownloadError:
    return errors.RevisionNotFound(
        f"{repo_id} has no branch, tag or commit {revision!r}", revision=revision
    )


def _gated(failure: Failure, repo_id: str, _revision: str) -> errors.DownloadError:
    if failure.status == _UNAUTHORIZED:
        return errors.LicenceNotAccepted(
            f"{repo_id} is gated, and no Hugging Face token is set",
            hint=f"log in at the Hub, accept the licence on the page of {repo_id}, then"
            f" set a token of that account with {_ACTION}",
        )
    return errors.LicenceNotAccepted(
        f"{repo_id} is gated, and the account of the Hugging Face token has no access",
        hint=f"accept the licence on the Hub's page of {repo_id} with the account of"
        " the token; some owners answer by hand, which takes time:"
        f" {_ACTION} tells whether one has",
    )


def _limited(failure: Failure, repo_id: str, _revision: str) -> errors.DownloadError:
    wait = (
        f" for {failure.retry_after_s:.0f} s"
        if failure.retry_after_s is not None
        else ""
    )
    return errors.HubRateLimited(f"{repo_id}: the Hub asks to wait{wait}")


_SPECIAL: Final[Mapping[Cause, Callable[[Failure, str, str], errors.DownloadError]]] = {
    Cause.NOT_FOUND: _not_found,
    Cause.HIDDEN: _hidden,
    Cause.REVISION: _revision,
    Cause.GATED: _gated,
    Cause.RATE_LIMITED: _limited,
}
_PLAIN: Final[Mapping[Cause, tuple[type[errors.DownloadError], str]]] = {
    Cause.NETWORK: (errors.HubUnreachable, "the Hub cannot be reached"),
    Cause.SERVER: (errors.HubUnreachable, "the Hub has a problem of its own"),
    Cause.STALLED: (errors.DownloadStalled, "no byte arrives any more"),
    Cause.XET: (errors.HubUnreachable, "Xet does not bring it"),
    Cause.CRASHED: (errors.DownloadError, "the transfer ended by itself"),
    Cause.CORRUPT: (errors.DownloadCorrupt, "what arrives is damaged"),
    Cause.LENGTH: (errors.DownloadCorrupt, "the Hub sends less than it announces"),
    Cause.NO_FILE: (errors.FileNotInRepository, "the Hub lists it and has it not"),
    Cause.TOKEN: (errors.HubTokenRefused, "the Hub refuses the Hugging Face token"),
    Cause.REFUSED: (errors.HubRefused, "the Hub refuses"),
    Cause.DISK_FULL: (errors.DiskFull, "the disk is full"),
    Cause.DISK: (errors.CacheUnwritable, "the model cache cannot be written"),
    Cause.UNEXPECTED: (errors.DownloadError, "the download failed"),
}
