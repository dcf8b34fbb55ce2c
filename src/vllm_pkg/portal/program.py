"""The program ``python -m vllm_pkg.portal``: serves the portal until a signal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import uvicorn

from vllm_pkg.portal.application import create_application
from vllm_pkg.portal.context import Portal
from vllm_pkg.portal.feed import StateFeed
from vllm_pkg.settings import load_settings

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    serve(load_settings(os.environ))


def serve(settings: Settings) -> None:
    """Serve the portal of these settings."""
    app = create_application(Portal(settings, StateFeed(settings)))
    uvicorn.run(
        app,
        host=settings.portal_host,
        port=settings.portal_port,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
    )
