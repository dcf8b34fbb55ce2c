"""Notes that a browser takes of what changes in a page, so that no moment is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_NOTE = """([name, selector, within, attribute]) => {
  const notes = ((window.notes ??= {})[name] = []);
  const look = () => {
    const found = document.querySelector(selector);
    if (!found) return;
    const seen = attribute ? found.getAttribute(attribute) : found.textContent;
    if (seen !== null && seen !== notes.at(-1)) notes.push(seen);
  };
  look();
  new MutationObserver(look).observe(document.querySelector(within), {
    attributes: true, characterData: true, childList: true, subtree: true,
  });
}"""


def note_changes(
    page: Page, name: str, selector: str, within: str, attribute: str | None = None
) -> None:
    """
    Let the page note what an element says, now and with each change, until it is left.

    Args:
        page: The page.
        name: What the notes are called, for `noted`.
        selector: The element; there need be none yet, and the first one counts.
        within: What is there already and surrounds it.
        attribute: What of it is noted; None: its text.
    """
    page.evaluate(_NOTE, [name, selector, within, attribute])


def noted(page: Page, name: str) -> list[str]:
    """Return what was noted so far, each change once."""
    return list(page.evaluate("(name) => window.notes[name]", name))
