"""Giving a backup to the browser while it is written, so that it needs no room here."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, Final

from fastapi.responses import JSONResponse, Response, StreamingResponse
from nicegui import app

from vllm_pkg.errors import ServiceError
from vllm_pkg.service.backup.writing import backup_name, create_backup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm_pkg.settings import Settings

PATH: Final = "/settings/backup"
_CHUNK_BYTES: Final = 1024 * 1024


def register(settings: Settings) -> None:
    """Add the address that a backup is downloaded from."""

    @app.get(PATH, include_in_schema=False)
    def download(*, models: bool = False) -> Response:
        writing = _Writing(settings, with_models=models)
        first = writing.read()
        if not first:
            error = writing.finish()
            if error is not None:
                return JSONResponse(error.as_json(), error.http_status)
        name = backup_name(datetime.now(UTC))
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }
        content = writing.chunks(first)
        return StreamingResponse(content, 200, headers, "application/x-tar")


class _Writing:
    """A thread that writes a backup into a pipe."""

    def __init__(self, settings: Settings, *, with_models: bool) -> None:
        reader, writer = os.pipe()
        self._reader: BinaryIO = os.fdopen(reader, "rb")
        self._error: ServiceError | None = None
        self._thread = threading.Thread(
            target=self._write, args=(settings, writer, with_models), daemon=True
        )
        self._thread.start()

    def read(self) -> bytes:
        """Return the next piece; nothing at the end."""
        return self._reader.read(_CHUNK_BYTES)

    def finish(self) -> ServiceError | None:
        """Wait for the end, and return what went wrong."""
        self._reader.close()
        self._thread.join()
        return self._error

    def chunks(self, first: bytes) -> Iterator[bytes]:
        """
        Yield the whole backup.

        Raises:
            ServiceError: it broke off; the browser must not take it for whole.
        """
        piece = first
        try:
            while piece:
                yield piece
                piece = self.read()
        finally:
            # A browser that has left closes the pipe, and the thread ends.
            error = self.finish()
        if error is not None:
            raise error

    def _write(self, settings: Settings, writer: int, with_models: bool) -> None:  # noqa: FBT001
        try:
            with os.fdopen(writer, "wb") as stream:
                create_backup(settings, stream, with_models=with_models)
        except ServiceError as error:
            self._error = error
        except OSError:
            # Nobody reads any more.
            return
