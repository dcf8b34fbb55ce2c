"""
What is let in: deny by default. Pure.

Of two requests with the same right credentials one may be a person's and the other that
of a page elsewhere, which the same browser sends. Sec-Fetch-Site tells, and no page can
change it; Origin against the own host tells where it is missing; where both are, only
the token in a header counts, which no page can make a browser send.
Source: Filippo Valsorda, "Cross-Site Request Forgery", 2025; W3C, Fetch Metadata.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vllm_pkg.portal.access.asked import Asked

LOGIN_PATH: Final = "/login"
_READS: Final = frozenset({"GET", "HEAD"})
# Everything that is open. Whatever is not named here needs a session or the token.
PUBLIC: Final = {
    "/healthz": _READS,
    LOGIN_PATH: _READS | {"POST"},
}
# OPTIONS of a stranger is refused before for want of credentials.
_SAFE: Final = _READS | {"OPTIONS"}
API: Final = "/api/"
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
# "none": a person typed the address, or reloads.
_OWN_SITES: Final = frozenset({"same-origin", "none"})


class Credential(Enum):
    """What a request shows of a right to be let in."""

    NONE = auto()
    WRONG = auto()
    """A token that is not ours."""
    LIMITED = auto()
    """A token that was not looked at: too many wrong ones came from there."""
    SESSION = auto()
    """The cookie of a session; a token beside it counts for nothing."""
    TOKEN = auto()
    """The token in a header, and no session."""


class Verdict(Enum):
    """What is done with a request."""

    PASS = auto()
    MISSING = auto()
    WRONG = auto()
    LIMITED = auto()
    FOREIGN = auto()
    NOT_JSON = auto()
    NOT_A_FORM = auto()


_REFUSED: Final = {
    Credential.NONE: Verdict.MISSING,
    Credential.WRONG: Verdict.WRONG,
    Credential.LIMITED: Verdict.LIMITED,
}


def is_public(asked: Asked) -> bool:
    """Whether a request needs no credentials."""
    return not asked.is_websocket and asked.method in PUBLIC.get(asked.path, ())


def judge(asked: Asked, host: str, credential: Credential) -> Verdict:
    """
    Return what is done with a request.

    Args:
        asked: The request.
        host: The name of ours that it came to.
        credential: What it shows; any for what is public.
    """
    is_open = is_public(asked)
    if not is_open and credential in _REFUSED:
        return _REFUSED[credential]
    # A browser adds cookies by itself, and the token never.
    is_program = credential is Credential.TOKEN and not asked.has_cookies
    if not is_program and not _is_own(asked, host):
        return Verdict.FOREIGN
    return _judge_content(asked, is_open=is_open, is_program=is_program)


def _is_own(asked: Asked, host: str) -> bool:
    site, origin = asked.only("sec-fetch-site"), asked.only("origin")
    is_read = asked.method in _SAFE and not asked.is_websocket
    if origin is not None and origin != f"{asked.scheme}://{host}":
        return False
    if site is not None:
        return site in _OWN_SITES or (is_read and _is_followed_link(asked))
    return is_read or origin is not None


def _is_followed_link(asked: Asked) -> bool:
    """Whether a page elsewhere leads a person here, and does not embed or read us."""
    return (
        asked.only("sec-fetch-mode") == "navigate"
        and asked.only("sec-fetch-dest") == "document"
    )


def _judge_content(asked: Asked, *, is_open: bool, is_program: bool) -> Verdict:
    if asked.is_websocket or asked.method in _SAFE:
        return Verdict.PASS
    media_type = (asked.only("content-type") or "").partition(";")[0].strip().lower()
    # The only open route that changes anything is the login, whose page has a form.
    if is_open and media_type != _FORM:
        return Verdict.NOT_A_FORM
    # What a form can send is no JSON, so a form elsewhere never reaches the API.
    if asked.path.startswith(API) and not is_program and media_type != _JSON:
        return Verdict.NOT_JSON
    return Verdict.PASS


def leads_back(asked: Asked) -> bool:
    """
    Whether to have the browser ask once more, from a page of ours.

    It keeps the cookie of a session back when a page elsewhere, such as a mail in a
    browser, has led here, also through the redirect after a login.
    """
    return (
        asked.method == "GET"
        and asked.only("sec-fetch-site") == "cross-site"
        and _is_followed_link(asked)
    )
