"""
The first request to a new engine: one token, through the API, with the key.

An engine whose health is good may still not answer: then users must not be the ones to
find out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.health.http_client import fetch
from vllm_pkg.state.credentials import load_key

if TYPE_CHECKING:
    from vllm_pkg.health.http_client import Reply
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import StartRecord

MODELS_PATH: Final = "/v1/models"
PROMPT: Final = "Hi"
# One request for each kind of model; vLLM has only the paths of what a model can do.
REQUESTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("/v1/completions", {"prompt": PROMPT, "max_tokens": 1}),
    ("/v1/embeddings", {"input": PROMPT}),
    ("/classify", {"input": PROMPT}),
    ("/pooling", {"input": PROMPT}),
)
# The first answer may have to compile; a token takes no longer than that.
LIMIT_S: Final = 300.0
SIZE_MAX_BYTES: Final = 16 * 1024**2
_HTTP_OK: Final = 200
_NO_SUCH_PATH: Final = frozenset({404, 405})


def try_canary(
    settings: Settings, start: StartRecord, limit_s: float = LIMIT_S
) -> str | None:
    """
    Send the first request to an engine that is ready.

    Args:
        settings: Where the key is.
        start: The engine's start, which says where it listens and what it serves.
        limit_s: Seconds for all of it together.
    Returns:
        Why it failed, one sentence; None when it answered.
    Raises:
        StateError: the key cannot be read.
    """
    deadline_s = BootClock().now_s() + limit_s
    reply = _ask(settings, start, MODELS_PATH, None, deadline_s)
    if reply is None or reply.status != _HTTP_OK:
        return f"The list of models was not to be had ({_status(reply)})."
    served = _names(reply.body)
    if start.model not in served:
        return f"The engine serves {', '.join(served) or 'nothing'}, not {start.model}."
    for path, body in REQUESTS:
        reply = _ask(settings, start, path, {"model": start.model, **body}, deadline_s)
        if reply is not None and reply.status == _HTTP_OK:
            return None
        if reply is None or reply.status not in _NO_SUCH_PATH:
            return f"The test request to {path} failed ({_status(reply)})."
    # A model that neither writes nor embeds, such as one for speech: that it is listed
    # is all that can be tried without an input of its kind.
    return None


def _ask(
    settings: Settings,
    start: StartRecord,
    path: str,
    body: dict[str, Any] | None,
    deadline_s: float,
) -> Reply | None:
    headers = {"Authorization": f"Bearer {load_key(settings) or ''}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    return fetch(
        start.host,
        start.port,
        path,
        timeout_s=max(0.001, deadline_s - BootClock().now_s()),
        size_max_bytes=SIZE_MAX_BYTES,
        headers=headers,
        body=None if body is None else json.dumps(body).encode(),
    )


def _names(body: bytes) -> list[str]:
    try:
        return [str(item["id"]) for item in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        return []


def _status(reply: Reply | None) -> str:
    return "no answer" if reply is None else f"HTTP status {reply.status}"
