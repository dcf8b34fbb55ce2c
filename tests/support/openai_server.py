"""
An OpenAI-compatible server that answers as the last message tells it to.

For what a real engine cannot be made to do on command: pause, break off, fail in the
middle of an answer. It refuses a wrong key, counts tokens, and knows which answers were
given up by who had asked.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.state import records
from vllm_pkg.state.credentials import ensure_key
from vllm_pkg.state.store import ModelSelection, update_store

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

CHAT = ("/v1/chat/completions", "/v1/completions")
EMBEDDING = ("/v1/embeddings",)
TOO_LONG = "This model's maximum context length is 512 tokens. However, ..."
NO_TEMPLATE = "As of transformers v4.44, default chat template is no longer allowed"
NEVER_S = 60.0


@dataclass
class OpenAIServer:
    """
    The server.

    Args:
        key: The only key it takes.
        name: What its model is called.
        paths: The paths that it has.
        has_template: Whether its model knows how a conversation is written.
        has_description: Whether it publishes its paths.
        requests: The bodies it was sent, by path.
        go_on: Set to let answers go on that pause.
        given_up: Set when an answer was ended by who had asked.
        status: What ``/health`` answers.
        metrics: What ``/metrics`` answers.
        answers: What it says to some questions; to others, their own words.
        pace_s: Seconds between two words of an answer.
    """

    key: str = "k" * 22
    name: str = "test-model"
    paths: tuple[str, ...] = CHAT
    has_template: bool = True
    has_description: bool = True
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    given_up: threading.Event = field(default_factory=threading.Event)
    status: int = 200
    metrics: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    pace_s: float = 0.0
    _http: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        """Listen on a port of its own."""
        handler = type("Handler", (_Handler,), {"openai": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True

    def __enter__(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.go_on.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def port(self) -> int:
        """The port."""
        return int(self._http.server_address[1])

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}/v1"

    def questions(self) -> list[dict[str, Any]]:
        """Return the requests for answers."""
        return [body for path, body in self.requests if path in CHAT]


def serve(settings: Settings, server: OpenAIServer, *, port: int | None = None) -> None:
    """
    Write the records of an engine that has been started and listens there.

    Args:
        settings: Where they go.
        server: The engine.
        port: Another port than the server's, where nobody answers yet.
    """
    server.key = ensure_key(settings)
    update_store(settings, lambda s: s.with_model(("a/b",), (), ModelSelection("x")))
    own = processes.own_identity()
    host = records.HostRecord(own, "127.0.0.1", port or server.port, "/s")
    records.write_record(settings.host_file, host)
    now_s = BootClock().now_s()
    start = records.StartRecord(own, now_s, "127.0.0.1", port or server.port, "x")
    records.write_record(settings.start_file, start)


class _Handler(BaseHTTPRequestHandler):
    openai: OpenAIServer

    def do_GET(self) -> None:
        """Answer what asks for a description."""
        if self.path == "/health":
            self._json(self.openai.status, {})
        elif not self._has_key():
            self._error(401, "Unauthorized")
        elif self.path == "/metrics":
            self._send_text("text/plain", self.openai.metrics)
        elif self.path == "/v1/models":
            card = {"id": self.openai.name, "max_model_len": 512}
            self._json(200, {"object": "list", "data": [card]})
        elif self.path == "/openapi.json" and self.openai.has_description:
            self._json(200, {"paths": {path: {} for path in self.openai.paths}})
        else:
            self._error(404, "Not Found")

    def do_POST(self) -> None:
        """Answer what asks for an answer."""
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        if not self._has_key():
            self._error(401, "Unauthorized")
        elif self.path == "/tokenize":
            has = self.openai.has_template
            self._json(200, {"count": 1}) if has else self._error(400, NO_TEMPLATE)
        elif self.path not in self.openai.paths:
            self._error(404, "Not Found")
        elif not body:
            self._error(400, "field required")
        else:
            self.openai.requests.append((self.path, body))
            self._embed(body) if self.path in EMBEDDING else self._answer(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _has_key(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.openai.key}"

    def _embed(self, body: dict[str, Any]) -> None:
        data = [
            {"index": index, "embedding": [float(text.count(c)) for c in "abc"]}
            for index, text in enumerate(body["input"])
        ]
        self._json(200, {"data": data[::-1]})

    def _answer(self, body: dict[str, Any]) -> None:
        asked = body.get("prompt") or body["messages"][-1]["content"]
        if asked == "too long":
            self._error(400, TOO_LONG)
        elif asked == "refuse":
            self._error(400, "temperature must be in [0, 2]")
        elif asked == "busy":
            self._error(503, "overloaded")
        else:
            self._stream(asked)

    def _stream(self, asked: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            self._pieces(asked)
        except OSError:
            self.openai.given_up.set()
        self.close_connection = True

    def _pieces(self, asked: str) -> None:
        text = self.openai.answers.get(asked, asked.removeprefix("say "))
        words = text.split(" ")
        for count, word in enumerate(words, 1):
            self.openai.go_on.wait(self.openai.pace_s)
            if word == "PAUSE":
                self._pause(count)
            elif word == "BREAK":
                return
            elif word == "FAIL":
                self._send({"error": {"message": "EngineCore died", "code": 500}})
                return
            elif word.startswith("THINK"):
                self._piece({"reasoning": word.removeprefix("THINK")}, count)
            else:
                self._piece({"content": f"{word} ", "text": f"{word} "}, count)
        self._piece({}, len(words), "length" if "CUT" in words else "stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def _pause(self, count: int) -> None:
        """Wait, as an engine does that thinks; it notices who has gone."""
        clock = BootClock()
        until_s = clock.now_s() + NEVER_S
        while not self.openai.go_on.wait(0.05) and clock.now_s() < until_s:
            self._piece({}, count)

    def _piece(
        self, delta: dict[str, str], tokens: int, finish_reason: str | None = None
    ) -> None:
        choice = {
            "delta": delta,
            "text": delta.get("text", "") if self.path == CHAT[1] else "",
            "finish_reason": finish_reason,
        }
        usage = {"completion_tokens": tokens}
        self._send({"choices": [choice], "usage": usage})

    def _send(self, document: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(document).encode() + b"\n\n")
        self.wfile.flush()

    def _error(self, status: int, message: str) -> None:
        self._json(status, {"error": {"message": message, "code": status}})

    def _json(self, status: int, document: dict[str, Any]) -> None:
        self._send_text("application/json", json.dumps(document), status)

    def _send_text(self, kind: str, text: str, status: int = 200) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
