"""What a person copies to use the API: real programs, and pure."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Final

# What stands where the key belongs, wherever it is shown and not copied.
PLACEHOLDER: Final = "YOUR_API_KEY"
QUESTION: Final = "Why is the sky blue? Answer in one sentence."
SENTENCES: Final = ("The sky is blue.", "The weather is fine.")
OPEN_WEBUI_PORT: Final = 3000


@dataclass(frozen=True)
class Snippet:
    """
    One program.

    Args:
        id: Which one.
        text: The program, without a line break at its end.
    """

    id: str
    text: str


def snippets(
    base_url: str, model: str, *, key: str = PLACEHOLDER, is_embedding: bool = False
) -> tuple[Snippet, ...]:
    """
    Return the programs, in the order in which they are shown.

    Args:
        base_url: Of the API, with ``/v1``.
        model: Under which name the API serves it.
        key: The key; without one there is a text in its place.
        is_embedding: Whether the model makes embeddings.
    """
    ask = _Embedding(model) if is_embedding else _Chat(model)
    return (
        Snippet("curl", _curl(base_url, key, ask)),
        Snippet("python", ask.python(base_url, key)),
        Snippet("javascript", _javascript(base_url, key, ask)),
        Snippet("open-webui", _open_webui(base_url, key, ask)),
        Snippet("environment", _environment(base_url, key, model)),
    )


@dataclass(frozen=True)
class _Chat:
    """A question to a model that answers with words."""

    model: str
    path: str = "/chat/completions"
    javascript_answer: str = "answer.choices[0].message.content"

    @property
    def body(self) -> dict[str, object]:
        messages = [{"role": "user", "content": QUESTION}]
        return {"model": self.model, "messages": messages}

    def python(self, base_url: str, key: str) -> str:
        return "\n".join(
            (
                *_python_client(base_url, key),
                "answer = client.chat.completions.create(",
                f"    model={self.model!r},",
                f"    messages=[{{'role': 'user', 'content': {QUESTION!r}}}],",
                ")",
                "print(answer.choices[0].message.content)",
            )
        )

    def open_webui(self, base_url: str, key: str) -> dict[str, str]:
        return {"OPENAI_API_BASE_URL": base_url, "OPENAI_API_KEY": key}


@dataclass(frozen=True)
class _Embedding:
    """Sentences for a model that answers with embeddings."""

    model: str
    path: str = "/embeddings"
    javascript_answer: str = "answer.data.map((item) => item.embedding.length)"

    @property
    def body(self) -> dict[str, object]:
        return {"model": self.model, "input": list(SENTENCES)}

    def python(self, base_url: str, key: str) -> str:
        return "\n".join(
            (
                *_python_client(base_url, key),
                "answer = client.embeddings.create(",
                f"    model={self.model!r},",
                f"    input={list(SENTENCES)!r},",
                ")",
                "print([len(item.embedding) for item in answer.data])",
            )
        )

    def open_webui(self, base_url: str, key: str) -> dict[str, str]:
        return {
            "RAG_EMBEDDING_ENGINE": "openai",
            "RAG_OPENAI_API_BASE_URL": base_url,
            "RAG_OPENAI_API_KEY": key,
            "RAG_EMBEDDING_MODEL": self.model,
        }


def _python_client(base_url: str, key: str) -> tuple[str, ...]:
    return (
        "from openai import OpenAI  # pip install openai",
        "",
        f"client = OpenAI(base_url={base_url!r}, api_key={key!r})",
    )


def _curl(base_url: str, key: str, ask: _Chat | _Embedding) -> str:
    body = json.dumps(ask.body, ensure_ascii=False, indent=2).replace("\n", "\n  ")
    return " \\\n  ".join(
        (
            f"curl {shlex.quote(base_url + ask.path)}",
            f"-H {shlex.quote(f'Authorization: Bearer {key}')}",
            f"-H {shlex.quote('Content-Type: application/json')}",
            f"-d {shlex.quote(body)}",
        )
    )


def _javascript(base_url: str, key: str, ask: _Chat | _Embedding) -> str:
    body = json.dumps(ask.body, indent=2).replace("\n", "\n  ")
    return f"""\
const response = await fetch({json.dumps(base_url + ask.path)}, {{
  method: "POST",
  headers: {{
    "Authorization": {json.dumps(f"Bearer {key}")},
    "Content-Type": "application/json",
  }},
  body: JSON.stringify({body}),
}});
const answer = await response.json();
console.log({ask.javascript_answer});"""


def _open_webui(base_url: str, key: str, ask: _Chat | _Embedding) -> str:
    return "\n".join(
        (
            *_exports(ask.open_webui(base_url, key)),
            "pip install open-webui",
            f"open-webui serve --port {OPEN_WEBUI_PORT}",
        )
    )


def _environment(base_url: str, key: str, model: str) -> str:
    variables = {
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": key,
        "OPENAI_MODEL": model,
    }
    return "\n".join(_exports(variables))


def _exports(variables: dict[str, str]) -> list[str]:
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
