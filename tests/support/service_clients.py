"""What clients of a service do: run actions, ask models, compare embeddings."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import openai

from support.tiny_checkpoint import strange_weights
from vllm_pkg.models.tiny import tiny_files

if TYPE_CHECKING:
    from support.service import Service


def run_action(
    service: Service, action: str, value: object = None, *options: str
) -> dict[str, Any]:
    """Run an action that must succeed; return its result."""
    arguments = ["action", "run", action, *options]
    if value is None:
        result = service.json(*arguments)
    else:
        result = service.json(*arguments, "--input", "-", stdin=json.dumps(value))
    return dict(result)


def make_client(service: Service, key: str | None = None) -> openai.OpenAI:
    """Return the official client, with the service's key or with another one."""
    return openai.OpenAI(
        base_url=service.base_url, api_key=key or service.key(), max_retries=0
    )


def served_models(service: Service, key: str | None = None) -> list[str]:
    """Return the models that a client is told."""
    with make_client(service, key) as client:
        return [model.id for model in client.models.list()]


def broken_model(service: Service, options: str) -> dict[str, Any]:
    """Return the form's value for a folder with the weights of another model."""
    folder = service.folder / "broken"
    folder.mkdir(exist_ok=True)
    for name, content in tiny_files().items():
        (folder / name).write_bytes(content)
    (folder / "model.safetensors").write_bytes(strange_weights())
    args = f"{folder} --served-model-name broken {options}"
    return {"config": {"selection": "custom", "value": {"args": args, "env": []}}}


def cosine(first: list[float], second: list[float]) -> float:
    """Return how near two embeddings are: 1 is the same direction."""
    product = sum(a * b for a, b in zip(first, second, strict=True))
    return product / (math.hypot(*first) * math.hypot(*second))
