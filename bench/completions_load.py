# ruff: noqa: INP001  # a script's helper, in no package
"""Completions of a running engine: what it says, and how fast it says it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from dataclasses import dataclass
from typing import Final

CONCURRENCY: Final = 8
PROMPTS: Final = (
    *("the sun", "one two three", "a cat and a dog", "river stone garden bread"),
    *("who reads my old book", "she holds the lamp by the door", "rain", "no, all"),
)
ANSWER_TOKENS: Final = 48


@dataclass(frozen=True)
class Rates:
    """
    How fast completions came.

    Args:
        requests_per_s: Requests that were answered.
        tokens_per_s: Tokens that were made.
    """

    requests_per_s: float
    tokens_per_s: float


@dataclass(frozen=True)
class Completions:
    """
    A client of one engine.

    Args:
        port: Of the API on the loopback address.
        key: The API key.
        model: The served name.
    """

    port: int
    key: str
    model: str

    def answers(self) -> tuple[str, ...]:
        """Return what it says to each prompt, always taking the likeliest token."""
        with contextlib.closing(self._connect()) as connection:
            return tuple(
                self._complete(connection, prompt, ANSWER_TOKENS) for prompt in PROMPTS
            )

    def rates(self, tokens: int, seconds: float) -> Rates:
        """
        Keep it busy with several clients.

        Args:
            tokens: How many each request asks for.
            seconds: How long new requests are sent.
        """
        begin_s = time.monotonic()
        counts = [0] * CONCURRENCY

        def work(number: int) -> None:
            with contextlib.closing(self._connect()) as connection:
                while time.monotonic() - begin_s < seconds:
                    # No two prompts alike, or its cache would answer.
                    prompt = f"{number} {counts[number]} {PROMPTS[number]}"
                    self._complete(connection, prompt, tokens)
                    counts[number] += 1

        threads = [
            threading.Thread(target=work, args=(number,))
            for number in range(CONCURRENCY)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = sum(counts) / (time.monotonic() - begin_s)
        return Rates(rate, rate * tokens)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def _complete(
        self, connection: http.client.HTTPConnection, prompt: str, tokens: int
    ) -> str:
        body = {
            "model": self.model,
            "prompt": prompt,
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
        }
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
        }
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{answer.status}: {text[:500]!r}")
        return str(json.loads(text)["choices"][0]["text"])
