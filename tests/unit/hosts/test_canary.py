"""The first request: which path it takes, and what makes it fail."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from support.settings_factory import make_settings
from vllm_pkg.hosts.fetcher.canary import try_canary
from vllm_pkg.state import atomic, credentials
from vllm_pkg.state.identity import ProcessIdentity
from vllm_pkg.state.records import StartRecord


class Api:
    """An API that answers as told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.statuses = {"/v1/completions": 200}
        self.models: bytes = b'{"data": [{"id": "one"}, {"id": "two"}]}'
        self.models_status = 200
        self.asked: list[tuple[str, str | None, object]] = []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(api.models_status, api.models, None)

            def do_POST(self) -> None:
                size_bytes = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(size_bytes))
                self._answer(api.statuses.get(self.path, 404), b"{}", body)

            def _answer(self, status: int, data: bytes, body: object) -> None:
                api.asked.append((self.path, self.headers["Authorization"], body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(name="api")
def api_fixture():
    """An API that answers all that is right."""
    api = Api()
    yield api
    api.close()


@pytest.fixture(name="ask")
def ask_fixture(api, tmp_path):
    """A function that sends the first request for a model."""
    settings = make_settings(tmp_path)
    for folder in (settings.main, settings.public):
        atomic.make_folder(folder)
    key = credentials.ensure_key(settings)

    def ask(model="one", port=None):
        start = StartRecord(
            ProcessIdentity(1, 1, "b"),
            1.0,
            "127.0.0.1",
            port or api.server.server_address[1],
            model,
        )
        problem = try_canary(settings, start, limit_s=5)
        assert {authorization for _, authorization, _ in api.asked} <= {f"Bearer {key}"}
        return problem

    return ask


def test_one_token_is_asked_for(api, ask):
    """The list of models, then a completion of one token, both with the key."""
    assert ask("two") is None
    assert [(path, body) for path, _, body in api.asked] == [
        ("/v1/models", None),
        ("/v1/completions", {"model": "two", "prompt": "Hi", "max_tokens": 1}),
    ]


@pytest.mark.parametrize("path", ["/v1/embeddings", "/classify", "/pooling"])
def test_other_kinds_of_models_are_asked_in_their_way(api, ask, path):
    """Where there are no completions, the next path is tried, and its answer counts."""
    api.statuses = {path: 200}
    assert ask() is None
    assert api.asked[-1][0] == path
    assert api.asked[-1][2] == {"model": "one", "input": "Hi"}

    api.statuses = {path: 500}
    assert ask() == f"The test request to {path} failed (HTTP status 500)."


def test_a_model_of_another_kind_passes_by_being_listed(api, ask):
    """A model for speech has none of the paths: that it is listed is enough."""
    api.statuses = {}

    assert ask() is None
    assert len(api.asked) == 5


@pytest.mark.parametrize("status", [400, 401, 500, 503])
def test_a_refused_request_is_a_failure(api, ask, status):
    """Every answer but 200 is told with its status."""
    api.statuses = {"/v1/completions": status}

    assert (
        ask() == f"The test request to /v1/completions failed (HTTP status {status})."
    )


@pytest.mark.parametrize(
    ("status", "models", "problem"),
    [
        (401, b"{}", "The list of models was not to be had (HTTP status 401)."),
        (200, b'{"data": []}', "The engine serves nothing, not one."),
        (200, b'{"data": [{"id": "x"}]}', "The engine serves x, not one."),
        (200, b"<html>", "The engine serves nothing, not one."),
        (200, b"[1]", "The engine serves nothing, not one."),
    ],
)
def test_the_model_must_be_listed(api, ask, status, models, problem):
    """Another program, or another model, does not pass."""
    api.models_status, api.models = status, models

    assert ask() == problem


def test_nobody_there_is_a_failure(ask):
    """Where nothing listens there is no answer."""
    assert ask(port=1) == "The list of models was not to be had (no answer)."
