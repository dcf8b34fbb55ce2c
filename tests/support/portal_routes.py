"""Prints every route of the portal as JSON: ``python -m support.portal_routes``."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

WEBSOCKET = "WEBSOCKET"
# A file of each folder of static files, and where a mounted application listens.
SAMPLES = {
    "/_nicegui/*/static": ("/nicegui.js", "GET"),
    "/_nicegui_ws": ("/socket.io/?EIO=4&transport=websocket", WEBSOCKET),
}


def flatten(routes: list[BaseRoute], prefix: str = "") -> list[dict[str, Any]]:
    """Return path and methods of all routes, those of mounted applications included."""
    found: list[dict[str, Any]] = []
    for route in routes:
        if isinstance(route, Mount) and route.routes:
            found += flatten(list(route.routes), prefix + route.path)
        elif isinstance(route, Mount):
            found.append(_sample(prefix + route.path))
        elif isinstance(route, WebSocketRoute):
            found.append({"path": prefix + route.path, "methods": [WEBSOCKET]})
        else:
            assert isinstance(route, Route), route
            methods = sorted(route.methods or {"GET"})
            found.append({"path": prefix + route.path, "methods": methods})
    return [{**one, "path": re.sub(r"\{[^}]*\}", "x", one["path"])} for one in found]


def _sample(path: str) -> dict[str, Any]:
    pattern = re.sub(r"^/_nicegui/[^/]+/", "/_nicegui/*/", path.rstrip("/"))
    ending, method = SAMPLES[pattern]
    return {"path": path.rstrip("/") + ending, "methods": [method]}


def main() -> None:
    """Print them."""
    from vllm_pkg.portal.application import create_application
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.feed import StateFeed
    from vllm_pkg.settings import load_settings

    settings = load_settings(os.environ)
    app = create_application(Portal(settings, StateFeed(settings)))
    print(json.dumps(flatten(list(app.routes))))


if __name__ == "__main__":
    main()
