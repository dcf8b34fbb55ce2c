"""Copying to the clipboard, also where the text may not stand in the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from nicegui import run, ui

from vllm_pkg.errors import ServiceError, as_sentence
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.notice import tell
from vllm_pkg.portal.said import say_plainly
from vllm_pkg.portal.situation import Tone

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.texts.catalogue import Texts

_REPLY_TIMEOUT_S: Final = 10.0


def copy_button(
    texts: Texts, name: str, fetch: Callable[[], str], *, text: str | None = None
) -> ui.button:
    """
    Show a button that copies something.

    Args:
        texts: The language.
        name: What is copied, for those who do not see where the button stands.
        fetch: Returns it when it is asked for; runs in a thread.
        text: What the button says, when not "Copy".
    """
    label = texts("frame.copy") if text is None else text

    async def copy() -> None:
        content = await fetched(texts, fetch)
        if content is None:
            return
        code = f"return vllmPortal.copy({json.dumps(made.html_id)}, {_script(content)})"
        if await ui.run_javascript(code, timeout=_REPLY_TIMEOUT_S):
            tell(texts("frame.copied"))
        else:
            tell(texts("frame.copy_failed"), Tone.BAD)

    made = button(
        label,
        copy,
        Look.SECONDARY,
        icon="content_copy",
        name=texts("frame.copy_named", name=name) if text is None else None,
    )
    made.props(f"data-vp-copy={made.html_id}")
    return made


async def fetched(texts: Texts, fetch: Callable[[], str]) -> str | None:
    """Return what is fetched in a thread; None, and a notice, when that fails."""
    try:
        return await run.io_bound(fetch)
    except ServiceError as error:
        tell(say_plainly(texts, as_sentence(error.message)), Tone.BAD)
        return None


def _script(text: str) -> str:
    """Return a text as JavaScript writes it."""
    return json.dumps(text)
