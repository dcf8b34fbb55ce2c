"""What the errors of huggingface_hub and of the system mean for a transfer."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import StateWriteFailed
from vllm_pkg.models.download.retry import Cause, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_TOKEN_REFUSED: Final = "Invalid credentials in Authorization header"  # noqa: S105
_RATE_LIMIT: Final = re.compile(r"r\s*=\s*0\s*;\s*t\s*=\s*(\d+)")
# By the names of classes: the HTTP library of huggingface_hub is another one in each of
# its generations, and in both the root of its errors has this name.
_CAUSES_BY_NAME: Final = {
    "HTTPError": Cause.NETWORK,
    "HFValidationError": Cause.NOT_FOUND,
    "StateWriteFailed": Cause.DISK,
    "WrongContent": Cause.CORRUPT,
    "TooShort": Cause.NETWORK,
    "XetFailed": Cause.XET,
}
_REQUEST_TIMEOUT: Final = 408
_SERVER_ERRORS: Final = range(500, 600)
_CAUSES: Final = {
    401: Cause.REFUSED,
    403: Cause.REFUSED,
    404: Cause.NO_FILE,
    416: Cause.LENGTH,
    429: Cause.RATE_LIMITED,
}


class XetFailed(Exception):
    """Xet could not bring the file."""


class TooShort(Exception):
    """The answer ended before the file did."""


def describe_failure(error: BaseException, file: str = "") -> Failure:
    """
    Classify an error.

    Args:
        error: Of huggingface_hub, its HTTP library, the system, or our own.
        file: The file it happened with.
    """
    response = getattr(error, "response", None)
    if response is not None and hasattr(response, "status_code"):
        return _of_answer(error, response, file)
    if isinstance(error, StateWriteFailed) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.errno is not None:
        return _of_system(error, file)
    for kind in type(error).__mro__:
        if kind.__name__ in _CAUSES_BY_NAME:
            return Failure(_CAUSES_BY_NAME[kind.__name__], str(error), file=file)
    said = f"{type(error).__name__}: {error}"
    return Failure(Cause.UNEXPECTED, said, file=file)


def _of_system(error: OSError, file: str) -> Failure:
    reason = os.strerror(error.errno or 0)
    if error.errno in _DISK_FULL:
        return Failure(Cause.DISK_FULL, reason, file=file)
    place = f" ({error.filename})" if error.filename else ""
    return Failure(Cause.DISK, f"{reason}{place}", file=file)


def _of_answer(error: BaseException, response: object, file: str) -> Failure:
    status = int(getattr(response, "status_code", 0))
    headers: Mapping[str, str] = getattr(response, "headers", {})
    said = headers.get("X-Error-Message") or f"HTTP status {status}"
    cause = _cause_of_answer(type(error).__name__, status, said)
    return Failure(cause, said, _retry_after_s(headers), file, status)


def _cause_of_answer(name: str, status: int, said: str) -> Cause:
    if name == "GatedRepoError":
        return Cause.GATED
    if said == _TOKEN_REFUSED:
        return Cause.TOKEN
    if name == "RepositoryNotFoundError":
        # 401 is what strangers get; with a token that is known, it is 404.
        return Cause.HIDDEN if status == 401 else Cause.NOT_FOUND  # noqa: PLR2004
    if name == "RevisionNotFoundError":
        return Cause.REVISION
    if status in _SERVER_ERRORS or status == _REQUEST_TIMEOUT:
        return Cause.SERVER
    return _CAUSES.get(status, Cause.REFUSED)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return what the Hub asks to wait: Retry-After, or its own rate limit header."""
    value = headers.get("Retry-After") or ""
    if value.isascii() and value.isdigit():
        return float(value)
    limited = _RATE_LIMIT.search(headers.get("RateLimit") or "")
    return float(limited[1]) if limited else None
