"""secrets.json: read strictly, written whole, and holding hashes instead of keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import StateCorrupt
from vllm_pkg.state import atomic
from vllm_pkg.state.documents import Malformed
from vllm_pkg.state.secrets import (
    NamedKey,
    Role,
    Secrets,
    change_secrets,
    hash_key,
    load_secrets,
    parse_secrets,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HASH = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
ENTRY = {
    "id": "0a1b2c3d",
    "name": "laptop",
    "role": "user",
    "hash": HASH,
    "created": "2026-01-02T03:04:05+00:00",
    "expires": None,
    "revoked": None,
}


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with an empty main volume."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    return settings


def write(settings, document):
    """Write a document."""
    settings.secrets_file.write_text(json.dumps(document))


def test_a_key_is_stored_as_its_sha256():
    """The hash is SHA-256, as every tool computes it."""
    assert hash_key("secret") == HASH


def test_no_file_means_no_secrets(settings):
    """A fresh service has no additional keys."""
    assert load_secrets(settings) == Secrets()


def test_a_key_is_read(settings):
    """All fields of an entry are understood, times with any offset."""
    write(settings, {"keys": [ENTRY | {"expires": "2026-01-02T05:04:05+02:00"}]})
    (key,) = load_secrets(settings).keys
    assert (key.id, key.name, key.role) == ("0a1b2c3d", "laptop", Role.USER)
    assert key.created == NOW
    assert key.expires == NOW
    assert key.revoked is None


def test_unknown_fields_survive(settings):
    """What other versions and other parts keep there is still there after a change."""
    document = {"huggingFaceToken": "t", "keys": [ENTRY | {"note": "n"}]}
    write(settings, document)
    change_secrets(settings, lambda secrets: secrets)
    assert json.loads(settings.secrets_file.read_text()) == document
    assert settings.secrets_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": 1},
        {"name": None},
        {"role": "root"},
        {"role": None},
        {"hash": HASH[1:]},
        {"hash": HASH.upper()},
        {"hash": HASH + "\n"},
        {"hash": None},
        {"created": None},
        {"created": "yesterday"},
        {"created": 1},
        {"expires": "2026-01-02T03:04:05"},
        {"expires": 0},
        {"revoked": True},
        {"revoked": ""},
    ],
)
def test_a_wrong_entry_is_refused(change):
    """An entry with one wrong field is none, and is not repeated in the message."""
    with pytest.raises(Malformed, match=r"^keys\[1\] is not a key$") as caught:
        parse_secrets({"keys": [ENTRY, ENTRY | {"id": "b"} | change]})
    assert caught.value.__suppress_context__ is True


@pytest.mark.parametrize("field", sorted(ENTRY))
def test_a_missing_field_is_refused(field):
    """Above all a key that has lost its end must not live for ever."""
    entry = {name: value for name, value in ENTRY.items() if name != field}
    with pytest.raises(Malformed):
        parse_secrets({"keys": [entry]})


@pytest.mark.parametrize("keys", [{}, "x", [1], [[]], [None], None])
def test_something_else_than_keys_is_refused(keys):
    """The list and its items are checked, too."""
    with pytest.raises(Malformed):
        parse_secrets({"keys": keys})


def test_an_id_stands_once():
    """Two keys of one id could not be revoked apart."""
    with pytest.raises(Malformed, match="same id"):
        parse_secrets({"keys": [ENTRY, ENTRY]})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": [{}]}'])
def test_a_damaged_file_is_set_aside(settings, content):
    """It is kept beside its place, and never overwritten."""
    settings.secrets_file.write_text(content)
    with pytest.raises(StateCorrupt, match=r"secrets\.json\.corrupt-1"):
        load_secrets(settings)
    kept = settings.secrets_file.with_name("secrets.json.corrupt-1")
    assert kept.read_text() == content
    assert load_secrets(settings) == Secrets()


def test_a_failed_change_leaves_the_file(settings, monkeypatch):
    """A full disk leaves the keys that were there."""
    write(settings, {"keys": [ENTRY]})
    monkeypatch.setattr(atomic, "replace_file", lambda *_args, **_more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        change_secrets(settings, lambda secrets: secrets.with_keys(()))
    assert len(load_secrets(settings).keys) == 1


def test_when_a_key_is_active():
    """It is so until it expires, and not once it is revoked."""
    key = NamedKey("a", "a", Role.USER, HASH, NOW, expires=NOW + timedelta(seconds=1))
    assert key.is_active(NOW)
    assert not key.is_active(NOW + timedelta(seconds=1))
    assert not key.revoke(NOW).is_active(NOW)
    assert NamedKey("a", "a", Role.USER, HASH, NOW).is_active(NOW)
