"""
The key inside a request's headers: taken out, and replaced by the engine's own. Pure.

Everything is bytes: a header may hold any byte, and text would have to be decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Header = tuple[bytes, bytes]

AUTHORIZATION: Final = b"authorization"
X_API_KEY: Final = b"x-api-key"
# Clients of Anthropic's API send their key in a header of its own, to these paths.
X_API_KEY_PATHS: Final = frozenset(
    {"/v1/messages", "/v1/messages/count_tokens", "/v1/messages/render"}
)
# Longer than any key can be (see state.credentials), and short to hash.
TOKEN_MAX_BYTES: Final = 256
_CREDENTIALS: Final = frozenset({AUTHORIZATION, X_API_KEY})
_SCHEME: Final = b"bearer"


def read_token(headers: Iterable[Header], path: str) -> bytes | None:
    """
    Return the one key that a request presents.

    Args:
        headers: Of an ASGI scope: names in lower case.
        path: Of the same scope; decides whether ``x-api-key`` counts.
    Returns:
        None when there is none, or two: which of them the engine, a proxy or a log
        would look at cannot be known. Also for another scheme, an empty key and one
        that is too long to be any.
    """
    bearers = []
    others = []
    for name, value in headers:
        if name == AUTHORIZATION:
            bearers.append(value)
        elif name == X_API_KEY:
            others.append(value)
    if len(bearers) == 1:
        scheme, _, token = bearers[0].partition(b" ")
        if scheme.lower() != _SCHEME:
            return None
        token = token.strip(b" ")
    elif not bearers and len(others) == 1 and path in X_API_KEY_PATHS:
        token = others[0]
    else:
        return None
    return token if 0 < len(token) <= TOKEN_MAX_BYTES else None


def with_engine_key(headers: Iterable[Header], presented: Header) -> list[Header]:
    """
    Return the headers with the engine's own key instead of the client's.

    Args:
        headers: Of an ASGI scope: names in lower case.
        presented: The header to put in, from `bearer_header`.
    """
    kept = [pair for pair in headers if pair[0] not in _CREDENTIALS]
    kept.append(presented)
    return kept


def bearer_header(key: str) -> Header:
    """Return the header that presents a key."""
    return AUTHORIZATION, b"Bearer " + key.encode("ascii")
