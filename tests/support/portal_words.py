"""Reading what the portal says in a test: spaces of typography become plain ones."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return a text with plain spaces only."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace(
        "\N{NARROW NO-BREAK SPACE}", " "
    )
