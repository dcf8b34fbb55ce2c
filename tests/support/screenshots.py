"""
Takes a picture of every page of the portal: ``python -m support.screenshots FOLDER``.

The states are recorded ones, written as the real program writes them, on a recorded
machine. Each page is taken in both themes, for a wide screen and for a phone.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from support.hub_cache import write_cached_model
from support.openai_server import OpenAIServer
from support.portal_process import PortalProcess, portal_process
from support.portal_states import METRICS, MODEL, make_scene
from support.settings_factory import make_settings
from vllm_pkg.portal.frame import PAGES, THEME_COOKIE
from vllm_pkg.state.credentials import ensure_key

CHROMIUM = "/usr/bin/chromium"
SIZES = {"wide": (1280, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
MACHINE = {
    "gpus": [
        {
            "vendor": "nvidia",
            "index": 0,
            "name": "NVIDIA GeForce RTX 4090",
            "compute_capability": "8.9",
            "memory_gib": 24.0,
            "free_gib": 4.2,
        }
    ],
    "system_memory_gib": 62.6,
}
LOG = """\
INFO 11-28 10:00:00 [api_server.py:1] vLLM API server version 0.32.0
INFO 11-28 10:00:09 [loader.py:1] Loading weights took 41.00 seconds
WARNING 11-28 10:00:10 [config.py:1] Default sampling parameters were overridden.
INFO 11-28 10:00:15 [api_server.py:1] Starting vLLM server on http://127.0.0.1:8000
"""
PHASES = (
    ("prepare", 0.4),
    ("starting", 19.0),
    ("load", 41.0),
    ("compile", 11.0),
    ("warm-up", 5.0),
)
QUESTION = "Why is the sky blue?"
ANSWER = """\
Sunlight holds **every colour**, and the air scatters them unequally:

- blue light has short waves, and is scattered most, into every direction;
- red light has long waves, and mostly goes straight on.

So blue reaches your eyes from the *whole* sky. In the evening the light takes a longer
way through the air, which has scattered the blue out of it: the sun looks red."""
# As fast as a model of that size talks on that GPU.
PACE_S = 0.01


def main() -> None:
    """Write one file for each page, theme and size."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    # A short name: pages show where the volumes are.
    with tempfile.TemporaryDirectory(prefix="vllm-") as name:
        volumes = Path(name)
        settings = make_settings(volumes)
        hardware = volumes / "hardware.json"
        hardware.write_text(json.dumps(MACHINE))
        scene = make_scene(settings)
        settings.logs_dir.mkdir()
        (settings.logs_dir / "engine.log").write_text(LOG)
        write_cached_model(settings.models_dir, MODEL)
        with OpenAIServer(
            key=ensure_key(settings),
            name=MODEL,
            metrics=METRICS,
            answers={QUESTION: ANSWER},
            pace_s=PACE_S,
        ) as server:
            scene.serve(server.port)
            scene.remember_two_starts()
            # The last of them is the one that serves.
            scene.change_start(phases=PHASES, ready_after_s=76.0)
            scene.use_key(20)
            variables = {"VLLM_PKG_HARDWARE": str(hardware)}
            with (
                portal_process(settings, volumes, **variables) as portal,
                sync_playwright() as playwright,
            ):
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox"]
                )
                take_all(browser, portal, folder)
                browser.close()


def take_all(browser: Browser, portal: PortalProcess, folder: Path) -> None:
    """Take every page in every theme and size."""
    for theme in THEMES:
        for size, (width, height) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                base_url=portal.base_url,
                locale="en-US",
            )
            context.add_cookies(
                [{"name": THEME_COOKIE, "value": theme, "url": portal.base_url}]
            )
            context.request.get(portal.login_path)
            page = context.new_page()
            for path, key, _ in PAGES:
                page.goto(path)
                page.wait_for_selector("main h1, main .vp-headline")
                # The page is drawn once more when its connection stands.
                page.wait_for_function("window.did_handshake === true")
                if path == "/try":
                    _chat(page)
                page.wait_for_load_state("networkidle")
                shown = key.removeprefix("nav.").replace("_", "-")
                target = folder / f"{shown}-{theme}-{size}.png"
                page.screenshot(path=target)
                print(target)
            context.close()


def _chat(page: Page) -> None:
    """Ask the model something, and wait for the whole answer."""
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    page.get_by_label("Your message").fill(QUESTION)
    page.get_by_label("Your message").press("Enter")
    expect(page.get_by_text("The answer is complete.")).to_be_attached()


if __name__ == "__main__":
    main()
