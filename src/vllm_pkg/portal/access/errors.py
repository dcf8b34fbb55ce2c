"""Errors of those who are not let in to the portal; vllm_pkg.errors has the tree."""

from __future__ import annotations

from vllm_pkg.errors import ServiceError, UsageError


class ContentTypeRefused(UsageError):
    """A request came in another form than the one that is understood."""

    code = "content-type-refused"
    http_status = 415
    default_hint = "send JSON, with Content-Type: application/json"


class AuthError(ServiceError):
    """A request to the portal was refused before anything of it was done."""

    code = "auth"
    exit_code = 77
    http_status = 401
    default_hint = "open the link that vllm-pkg portal link prints"


class MissingToken(AuthError):
    """The request has neither a session nor the token of the portal."""

    code = "missing-token"


class WrongToken(AuthError):
    """The request has a token, and it is not that of the portal."""

    code = "wrong-token"


class OriginRefused(AuthError):
    """A browser sent the request on behalf of another site."""

    code = "origin-refused"
    http_status = 403
    default_hint = "ask from the portal's own pages, or with its token and no cookie"


class HostRefused(AuthError):
    """The request names a host that the portal does not have."""

    code = "host-refused"
    http_status = 421
    default_hint = (
        "use the address that vllm-pkg portal link prints, or allow the name with"
        " VLLM_PKG_PORTAL_ALLOWED_HOSTS"
    )


class RateLimited(AuthError):
    """Too many wrong tokens came from one address."""

    code = "rate-limited"
    http_status = 429
    default_hint = "wait a minute"
