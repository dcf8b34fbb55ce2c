"""Giving a support bundle to the browser."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi.responses import JSONResponse, Response
from nicegui import app

from vllm_pkg.errors import ServiceError
from vllm_pkg.service.support.bundle import bundle_name, write_bundle
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

PATH: Final = "/settings/support"


def register(settings: Settings) -> None:
    """Add the address that a bundle is downloaded from."""

    @app.get(PATH, include_in_schema=False)
    def download() -> Response:
        name = bundle_name(datetime.now(UTC))
        try:
            atomic.make_folder(settings.run_dir)
            with tempfile.TemporaryDirectory(dir=settings.run_dir) as folder:
                path = Path(folder) / name
                write_bundle(settings, path)
                # Bounded by the bundle itself, some megabytes at most.
                content = path.read_bytes()
        except ServiceError as error:
            return JSONResponse(error.as_json(), error.http_status)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }
        return Response(content, 200, headers, "application/zip")
