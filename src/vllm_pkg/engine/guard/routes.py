"""
Which route of the port needs what: pure data, and the function that looks it up.

Deny by default: what does not stand here never reaches vLLM. Paths are those that
Starlette would route, byte for byte: no other case, no doubled slash, no second
decoding of percent signs. A slash too many at the end is upstream's redirect to the
path without it, so it needs what that path needs, and at least a key.
Source: the routers of vLLM 0.32 with every switch on (tests/security).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WEBSOCKET: Final = "WEBSOCKET"


class Access(StrEnum):
    """What a request needs to reach the engine."""

    OPEN = "open"
    KEY = "key"
    ADMIN = "admin"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Ruling:
    """
    What was decided about one path.

    Args:
        access: What its methods need; OPEN, KEY or ADMIN.
        methods: The methods that exist, ``WEBSOCKET`` among them.
    """

    access: Access
    methods: frozenset[str]


# Method names, then the paths. A name in braces stands for one segment, and with
# ``:path`` for all the rest.
_Table = dict[str, tuple[str, ...]]

OPEN_ROUTES: Final[_Table] = {
    "GET HEAD": ("/health",),
    "GET HEAD POST": ("/ping",),
}
KEY_ROUTES: Final[_Table] = {
    "GET": (
        *("/v1/models", "/v1/responses/{response_id}"),
        *("/version", "/load", "/tokenizer_info"),
    ),
    "GET HEAD": (
        *("/metrics", "/openapi.json", "/redoc", "/static/{name:path}"),
        *("/docs", "/docs/oauth2-redirect"),
    ),
    "POST": (
        *("/v1/chat/completions", "/v1/chat/completions/batch", "/v1/completions"),
        *("/v1/chat/completions/render", "/v1/chat/completions/derender"),
        *("/v1/completions/render", "/v1/completions/derender"),
        *("/v1/responses", "/v1/responses/{response_id}/cancel"),
        *("/v1/responses/render", "/v1/systemone"),
        *("/v1/messages", "/v1/messages/count_tokens", "/v1/messages/render"),
        *("/v1/embeddings", "/v2/embed", "/pooling", "/classify"),
        *("/score", "/v1/score", "/rerank", "/v1/rerank", "/v2/rerank"),
        *("/generative_scoring", "/invocations", "/tokenize", "/detokenize"),
        *("/v1/audio/transcriptions", "/v1/audio/translations"),
        *("/inference/v1/generate", "/cohere/v2/chat", "/cohere/v2/chat/render"),
    ),
    WEBSOCKET: ("/v1/realtime",),
}
# What changes the engine, touches the requests of others, or tells how it is built.
ADMIN_ROUTES: Final[_Table] = {
    "GET": (
        *("/server_info", "/kv_event_sources", "/fault_tolerance/status"),
        *("/is_sleeping", "/is_paused", "/weight_info", "/get_world_size"),
    ),
    "POST": (
        *("/scale_elastic_ep", "/is_scaling_elastic_ep", "/fault_tolerance/apply"),
        *("/sleep", "/wake_up", "/release_kv_cache_memory", "/collective_rpc"),
        *("/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache"),
        *("/start_profile", "/stop_profile", "/pause", "/resume"),
        *("/abort_requests", "/inference/v1/abort_requests"),
        *("/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/adapters"),
        *("/init_weight_transfer_engine", "/shutdown_weight_transfer_engine"),
        *("/start_weight_update", "/start_draft_weight_update", "/update_weights"),
        *("/finish_weight_update", "/update_weight_version", "/weight_checker"),
    ),
    "DELETE": ("/adapters/{adapter_name}",),
}


def find_ruling(path: str) -> Ruling | None:
    """
    Return what was decided about a path.

    Args:
        path: Of an ASGI scope: decoded, without the query.
    Returns:
        The ruling, or None when nobody has decided about it.
    """
    ruling = _EXACT.get(path)
    if ruling is not None:
        return ruling
    for pattern, found in _PATTERNS:
        if pattern.fullmatch(path):
            return found
    if not path.endswith("/"):
        return None
    ruling = find_ruling(path.rstrip("/"))
    if ruling is not None and ruling.access is Access.OPEN:
        return Ruling(Access.KEY, ruling.methods)
    return ruling


def classify(method: str, path: str) -> Access:
    """
    Return what a request needs.

    Args:
        method: As it stands in the ASGI scope, ``WEBSOCKET`` for a websocket.
        path: Of an ASGI scope: decoded, without the query.
    Returns:
        UNKNOWN also for a path that is known and a method that it does not have.
    """
    ruling = find_ruling(path)
    if ruling is None or method not in ruling.methods:
        return Access.UNKNOWN
    return ruling.access


def _rulings() -> dict[str, Ruling]:
    rulings: dict[str, Ruling] = {}
    for access, table in (
        (Access.OPEN, OPEN_ROUTES),
        (Access.KEY, KEY_ROUTES),
        (Access.ADMIN, ADMIN_ROUTES),
    ):
        for methods, paths in table.items():
            for path in paths:
                rulings[path] = Ruling(access, frozenset(methods.split()))
    return rulings


def _compile(template: str) -> re.Pattern[str]:
    text = re.sub(r"\{\w+:path\}", "\0", template)
    text = re.sub(r"\{\w+\}", "\1", text)
    text = re.escape(text).replace("\0", ".+").replace("\1", "[^/]+")
    return re.compile(text, re.DOTALL)


_EXACT: Final = {path: item for path, item in _rulings().items() if "{" not in path}
_PATTERNS: Final = tuple(
    (_compile(path), item) for path, item in _rulings().items() if "{" in path
)
