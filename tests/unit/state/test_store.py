"""store.json: what is understood, what survives, what is refused."""

from __future__ import annotations

import json

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import StateCorrupt
from vllm_pkg.state.store import (
    EnvironmentVariable,
    ModelSelection,
    Store,
    load_store,
    update_store,
)

SELECTION = ModelSelection("custom", "a/b --x", (EnvironmentVariable("A", "1"),))


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with an empty main volume."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    return settings


def test_no_file_is_an_empty_store(settings):
    """Without store.json no model is selected."""
    assert load_store(settings) == Store()
    assert load_store(settings).is_model_selected is False


def test_round_trip(settings):
    """Arguments, environment and selection are read back as they were written."""
    env = (EnvironmentVariable("A", "1"),)

    update_store(settings, lambda s: s.with_model(("a/b", "--x"), env, SELECTION))

    store = load_store(settings)
    assert store.serve_args == ("a/b", "--x")
    assert store.serve_env == env
    assert store.selection == SELECTION
    assert json.loads(settings.store_file.read_text()) == {
        "serveArgs": ["a/b", "--x"],
        "serveEnv": [{"name": "A", "value": "1"}],
        "modelSelection": {
            "selection": "custom",
            "customArgs": "a/b --x",
            "customEnv": [{"name": "A", "value": "1"}],
        },
    }
    assert settings.store_file.stat().st_mode & 0o777 == 0o600


def test_unknown_fields_survive(settings):
    """A field of another version stays through a change and through clearing."""
    settings.store_file.write_text('{"future": {"x": [1]}, "serveArgs": ["a/b"]}')

    update_store(settings, lambda s: s.with_model(("c/d",), (), ModelSelection("p")))
    changed = json.loads(settings.store_file.read_text())
    update_store(settings, Store.without_model)
    cleared = json.loads(settings.store_file.read_text())

    assert changed == {
        "future": {"x": [1]},
        "serveArgs": ["c/d"],
        "modelSelection": {"selection": "p"},
    }
    assert cleared == {"future": {"x": [1]}}


@pytest.mark.parametrize(
    "selection",
    ["qwen", 7, [], {}, {"selection": None}, {"selection": 3, "customArgs": "x"}],
)
def test_selection_that_cannot_be_understood(settings, selection):
    """A strange modelSelection does not keep the arguments from being served."""
    document = {"serveArgs": ["a/b"], "modelSelection": selection}
    settings.store_file.write_text(json.dumps(document))

    store = load_store(settings)

    assert store.serve_args == ("a/b",)
    assert store.selection is None


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        ({"customArgs": 5}, ModelSelection("custom")),
        ({"customEnv": "x"}, ModelSelection("custom")),
        ({"customEnv": [{"name": 1}]}, ModelSelection("custom")),
    ],
)
def test_parts_of_a_selection_that_cannot_be_understood(settings, custom, expected):
    """What is strange inside a selection reads as absent."""
    document = {"modelSelection": {"selection": "custom"} | custom}
    settings.store_file.write_text(json.dumps(document))

    assert load_store(settings).selection == expected


@pytest.mark.parametrize(
    "document",
    [
        {"serveArgs": "a/b"},
        {"serveArgs": ["a/b", 5]},
        {"serveArgs": {"0": "a"}},
        {"serveArgs": ["a/b\0"]},
        {"serveArgs": ["a/b", "\ud800"]},
        {"serveEnv": [{"name": "A", "value": "\0"}]},
        {"serveEnv": "A=1"},
        {"serveEnv": ["A=1"]},
        {"serveEnv": [{"name": "A"}]},
        {"serveEnv": [{"name": "A", "value": 1}]},
    ],
)
def test_wrong_types_are_set_aside(settings, document):
    """Arguments of a wrong type are never guessed at: the file is set aside whole."""
    text = json.dumps(document)
    settings.store_file.write_text(text)

    with pytest.raises(StateCorrupt, match="serve"):
        load_store(settings)

    aside = settings.store_file.with_name("store.json.corrupt-1")
    assert aside.read_text() == text


def test_a_failed_change_writes_nothing(settings):
    """An error inside a change leaves the file as it was."""
    settings.store_file.write_text('{"serveArgs": ["a/b"]}')

    def fail(_: Store) -> Store:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        update_store(settings, fail)

    assert settings.store_file.read_text() == '{"serveArgs": ["a/b"]}'
