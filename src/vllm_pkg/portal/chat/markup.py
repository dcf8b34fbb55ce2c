"""
A model's answer, which is Markdown, as HTML. Pure.

The text is a stranger's: HTML in it is shown as text, a picture becomes a link, since
loading it would tell its server who reads, and a link leads to the web or to mail only.
Source: CommonMark, by markdown-it-py, which stays fast whatever a model writes.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict

# Beyond this it is shown as it was written.
MARKDOWN_MAX: Final = 200_000
# Headings of an answer stand below those of the page.
_HEADINGS: Final = {"h1": "h3", "h2": "h4", "h3": "h5"}
_LOWEST: Final = "h6"
_SAFE_LINK: Final = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)


def render_answer(text: str) -> str:
    """Return an answer as HTML that is safe to show."""
    if len(text) > MARKDOWN_MAX:
        return f"<pre>{escape(text)}</pre>"
    return str(_parser().render(text))


class _Parser(MarkdownIt):
    """Knows which links are safe."""

    def validateLink(self, url: str) -> bool:  # noqa: N802  # as the library has it
        return _SAFE_LINK.match(url.strip()) is not None


@cache
def _parser() -> MarkdownIt:
    parser = _Parser("js-default", {"breaks": True})
    parser.add_render_rule("image", _picture)
    parser.add_render_rule("heading_open", _heading)
    parser.add_render_rule("heading_close", _heading)
    parser.add_render_rule("table_open", lambda *_: '<div class="chat-table"><table>')
    parser.add_render_rule("table_close", lambda *_: "</table></div>")
    return parser


def _picture(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: Any,
) -> str:
    token = tokens[index]
    name = renderer.renderInlineAsText(token.children, options, env)
    address = str(token.attrs["src"])
    return f'<a href="{escape(address)}">{escape(name or address)}</a>'


def _heading(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: Any,
) -> str:
    tokens[index].tag = _HEADINGS.get(tokens[index].tag, _LOWEST)
    return str(renderer.renderToken(tokens, index, options, env))
