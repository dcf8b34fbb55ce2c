"""The element that shows the lines of a log, however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui.element import Element

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.logs.view import View

# What the reader has at once.
LINES_AT_ONCE: Final = 10_000

STYLE: Final = """
.log-view { overflow: auto; height: 60vh; min-height: 12rem;
  background: var(--vp-surface); border: 1px solid var(--vp-line); border-radius: 8px;
  font: 13px/20px var(--vp-mono); }
.log-rows { position: relative; min-width: 100%; }
.log-row { position: absolute; left: 0; min-width: 100%; height: 20px;
  padding: 0 8px 0 6px; white-space: pre; border-left: 3px solid transparent; }
.log-error { color: var(--vp-bad); border-left-color: currentcolor; }
.log-warning { color: var(--vp-busy); border-left-color: currentcolor; }
.log-debug, .log-rest { color: var(--vp-muted); }
.log-rest { padding-left: 1ch; font-style: italic; user-select: none; }
.log-row mark { background: #ffe066; color: #1a1a1a; }
.log-current { background: var(--vp-accent-soft); outline: 1px solid currentcolor;
  outline-offset: -1px; }
"""


class LogView(Element, component="log_view.js"):
    """
    A window on a `View`, which asks for the lines it needs.

    Args:
        name: What it is called for those who cannot see it.
        hidden: Says how many characters of a line are left out, at the sign ``#``.
        search: The field that the key ``/`` leads to.
        on_need: Called with edition, first and end of lines that are needed.
        on_follow: Called with whether it stays at the end.
    """

    def __init__(
        self,
        name: str,
        hidden: str,
        search: Element,
        on_need: Callable[[int, int, int], Any],
        on_follow: Callable[[bool], Any],
    ) -> None:
        super().__init__()
        self._props["name"] = name
        self._props["hidden"] = hidden
        self._props["search-id"] = search.html_id
        self._edition = 0
        self.on("need", lambda event: on_need(*event.args))
        self.on("follow", lambda event: on_follow(bool(event.args)))

    def show_anew(self, view: View, *, may_follow: bool) -> None:
        """Show other lines, the last ones at once."""
        self._edition += 1
        total = len(view)
        first = max(0, total - LINES_AT_ONCE)
        rows = view.rows(first, total)
        query = view.query
        self.run_method("reset", self._edition, total, first, rows, query, may_follow)

    def show_change(self, view: View, first: int) -> None:
        """Show that the lines from a position on have changed."""
        total = len(view)
        rows = view.rows(max(first, total - LINES_AT_ONCE), total)
        self.run_method("change", self._edition, total, first, rows)

    def show_needed(self, view: View, edition: int, first: int, end: int) -> None:
        """Give the lines that were asked for."""
        if edition == self._edition:
            end = min(end, first + LINES_AT_ONCE)
            self.run_method("fill", edition, first, view.rows(max(0, first), end))

    def show_marks(self, query: str, position: int) -> None:
        """Mark what is searched for, and the line of one match; -1: of none."""
        self.run_method("mark", self._edition, query, position)

    def show_line(self, position: int) -> None:
        """Bring a line into sight and stay there."""
        self.run_method("show", position)

    def follow(self) -> None:
        """Go to the end and stay there."""
        self.run_method("follow")
