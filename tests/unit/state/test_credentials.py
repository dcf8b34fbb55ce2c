"""credentials.json: made when missing, kept when there, never guessed."""

from __future__ import annotations

import json
import os
import re

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import StateCorrupt, StateUnreadable
from vllm_pkg.state import credentials, documents

KEY = re.compile(r"[A-Za-z0-9]{22}")


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with empty volumes."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    return settings


def test_keys_have_the_published_form():
    """A thousand keys are 22 characters of A-Za-z0-9, all different."""
    keys = {credentials.generate_key() for _ in range(1000)}

    assert len(keys) == 1000
    assert all(KEY.fullmatch(key) for key in keys)


def test_missing_key_is_made_and_kept(settings):
    """The first call makes the key, the next ones return the same."""
    assert credentials.load_key(settings) is None

    key = credentials.ensure_key(settings)

    assert KEY.fullmatch(key)
    assert credentials.ensure_key(settings) == key
    assert credentials.load_key(settings) == key
    assert json.loads(settings.credentials_file.read_text()) == {"apiKey": key}


def test_removing_the_file_rotates_the_key(settings):
    """A removed file means a new key."""
    first = credentials.ensure_key(settings)
    settings.credentials_file.unlink()

    assert credentials.ensure_key(settings) != first


@pytest.mark.parametrize(
    ("profile", "mode"), [("startos", 0o644), ("standalone", 0o600)]
)
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_mode_is_right_and_is_repaired(tmp_path, profile, mode, umask):
    """Dependents can read the file under StartOS only, whatever mode it had before."""
    settings = make_settings(tmp_path, VLLM_PKG_PROFILE=profile)
    before = os.umask(umask)
    try:
        key = credentials.ensure_key(settings)
        first = settings.credentials_file.stat().st_mode & 0o777
        settings.credentials_file.chmod(0o666)
        again = credentials.ensure_key(settings)
    finally:
        os.umask(before)

    assert first == mode
    assert again == key
    assert settings.credentials_file.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    "content",
    [
        "",
        "garbage",
        "{}",
        '{"apiKey": ""}',
        '{"apiKey": null}',
        '{"apiKey": 5}',
        '{"apiKey": "a b"}',
        '{"apiKey": "schlüssel"}',
        '{"apiKey": "a\\nb"}',
        json.dumps({"apiKey": "x" * 257}),
    ],
)
def test_damaged_file_is_set_aside_and_no_key_returned(settings, content):
    """A damaged file never yields a key, and is kept beside its place."""
    settings.public.mkdir()
    settings.credentials_file.write_text(content)

    with pytest.raises(StateCorrupt) as caught:
        credentials.ensure_key(settings)

    assert "set aside" in caught.value.message
    aside = settings.credentials_file.with_name("credentials.json.corrupt-1")
    assert aside.read_text() == content
    assert not settings.credentials_file.exists()


def test_unreadable_file_is_left(settings):
    """A file that cannot be read is neither replaced nor moved."""
    settings.credentials_file.mkdir(parents=True)

    with pytest.raises(StateUnreadable):
        credentials.ensure_key(settings)

    assert settings.credentials_file.is_dir()


def test_key_of_an_old_store_is_taken_over(settings):
    """A key inside store.json moves to credentials.json and nothing else is lost."""
    settings.store_file.write_text('{"apiKey": "OldKey123", "serveArgs": ["a/b"]}')

    assert credentials.ensure_key(settings) == "OldKey123"
    credentials.drop_key_from_store(settings)

    assert json.loads(settings.store_file.read_text()) == {"serveArgs": ["a/b"]}
    assert credentials.load_key(settings) == "OldKey123"


def test_key_of_an_old_store_does_not_replace_a_newer_one(settings):
    """credentials.json wins over what an old version left in store.json."""
    settings.public.mkdir()
    settings.credentials_file.write_text('{"apiKey": "NewKey"}')
    settings.store_file.write_text('{"apiKey": "OldKey"}')

    assert credentials.ensure_key(settings) == "NewKey"
    credentials.drop_key_from_store(settings)

    assert json.loads(settings.store_file.read_text()) == {}


def test_key_is_not_dropped_before_it_is_taken_over(settings):
    """While credentials.json has no key, the one in store.json stays."""
    settings.store_file.write_text('{"apiKey": "OldKey"}')

    credentials.drop_key_from_store(settings)

    assert json.loads(settings.store_file.read_text()) == {"apiKey": "OldKey"}


def test_unusable_key_of_an_old_store_is_not_taken(settings):
    """A strange value in an old store does not become the key."""
    settings.store_file.write_text('{"apiKey": ["x"]}')

    assert KEY.fullmatch(credentials.ensure_key(settings))


def test_a_mode_that_cannot_be_asked_is_told(settings, monkeypatch):
    """A file that vanishes while its mode is looked at is a state error."""
    credentials.ensure_key(settings)
    real = documents.read_document

    def read_and_remove(path):
        document = real(path)
        path.unlink()
        return document

    monkeypatch.setattr(documents, "read_document", read_and_remove)
    with pytest.raises(StateUnreadable, match="No such file"):
        credentials.ensure_key(settings)


def test_a_key_is_written_over_another_and_over_none(settings):
    """A new key takes the old one's place, and there need not be one."""
    settings.main.mkdir(exist_ok=True)
    credentials.write_key(settings, "first")
    credentials.write_key(settings, "second")

    assert credentials.load_key(settings) == "second"
