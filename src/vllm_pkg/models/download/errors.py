"""
What can go wrong with a download: the branch DownloadError of the tree of errors.

It stands here because no other part raises them; the tree is drawn in
`vllm_pkg.errors`. Standard library only.
"""

from __future__ import annotations

from vllm_pkg.errors import ServiceError


class DownloadError(ServiceError):
    """A model could not be downloaded; what has arrived is kept."""

    code = "download"
    exit_code = 70
    http_status = 502
    default_hint = "try again; the download goes on where it ended"


class HubUnreachable(DownloadError):
    """The Hub did not answer, or broke off, again and again."""

    code = "hub-unreachable"
    exit_code = 75
    default_hint = (
        "check this machine's network, proxy and DNS, then try again; the download goes"
        " on where it ended"
    )


class HubRateLimited(DownloadError):
    """The Hub asks to come again later."""

    code = "hub-rate-limited"
    exit_code = 75
    http_status = 429
    default_hint = (
        "try again later; with a Hugging Face token the limits are higher: set one with"
        ' the "Hugging Face Token" action'
    )


class DownloadStalled(DownloadError):
    """No byte arrived, in several tries."""

    code = "download-stalled"
    exit_code = 75


class DownloadCancelled(DownloadError):
    """The download was cancelled."""

    code = "download-cancelled"
    exit_code = 75
    http_status = 409
    default_hint = "what has arrived is kept; start it again to go on"


class DownloadCorrupt(DownloadError):
    """What arrives is not what the Hub announces, in several tries."""

    code = "download-corrupt"
    default_hint = (
        "a proxy on the way may change it; try again later or over another network"
    )


class DiskFull(DownloadError):
    """The download does not fit on the disk."""

    code = "disk-full"
    exit_code = 73
    http_status = 507
    default_hint = "free some disk space and try again"


class CacheUnwritable(DownloadError):
    """The model cache cannot be written."""

    code = "cache-unwritable"
    exit_code = 73
    http_status = 500
    default_hint = "check the owner and permissions of the folder, and the disk"


class RepositoryNotFound(DownloadError):
    """The Hub has no such repository, or none that this token may see."""

    code = "repository-not-found"
    exit_code = 78
    http_status = 404
    default_hint = "check the name; it is written as org/name"


class RepositoryHidden(DownloadError):
    """The repository does not exist or is private; the Hub does not tell strangers."""

    code = "repository-hidden"
    exit_code = 77
    http_status = 401
    default_hint = (
        "check the name; if it is private, set the token of an account that may read it"
        ' with the "Hugging Face Token" action'
    )


class RevisionNotFound(DownloadError):
    """
    The repository has no such branch, tag or commit.

    Args:
        message: Which repository and which revision.
        hint: What to do about it.
        revision: The revision that was asked for; empty when it is not known.
    """

    code = "revision-not-found"
    exit_code = 78
    http_status = 404
    default_hint = (
        "correct --revision or the like, or leave it out to get the newest one"
    )

    def __init__(
        self, message: str, *, hint: str | None = None, revision: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.revision = revision


class FileNotInRepository(DownloadError):
    """The Hub lists a file and does not have it."""

    code = "file-not-in-repository"
    exit_code = 78
    http_status = 404
    default_hint = "tell the owner of the repository, or choose another --revision"


class NoWeights(DownloadError):
    """The repository holds no weights that the engine would load."""

    code = "no-weights"
    exit_code = 78
    http_status = 422
    default_hint = "choose another repository, or check --load-format"


class LicenceNotAccepted(DownloadError):
    """The repository is gated, and the licence was not accepted with this token."""

    code = "licence-not-accepted"
    exit_code = 77
    http_status = 403


class HubTokenRefused(DownloadError):
    """The Hub does not know the Hugging Face token."""

    code = "hub-token-refused"
    exit_code = 77
    http_status = 401
    default_hint = (
        'set a valid token with the "Hugging Face Token" action, or remove it there'
    )


class HubRefused(DownloadError):
    """The Hub refuses, and repeating it would not help."""

    code = "hub-refused"
    exit_code = 77
    http_status = 403
    default_hint = (
        "see what the repository's page says, and set a token that may read it with the"
        ' "Hugging Face Token" action'
    )


class OfflineIncomplete(DownloadError):
    """Something is not whole in the cache, and HF_HUB_OFFLINE forbids to fetch it."""

    code = "offline-incomplete"
    exit_code = 78
    http_status = 409
    default_hint = "remove HF_HUB_OFFLINE, or put the model into the cache"
