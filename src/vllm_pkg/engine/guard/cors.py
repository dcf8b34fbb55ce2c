"""
Which other websites' pages may read our answers: as vLLM is told, for the guard too.

Pure. vLLM's own middleware stands behind the guard, so what the guard refuses needs the
same headers; without them a browser shows its page an error without a reason.
Source: Starlette 1.10, ``middleware/cors.py``; vLLM 0.32, ``serve/middleware``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vllm_pkg.engine.guard.tokens import Header

_ALLOWED_ORIGINS: Final = "--allowed-origins"
_CREDENTIALS: Final = {"--allow-credentials": True, "--no-allow-credentials": False}
_ALL: Final = "*"
_VARY: Final = (b"vary", b"Origin")
_WITH_CREDENTIALS: Final = (b"access-control-allow-credentials", b"true")


@dataclass(frozen=True)
class CorsPolicy:
    """
    What the owner allows.

    Args:
        origins: Whose pages, as vLLM was given it; ``*`` in it means everybody's. vLLM
            takes a text for a list as well, and looks for parts of it then.
        credentials: Whether they may send cookies and the like.
    """

    origins: list[str] | str
    credentials: bool

    def as_text(self) -> str:
        """Return the form that `read_policy` reads."""
        return json.dumps(asdict(self))

    def headers(self, request: Iterable[Header]) -> tuple[Header, ...]:
        """
        Return what an answer needs so that its page may read it.

        Args:
            request: The headers of the request; names in lower case.
        """
        origin = next((value for name, value in request if name == b"origin"), None)
        if origin is None:
            return (_VARY,)
        added = [_VARY]
        is_for_all = _ALL in self.origins
        if is_for_all and not self.credentials:
            added.append(_allowed(_ALL.encode()))
        elif is_for_all or origin.decode("latin-1") in self.origins:
            added.append(_allowed(origin))
        if self.credentials:
            added.append(_WITH_CREDENTIALS)
        return tuple(added)


def find_policy(serve_args: Sequence[str]) -> CorsPolicy | None:
    """
    Return what accepted arguments of ``vllm serve`` allow; None: nobody's pages.

    vLLM takes the last of equal options, and nobody's is its default.
    """
    origins: list[str] | str = []
    credentials = False
    for position, argument in enumerate(serve_args):
        name, has_value, value = argument.partition("=")
        name = name.replace("_", "-")
        if name == _ALLOWED_ORIGINS:
            following = serve_args[position + 1 : position + 2]
            origins = _origins(value if has_value else "".join(following))
        credentials = _CREDENTIALS.get(name, credentials)
    return CorsPolicy(origins, credentials) if origins else None


def read_policy(text: str) -> CorsPolicy | None:
    """Return the policy of a text from `CorsPolicy.as_text`; None of an empty one."""
    return CorsPolicy(**json.loads(text)) if text else None


def _origins(value: str) -> list[str] | str:
    try:
        origins = json.loads(value)
    except (ValueError, RecursionError):
        # vLLM refuses it, and ends.
        return []
    return origins if isinstance(origins, (list, str)) else []


def _allowed(origin: bytes) -> Header:
    return b"access-control-allow-origin", origin
