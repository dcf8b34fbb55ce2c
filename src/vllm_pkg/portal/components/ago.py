"""A time, told by how long ago it was, with the exact one on hover."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nicegui import ui

from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.wording import ago, instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.texts.catalogue import Texts

REFRESH_S: Final = 5.0


class RelativeTime(Text):
    """
    A time that says by itself how long ago it was.

    Args:
        texts: The language.
        when: The time; None: nothing is shown.
        sentence: Makes a whole sentence of the words, such as "Failed 2 minutes ago.".
    """

    def __init__(
        self,
        texts: Texts,
        when: datetime | None,
        sentence: Callable[[str], str] = lambda words: words,
    ) -> None:
        super().__init__("time")
        self._texts = texts
        self._sentence = sentence
        self._when: datetime | None = None
        with self:
            ui.timer(REFRESH_S, self._refresh, immediate=False)
        self.tell(when)

    def tell(self, when: datetime | None) -> None:
        """Tell about another time."""
        if when != self._when and when is not None:
            self.props(f"datetime={when.isoformat(timespec='seconds')}")
            self.props["title"] = instant(self._texts, when)
        self._when = when
        self._refresh()

    def _refresh(self) -> None:
        if self._when is None:
            self.say("")
        else:
            words = ago(self._texts, self._when, datetime.now(UTC))
            self.say(self._sentence(words))
