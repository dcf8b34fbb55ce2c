"""The guard around a stub of the engine, over files of a test."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.settings_factory import make_settings
from vllm_pkg.engine.guard.middleware import Guard

if TYPE_CHECKING:
    from pathlib import Path

PRIMARY = "Primary0123456789ABCDE"
ENGINE = "Engine0123456789ABCDEF"
AUTH = b"authorization"


@dataclass
class Guarded:
    """A guard over files of a test; the application inside notes what reaches it."""

    folder: Path
    environ: dict[str, str]
    reached: list[dict[str, Any]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    guard: Guard | None = None

    @property
    def settings(self):
        """Where the files are."""
        return make_settings(self.folder)

    async def inside(self, scope, receive, send):
        """Stand for the engine."""
        self.reached.append(scope)
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def start(self):
        """Set the guard up."""
        self.guard = Guard(self.inside, self.environ)
        return self

    def call(self, scope):
        """Send one connection and return what came back."""
        self.sent = []

        async def receive():
            return {"type": f"{scope['type']}.startup"}

        async def send(message):
            self.sent.append(message)

        async def run():
            assert self.guard is not None
            await self.guard(scope, receive, send)

        asyncio.run(run())
        return self.sent

    def ask(self, method, path, *headers, kind="http", **more):
        """Send a request and return its status; 200 only if it got inside."""
        self.reached.clear()
        scope = {"type": kind, "path": path, "headers": list(headers), **more}
        if kind == "http":
            scope["method"] = method
        sent = self.call(scope)
        status = sent[0].get("status", sent[0]["type"])
        assert (status == 200) == bool(self.reached)
        return status

    def body(self):
        """Return the error of the last answer."""
        headers = dict(self.sent[0]["headers"])
        assert headers[b"content-type"] == b"application/json"
        assert headers[b"content-length"] == str(len(self.sent[1]["body"])).encode()
        return json.loads(self.sent[1]["body"])["error"]


def make_guarded(folder):
    """Return a service whose guard is not set up yet."""
    settings = make_settings(folder)
    settings.main.mkdir()
    settings.public.mkdir()
    settings.credentials_file.write_text(json.dumps({"apiKey": PRIMARY}))
    environ = {
        "VLLM_PKG_MAIN": str(settings.main),
        "VLLM_PKG_PUBLIC": str(settings.public),
        "VLLM_PKG_GUARD_KEY": ENGINE,
    }
    return Guarded(folder, environ)


def bearer(key):
    """Return the header that presents a key."""
    return AUTH, b"Bearer " + (key if isinstance(key, bytes) else key.encode())
