"""Asking the engine through its own API; the key never leaves this process."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from vllm_pkg.portal.chat.answer import Answer
from vllm_pkg.portal.chat.kinds import (
    CHAT_PATH,
    EMBEDDING_PATH,
    Served,
    kind_of,
)
from vllm_pkg.portal.chat.problems import EngineProblem, Problem, problem_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

CONNECT_TIMEOUT_S: Final = 5.0
# A long question takes long to read; a stuck engine is told by its health.
SILENCE_TIMEOUT_S: Final = 600.0
SHORT_TIMEOUT_S: Final = 20.0
_OK: Final = 200
_NOT_FOUND: Final = 404
_PROBE: Final = [{"role": "user", "content": "?"}]


@dataclass(frozen=True)
class EngineClient:
    """
    One engine's API.

    Args:
        base_url: With ``/v1`` at its end.
        key: The service's API key.
    """

    base_url: str
    key: str

    async def served(self) -> Served:
        """
        Return what is served, and what it can be asked for.

        Raises:
            EngineProblem: the engine did not tell.
        """
        async with self._client(SHORT_TIMEOUT_S) as client:
            models = await _json(client, "GET", "/v1/models")
            cards = models.get("data") or []
            if not cards:
                raise EngineProblem(Problem.NO_MODEL)
            name, length = str(cards[0]["id"]), cards[0].get("max_model_len")
            paths = await _paths(client)
            has_template = CHAT_PATH in paths and await _has_template(client, name)
        return Served(name, kind_of(paths, has_template=has_template), length)

    async def answer(self, path: str, body: dict[str, Any]) -> AsyncGenerator[Answer]:
        """
        Ask, and yield the answer as far as it has come, after each piece.

        It is one and the same answer each time. Closing the generator ends the request,
        and with it the engine's work on it.

        Args:
            path: Of the API.
            body: The request.
        Raises:
            EngineProblem: the engine did not answer, or not to the end.
        """
        answer = Answer(time.monotonic())
        async with (
            self._client(SILENCE_TIMEOUT_S) as client,
            _problems(),
            client.stream("POST", path, json=body) as response,
        ):
            if response.status_code != _OK:
                text = (await response.aread()).decode("utf-8", errors="replace")
                raise problem_of(response.status_code, text)
            async for line in response.aiter_lines():
                answer.take(line, time.monotonic())
                yield answer
        if answer.finish_reason is None:
            raise EngineProblem(Problem.BROKEN_OFF)

    async def embed(self, name: str, texts: Sequence[str]) -> list[list[float]]:
        """
        Return the vectors of some texts.

        Args:
            name: The served model.
            texts: One or more.
        Raises:
            EngineProblem: the engine did not answer.
        """
        async with self._client(SILENCE_TIMEOUT_S) as client:
            body = {"model": name, "input": list(texts)}
            document = await _json(client, "POST", EMBEDDING_PATH, body)
        items = sorted(document["data"], key=lambda item: item["index"])
        return [item["embedding"] for item in items]

    def _client(self, read_timeout_s: float) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.base_url.removesuffix("/v1"),
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=httpx.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S),
            # The engine is on this machine: no proxy has a part in it.
            trust_env=False,
        )


@contextlib.asynccontextmanager
async def _problems() -> AsyncIterator[None]:
    """Turn what the HTTP library raises into what a person is told."""
    try:
        yield
    except httpx.ConnectError as error:
        raise EngineProblem(Problem.UNREACHABLE) from error
    except httpx.TimeoutException as error:
        raise EngineProblem(Problem.NO_ANSWER) from error
    except httpx.TransportError as error:
        raise EngineProblem(Problem.BROKEN_OFF) from error


async def _json(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    response = await _ask(client, method, path, body)
    if response.status_code != _OK:
        raise problem_of(response.status_code, response.text)
    try:
        document = response.json()
    except json.JSONDecodeError:
        raise EngineProblem(Problem.FAILED) from None
    return dict(document)


async def _ask(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
) -> httpx.Response:
    async with _problems():
        response = await client.request(method, path, json=body)
    return response  # noqa: RET504  # a context manager might swallow an error


async def _paths(client: httpx.AsyncClient) -> frozenset[str]:
    """Return the paths of the engine; vLLM has those of the model's tasks only."""
    response = await _ask(client, "GET", "/openapi.json")
    if response.status_code == _OK:
        return frozenset(response.json()["paths"])
    # Its description can be switched off. An empty request is refused where there is
    # such a path, and unknown where there is none.
    found = set()
    for path in (CHAT_PATH, EMBEDDING_PATH):
        answer = await _ask(client, "POST", path, {})
        if answer.status_code != _NOT_FOUND:
            found.add(path)
    return frozenset(found)


async def _has_template(client: httpx.AsyncClient, name: str) -> bool:
    """Whether a model knows how a conversation is written; nothing is generated."""
    body = {"model": name, "messages": _PROBE}
    response = await _ask(client, "POST", "/tokenize", body)
    if response.status_code == _OK:
        return True
    problem = problem_of(response.status_code, response.text)
    return problem.problem is not Problem.NO_TEMPLATE
