"""The Hugging Face token in secrets.json."""

from __future__ import annotations

import json

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import StateCorrupt
from vllm_pkg.state import locks
from vllm_pkg.state.documents import Malformed
from vllm_pkg.state.secrets import (
    Secrets,
    change_secrets,
    load_secrets,
    observe_secrets,
    parse_secrets,
)

TOKEN = "hf_secretSECRET"  # noqa: S105


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with an empty main volume."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    return settings


def save(settings, token):
    """Store a token, as the action does."""
    with locks.locked(settings.lock_file):
        change_secrets(settings, lambda old: old.with_hugging_face_token(token))


def test_a_token_is_kept_beside_what_is_not_known(settings):
    """Unknown fields survive, and without a token nothing of it is left."""
    settings.secrets_file.write_text('{"future": 1}')
    save(settings, TOKEN)
    document = json.loads(settings.secrets_file.read_text())
    assert document == {"future": 1, "huggingFaceToken": TOKEN, "keys": []}
    assert load_secrets(settings).hugging_face_token == TOKEN
    save(settings, "")
    document = json.loads(settings.secrets_file.read_text())
    assert document == {"future": 1, "keys": []}


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_token_is_none(value):
    """Null and the empty text stand for no token."""
    assert parse_secrets({"huggingFaceToken": value}).hugging_face_token == ""


@pytest.mark.parametrize("value", [7, [TOKEN], f"{TOKEN} x", f"{TOKEN}\n", "x" * 501])
def test_what_cannot_be_a_token_is_malformed(value):
    """Nothing of it is repeated in the error."""
    with pytest.raises(Malformed) as caught:
        parse_secrets({"huggingFaceToken": value})
    assert str(caught.value) == "huggingFaceToken is not a token"


def test_a_look_leaves_a_damaged_file_alone(settings):
    """Observing tells of the damage and moves nothing."""
    assert observe_secrets(settings) == Secrets()
    save(settings, TOKEN)
    assert observe_secrets(settings).hugging_face_token == TOKEN
    settings.secrets_file.write_text('{"keys": 1}')
    with pytest.raises(StateCorrupt, match="keys is not a list"):
        observe_secrets(settings)
    assert settings.secrets_file.read_text() == '{"keys": 1}'


def test_the_text_of_secrets_does_not_show_the_token(settings):
    """What may stand in a traceback holds neither the token nor the document."""
    save(settings, TOKEN)
    assert "hugging" not in repr(load_secrets(settings))
    assert TOKEN not in repr(load_secrets(settings))
    assert TOKEN in str(load_secrets(settings).as_json())
