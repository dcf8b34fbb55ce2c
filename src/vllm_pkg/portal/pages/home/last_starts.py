"""How long the last starts took, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.start_bars import StartBars

if TYPE_CHECKING:
    from vllm_pkg.portal.components.watching import Watch
    from vllm_pkg.portal.texts.catalogue import Texts

SHOWN: Final = 5


class LastStartsPart:
    """
    The last starts as bars.

    Args:
        texts: The language.
    """

    def __init__(self, texts: Texts) -> None:
        with section(texts("start.last")):
            self._bars = StartBars(texts)
        self._bars.show(None, ())

    def update(self, watch: Watch) -> None:
        """Show those that are known now."""
        if "earlier" in watch.details:
            self._bars.show(None, watch.details["earlier"][:SHOWN])
