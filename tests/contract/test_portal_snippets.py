"""The programs that people copy really run, against a real HTTP server."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from playwright._impl._driver import compute_driver_executable

from support.portal_states import small_api
from support.tools import require
from vllm_pkg.portal.snippets import QUESTION, SENTENCES, snippets

KEY = "k'ey-\"with$signs`"
NAME = 'org/a model\'s "name"'
RUN_TIMEOUT_S = 50


def _run(argv, text, folder, suffix):
    """Run a program out of a file, as the page says, and return what it prints."""
    path = folder / f"ask{suffix}"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [*argv, path],
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


INTERPRETERS = {
    "curl": (("bash",), ".sh"),
    "python": ((sys.executable,), ".py"),
    # The one that Playwright brings along.
    "javascript": ((str(compute_driver_executable()[0]),), ".mjs"),
}


@pytest.mark.parametrize("is_embedding", [False, True])
@pytest.mark.parametrize("kind", list(INTERPRETERS))
def test_the_program_asks_and_prints_the_answer(tmp_path, kind, is_embedding):
    """The right path, the key as a bearer token, a body of JSON, and the answer."""
    argv, suffix = INTERPRETERS[kind]
    tried = subprocess.run([*argv, "--version"], capture_output=True, check=False)
    # Node needs libatomic, which a small Debian does not have.
    require(tried.returncode == 0, f"{argv[0]} does not run here")
    with small_api() as (port, asked):
        made = snippets(
            f"http://127.0.0.1:{port}/v1", NAME, key=KEY, is_embedding=is_embedding
        )
        (text,) = (snippet.text for snippet in made if snippet.id == kind)
        printed = _run(argv, text, tmp_path, suffix)

    (request,) = asked
    body = json.loads(request["body"])
    assert request["headers"]["authorization"] == f"Bearer {KEY}"
    assert request["headers"]["content-type"] == "application/json"
    assert body["model"] == NAME
    if is_embedding:
        assert request["path"] == "/v1/embeddings"
        assert body["input"] == list(SENTENCES)
        assert "2" in printed or "0.25" in printed
    else:
        assert request["path"] == "/v1/chat/completions"
        assert body["messages"] == [{"role": "user", "content": QUESTION}]
        assert "Blue light scatters." in printed


@pytest.mark.parametrize("kind", ["open-webui", "environment"])
def test_the_variables_reach_a_program(kind):
    """What a shell is told stands in the environment of what it starts then."""
    url = "http://127.0.0.1:8000/v1"
    made = snippets(url, NAME, key=KEY)
    (text,) = (snippet.text for snippet in made if snippet.id == kind)
    exports = [line for line in text.splitlines() if line.startswith("export ")]

    printed = subprocess.run(
        ["bash", "-c", "\n".join([*exports, "env -0"])],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout.decode()

    variables = dict(item.split("=", 1) for item in printed.split("\0") if item)
    names = {name for name in variables if name.startswith("OPENAI_")}
    assert variables["OPENAI_API_KEY"] == KEY
    assert url in {variables[name] for name in names}
