"""Short facts side by side, each for itself."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nicegui import ui

from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def fact_list() -> Iterator[None]:
    """Draw a list of facts; what is drawn inside the block are its items."""
    with ui.element("ul").classes("vp-facts"):
        yield


def facts(texts: Iterable[str]) -> None:
    """Draw short facts as a list, side by side where there is room."""
    with fact_list():
        for text in texts:
            Text("li", text)
