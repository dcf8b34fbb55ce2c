"""The programs that people copy: each is one of its language, whatever stands in it."""

from __future__ import annotations

import ast
import json
import shlex

import pytest

from vllm_pkg.portal.snippets import PLACEHOLDER, snippets

URL = "http://127.0.0.1:8000/v1"
# What a name and a key may hold, and what would end a text of some language.
NASTY_NAME = 'it\'s "my" model \\ ${x} `y`'
NASTY_KEY = "k'\"$`\\k"


def _made(**options):
    made = snippets(URL, options.pop("model", "org/model"), **options)
    return {snippet.id: snippet.text for snippet in made}


def test_there_is_one_for_each_way():
    """The order is that of the tabs."""
    assert list(_made()) == [
        "curl",
        "python",
        "javascript",
        "open-webui",
        "environment",
    ]


def test_without_a_key_a_text_stands_in_its_place():
    """What is shown holds no key; what is copied holds no placeholder."""
    assert all(PLACEHOLDER in text for text in _made().values())
    assert not any(PLACEHOLDER in text for text in _made(key="secret").values())
    assert all("secret" in text for text in _made(key="secret").values())


@pytest.mark.parametrize(
    ("is_embedding", "path", "field"),
    [(False, "/chat/completions", "messages"), (True, "/embeddings", "input")],
)
def test_curl_is_a_command_of_a_shell(is_embedding, path, field):
    """A shell reads back the address, both headers and a body of JSON."""
    text = _made(model=NASTY_NAME, key=NASTY_KEY, is_embedding=is_embedding)["curl"]

    words = shlex.split(text)

    assert words[:2] == ["curl", URL + path]
    assert f"Authorization: Bearer {NASTY_KEY}" in words
    body = json.loads(words[words.index("-d") + 1])
    assert body["model"] == NASTY_NAME
    assert body[field]


@pytest.mark.parametrize("is_embedding", [False, True])
def test_python_is_python(is_embedding):
    """Python reads back the address, the key and the model."""
    text = _made(model=NASTY_NAME, key=NASTY_KEY, is_embedding=is_embedding)["python"]

    texts = {
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant)
    }

    assert {URL, NASTY_KEY, NASTY_NAME} <= texts


def _exported(text):
    lines = [line for line in text.splitlines() if line.startswith("export ")]
    return dict(shlex.split(line)[1].split("=", 1) for line in lines)


def test_variables_survive_a_shell():
    """A shell gives the variables the values that were meant."""
    text = _made(model=NASTY_NAME, key=NASTY_KEY)["environment"]

    assert _exported(text) == {
        "OPENAI_BASE_URL": URL,
        "OPENAI_API_KEY": NASTY_KEY,
        "OPENAI_MODEL": NASTY_NAME,
    }


def test_open_webui_chats_or_embeds():
    """It is told of the service as what it is good for."""
    chat = _exported(_made(key="k")["open-webui"])
    embedding = _exported(_made(key="k", is_embedding=True)["open-webui"])

    assert chat == {"OPENAI_API_BASE_URL": URL, "OPENAI_API_KEY": "k"}
    assert embedding["RAG_OPENAI_API_BASE_URL"] == URL
    assert embedding["RAG_EMBEDDING_MODEL"] == "org/model"
