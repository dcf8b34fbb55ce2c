"""Middleware for a real vLLM that writes down the routes of its router."""

from __future__ import annotations

import json
import os
from pathlib import Path

from support.vllm_routes import flatten

FILE_ENV = "ROUTE_DUMP_FILE"


class RouteDump:
    """Passes everything on; when the server starts it writes the list of routes."""

    def __init__(self, app) -> None:
        self._app = app

    async def __call__(self, scope, receive, send) -> None:
        """Pass a connection on."""
        if scope["type"] == "lifespan":
            _write(sorted(set(flatten(scope["app"].routes))))
        await self._app(scope, receive, send)


def _write(routes: list[tuple[str, str]]) -> None:
    Path(os.environ[FILE_ENV]).write_text(json.dumps(routes))
