# ruff: noqa: INP001  # a script, in no package
"""
How soon the portal's first page is there, and how much memory the portal takes.

Run it with ``PYTHONPATH=tests:bench .venv/bin/python bench/portal_page.py``. It needs
Debian's Chromium, starts a portal and a browser for each round, and writes
portal_page.json and portal_page.md into results/.

The page is Home with a served model. Times are the browser's own, from the start of the
navigation; processor time of portal and browser stands beside them, which other
programs of the machine change less. Memory is what /proc says of the portal's process.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
from playwright.sync_api import sync_playwright
from published import describe_machine, machine_facts, moment, publish

from support.portal_process import portal_process
from support.portal_states import make_scene, small_api
from support.settings_factory import make_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from support.portal_process import PortalProcess

CHROMIUM: Final = "/usr/bin/chromium"
GOAL_MB: Final = 120
GOAL_MS: Final = 1000
# The page works once it has a connection to the portal.
IS_CONNECTED: Final = "window.did_handshake === true"
# Painting is told of a moment after it has happened.
IS_PAINTED: Final = "performance.getEntriesByName('first-contentful-paint').length > 0"
TIMES: Final = """() => {
  const [navigation] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  const sum = (entries) => entries.reduce((bytes, one) => bytes + one.transferSize, 0);
  return {
    loaded_ms: navigation.domContentLoadedEventEnd,
    painted_ms: paint.startTime,
    sent_kb: sum([navigation, ...performance.getEntriesByType("resource")]) / 1000,
  };
}"""
VISITS: Final = {
    "fresh": "fresh portal, new browser",
    "new": "the same portal, new browser",
    "again": "the same portal, the same browser",
}
MOMENTS: Final = {
    "started": "before the first visit",
    "visited": "after a visit",
    "idle": "after {idle_s:g} s without one",
}


@dataclass(frozen=True)
class Bench:
    """
    What the rounds have in common.

    Args:
        browser: A running browser.
        idle_s: For how long the portal is left alone.
    """

    browser: Browser
    idle_s: float

    def round(self) -> dict[str, Any]:
        """Start a portal, visit it, leave it alone, and visit it again."""
        with (
            tempfile.TemporaryDirectory() as name,
            small_api() as (port, _),
        ):
            folder = Path(name)
            settings = make_settings(folder)
            scene = make_scene(settings)
            scene.serve(port)
            scene.remember_two_starts()
            with portal_process(settings, folder) as portal:
                memory = {"started": _memory(portal)}
                times = {"fresh": self._visits(portal)[0]}
                memory["visited"] = _memory(portal)
                time.sleep(self.idle_s)
                memory["idle"] = _memory(portal)
                times["new"], times["again"] = self._visits(portal)
        return {"times": times, "memory": memory}

    def _visits(self, portal: PortalProcess) -> tuple[dict[str, float], ...]:
        """Follow the login link in a browser without a past, then open Home again."""
        context = self.browser.new_context(base_url=portal.base_url, locale="en-US")
        page = context.new_page()
        seen = tuple(_open(page, portal, path) for path in (portal.login_path, "/"))
        context.close()
        return seen


def _open(page: Page, portal: PortalProcess, path: str) -> dict[str, float]:
    before_ms = _cpu_ms(portal)
    page.goto(path)
    page.wait_for_function(IS_CONNECTED)
    connected_ms = float(page.evaluate("performance.now()"))
    cpu_ms = _cpu_ms(portal) - before_ms
    page.wait_for_function(IS_PAINTED)
    times: dict[str, float] = page.evaluate(TIMES)
    return {**times, "connected_ms": connected_ms, "cpu_ms": cpu_ms}


def _cpu_ms(portal: PortalProcess) -> float:
    """Return how long the portal and every process of the browser have worked."""
    started = psutil.Process().children(recursive=True)
    pids = [portal.process.pid]
    pids += [one.pid for one in started if one.name().startswith("chrom")]
    # The first figure is nanoseconds; /proc/PID/stat has clock ticks of 10 ms.
    threads = [path for pid in pids for path in Path(f"/proc/{pid}/task").glob("*")]
    return sum(_worked_ns(path / "schedstat") for path in threads) / 1e6


def _worked_ns(schedstat: Path) -> int:
    with contextlib.suppress(OSError):
        return int(schedstat.read_text().split()[0])
    # It has ended since it was found.
    return 0


def _memory(portal: PortalProcess) -> dict[str, float]:
    """Return what the portal takes in MB: resident, and its share of that."""
    text = Path(f"/proc/{portal.process.pid}/smaps_rollup").read_text()
    found = {}
    for name in ("Rss", "Pss"):
        size = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
        if size is None:
            raise RuntimeError(f"no {name} in:\n{text}")
        found[f"{name.lower()}_mb"] = int(size[1]) * 1024 / 1e6
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure in rounds; the first one warms up the machine and does not count."""
    machine = describe_machine()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        version = browser.version
        Bench(browser, 0).round()
        bench = Bench(browser, arguments.idle)
        rounds = [bench.round() for _ in range(arguments.rounds)]
        browser.close()
    return {
        "at": moment(),
        "machine": machine | {"chromium": version},
        "idle_s": arguments.idle,
        "rounds": rounds,
    }


def format_table(document: dict[str, Any]) -> str:
    """Return the results as tables for the documentation."""
    rounds, machine = document["rounds"], document["machine"]
    lines = ["| first page, ms | median | range | goal |", "| --- | --- | --- | --- |"]
    for visit, words in VISITS.items():
        for name, what, goal in (
            ("painted_ms", "first text is painted", f"under {GOAL_MS:,}"),
            ("loaded_ms", "DOM content loaded", f"under {GOAL_MS:,}"),
            ("connected_ms", "connected", ""),
            ("cpu_ms", "processor time until then", ""),
        ):
            figures = [one["times"][visit][name] for one in rounds]
            lines.append(_row(f"{words}: {what}", figures, goal))
    lines += ["", "| memory, MB | median | range | goal |", "| --- | --- | --- | --- |"]
    for when, words in MOMENTS.items():
        for name, what in (("rss_mb", "resident"), ("pss_mb", "its share")):
            goal = f"under {GOAL_MB}" if (when, name) == ("idle", "rss_mb") else ""
            figures = [one["memory"][when][name] for one in rounds]
            moment_words = words.format(idle_s=document["idle_s"])
            lines.append(_row(f"{moment_words}: {what}", figures, goal))
    sent_kb = {
        visit: statistics.median(one["times"][visit]["sent_kb"] for one in rounds)
        for visit in VISITS
    }
    facts = (
        f"{len(rounds)} rounds",
        f"{sent_kb['new']:,.0f} kB sent to a new browser",
        f"{sent_kb['again']:,.0f} kB to one that was here before",
        *machine_facts(machine, shared_with="the browser"),
        f"Chromium {machine['chromium']}",
    )
    lines += ["", f"Measured {document['at'][:10]}: {', '.join(facts)}."]
    return "\n".join(lines) + "\n"


def _row(words: str, figures: list[float], goal: str) -> str:
    spread = f"{min(figures):,.0f} to {max(figures):,.0f}"
    return f"| {words} | {statistics.median(figures):,.0f} | {spread} | {goal} |"


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds")
    parser.add_argument("--dry", action="store_true", help="write no files")
    arguments = parser.parse_args()
    document = measure(arguments)
    publish("portal_page", document, format_table(document), is_dry=arguments.dry)


if __name__ == "__main__":
    main()
