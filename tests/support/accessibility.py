"""What axe-core finds on a page that keeps people from using it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


def barriers(page: Page) -> list[str]:
    """Return each violation with the elements that have it, one line each."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for violation in found
        for node in violation["nodes"]
    ]


def overflow_px(page: Page) -> int:
    """Return by how much the page is wider than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    )
