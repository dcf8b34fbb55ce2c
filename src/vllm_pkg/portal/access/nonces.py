"""
The nonce of a page: which of its inline scripts are ours.

NiceGUI's template knows no nonces. They are written into the template itself and into
what the page's own Python code adds to its head, never into the finished page: a script
that came into it by way of some text has none, and the browser does not run it.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from jinja2.ext import Extension
from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Environment

_BYTES: Final = 16
_SCRIPT: Final = re.compile(r"<script(?=[\s>])", re.IGNORECASE)
# What Python code adds to a page, as the template of NiceGUI 3.18 names it.
_ADDED: Final = re.compile(r"\{\{ (head_html|body_html) \|")
_nonce: ContextVar[str] = ContextVar("nonce")


def begin() -> str:
    """Make the nonce of the answer that begins, and return it."""
    nonce = secrets.token_urlsafe(_BYTES)
    _nonce.set(nonce)
    return nonce


class ScriptNonces(Extension):
    """Gives the scripts of templates the nonce of the answer they are for."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["with_nonces"] = _with_nonces
        environment.globals["script_nonce"] = _nonce.get

    def preprocess(
        self,
        source: str,
        name: str | None,  # noqa: ARG002  # jinja's signature
        filename: str | None = None,  # noqa: ARG002
    ) -> str:
        """Return a template's text, with a place for the nonce in each script."""
        marked = _SCRIPT.sub('<script nonce="{{ script_nonce() }}"', source)
        return _ADDED.sub(r"{{ \1 | with_nonces |", marked)


def install(templates: Any) -> None:
    """
    Have the pages of NiceGUI carry nonces.

    Args:
        templates: Its `Jinja2Templates`.
    """
    environment = templates.env
    if ScriptNonces.identifier not in environment.extensions:
        environment.add_extension(ScriptNonces)
        environment.cache.clear()


def _with_nonces(html: str) -> Markup:
    # Only our own code adds to a page in this way.
    return Markup(_SCRIPT.sub(f'<script nonce="{_nonce.get()}"', html))  # noqa: S704
