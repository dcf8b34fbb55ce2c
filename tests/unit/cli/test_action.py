"""``vllm-pkg action``: the protocol that StartOS's adapter and people speak."""

from __future__ import annotations

import io
import json

import pytest

ENTERED = {
    "args": 'org/name --speculative-config \'{"method": "ngram"}\'',
    "env": [{"name": "HF_TOKEN", "value": "hf_secret"}],
}
CUSTOM = {"config": {"selection": "custom", "value": ENTERED}}


def test_action_list(cli):
    """The actions of the mission are listed in both forms."""
    ids = {"get-api-credentials", "set-model", "delete-model-cache"}

    assert ids <= {item["id"] for item in cli("action", "list", "--json").document()}
    text = cli("action", "list").out
    assert [name for name in ids if name not in text] == []
    # There is no failure that it could mend.
    assert "apply-fix" not in text


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_action_input_is_always_json(cli, more):
    """The form is one JSON document, whether asked for as JSON or not."""
    form = cli("action", "input", "set-model", *more).document()

    assert set(form) == {"spec", "value"}
    assert form["value"] is None
    assert form["spec"]["config"]["type"] == "union"


@pytest.mark.parametrize("source", ["argument", "stdin"])
def test_set_model_stores_what_was_entered(cli, monkeypatch, source):
    """The input comes from the argument or stdin; it is stored and opens the form."""
    text = json.dumps(CUSTOM)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    given = text if source == "argument" else "-"

    result = cli("action", "run", "set-model", "--input", given, "--json").document()

    assert result["version"] == "1"
    assert result["title"] == "Model Selected"
    assert json.loads((cli.main / "store.json").read_text()) == {
        "serveArgs": ["org/name", "--speculative-config", '{"method": "ngram"}'],
        "serveEnv": ENTERED["env"],
        "modelSelection": {
            "selection": "custom",
            "customArgs": ENTERED["args"],
            "customEnv": ENTERED["env"],
        },
    }
    assert cli("action", "input", "set-model").document()["value"] == CUSTOM


@pytest.mark.parametrize(("more", "restarts"), [((), 1), (("--no-restart",), 0)])
def test_set_model_restarts_a_running_engine(cli, monkeypatch, more, restarts):
    """A running service gets the new model at once, unless told otherwise."""
    restarted: list[object] = []
    control = "vllm_pkg.hosts.standalone.control"
    monkeypatch.setattr(f"{control}.running_host", lambda _: "a host")
    monkeypatch.setattr(f"{control}.restart_engine", restarted.append)

    ended = cli("action", "run", "set-model", "--input", json.dumps(CUSTOM), *more)

    assert ended.code == 0
    assert len(restarted) == restarts


def test_get_api_key_makes_one_when_there_is_none(cli):
    """The action answers with the key that is then in credentials.json."""
    result = cli("action", "run", "get-api-credentials").document()

    stored = json.loads((cli.public / "credentials.json").read_text())
    assert result["result"] == {
        "type": "single",
        "value": stored["apiKey"],
        "copyable": True,
        "qr": False,
        "masked": True,
    }
