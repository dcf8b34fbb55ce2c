"""Changing keys: rotate, add, find and revoke, each whole or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import InvalidArgument, StateCorrupt, StateWriteFailed
from vllm_pkg.state import credentials, keys, locks
from vllm_pkg.state.secrets import Role, hash_key, load_secrets

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with a primary key."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    credentials.ensure_key(settings)
    return settings


def primary(settings):
    """Return the primary key as clients find it."""
    return json.loads(settings.credentials_file.read_text())


def test_rotation_makes_another_key(settings):
    """The file holds the new key and nothing else, in its mode."""
    old = primary(settings)["apiKey"]
    rotation = keys.rotate_key(settings, 0, NOW)
    assert primary(settings) == {"apiKey": rotation.key}
    assert rotation.key != old
    assert len(rotation.key) == 22
    assert rotation.previous is None
    assert load_secrets(settings).keys == ()
    assert settings.credentials_file.stat().st_mode & 0o777 == 0o600


def test_the_old_key_can_be_kept(settings):
    """It becomes a named key with an end; a second one gets another name."""
    old = primary(settings)["apiKey"]
    first = keys.rotate_key(settings, 3, NOW).previous
    assert first is not None
    assert first.name == "previous"
    assert first.role is Role.USER
    assert first.hash == hash_key(old)
    assert first.expires == NOW + timedelta(hours=3)
    second = keys.rotate_key(settings, 3, NOW).previous
    assert second is not None
    assert second.name == "previous-2"
    third = keys.rotate_key(settings, 1, NOW + timedelta(hours=3)).previous
    assert third is not None
    assert third.name == "previous"


def test_rotation_without_a_key_makes_one(tmp_path):
    """Where there is nothing to keep, nothing is kept."""
    settings = make_settings(tmp_path)
    rotation = keys.rotate_key(settings, 5, NOW)
    assert primary(settings) == {"apiKey": rotation.key}
    assert rotation.previous is None


def test_an_interrupted_rotation_shuts_nobody_out(settings, monkeypatch):
    """If the new key cannot be written, the old one is still the primary key."""
    old = primary(settings)

    def fail(*_):
        raise StateWriteFailed("the disk is full")

    monkeypatch.setattr(credentials, "write_key", fail)
    with pytest.raises(StateWriteFailed):
        keys.rotate_key(settings, 1, NOW)
    assert primary(settings) == old


def test_a_key_is_added_and_shown_once(settings):
    """What is stored is its hash; the key is in no file."""
    new = keys.add_key(settings, "laptop", Role.ADMIN, 30, NOW)
    (stored,) = load_secrets(settings).keys
    assert (stored.name, stored.role) == ("laptop", Role.ADMIN)
    assert stored.hash == hash_key(new.key)
    assert stored.expires == NOW + timedelta(days=30)
    assert stored.id == new.entry.id
    for path in settings.main.iterdir():
        assert new.key not in path.read_text()


def test_a_name_is_used_once_at_a_time(settings):
    """A name is free again when its key has ended."""
    keys.add_key(settings, "a", Role.USER, None, NOW)
    with pytest.raises(InvalidArgument, match="active key named 'a'"):
        keys.add_key(settings, "a", Role.USER, None, NOW)
    keys.revoke_key(settings, "a", NOW)
    keys.add_key(settings, "a", Role.USER, 1, NOW)
    keys.add_key(settings, "a", Role.USER, 1, NOW + timedelta(days=1))
    assert len(load_secrets(settings).keys) == 3


def test_there_is_a_most_of_active_keys(settings, monkeypatch):
    """Each request is compared with each of them."""
    monkeypatch.setattr(keys, "ACTIVE_MAX", 2)
    keys.add_key(settings, "a", Role.USER, None, NOW)
    keys.add_key(settings, "b", Role.USER, None, NOW)
    with pytest.raises(InvalidArgument, match="2 active keys"):
        keys.add_key(settings, "c", Role.USER, None, NOW)
    keys.revoke_key(settings, "b", NOW)
    keys.add_key(settings, "c", Role.USER, None, NOW)


def test_keys_that_have_ended_are_forgotten_in_time(settings, monkeypatch):
    """Of those the newest stay in the list; active ones always do."""
    monkeypatch.setattr(keys, "ENDED_MAX", 2)
    keys.add_key(settings, "stays", Role.USER, None, NOW)
    for name in "abcd":
        keys.add_key(settings, name, Role.USER, None, NOW)
        keys.revoke_key(settings, name, NOW)
    keys.add_key(settings, "last", Role.USER, None, NOW)
    names = [key.name for key in load_secrets(settings).keys]
    assert names == ["stays", "c", "d", "last"]


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_key_is_revoked_by_id_or_name(settings, by):
    """It stays in the list, with the time."""
    new = keys.add_key(settings, "laptop", Role.USER, None, NOW)
    keys.add_key(settings, "other", Role.USER, None, NOW)
    revoked = keys.revoke_key(settings, getattr(new.entry, by), NOW)
    assert revoked.revoked == NOW
    stored = load_secrets(settings).keys[0]
    assert (stored.id, stored.revoked) == (new.entry.id, NOW)
    assert [key.name for key in keys.active_keys(settings, NOW)] == ["other"]


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [("laptpo", "did you mean laptop?"), ("xyz", "see vllm-pkg key list")],
)
def test_an_unknown_key_gets_a_suggestion(settings, wanted, hint):
    """The hint names the most similar key, or the list."""
    keys.add_key(settings, "laptop", Role.USER, None, NOW)
    with pytest.raises(InvalidArgument) as caught:
        keys.revoke_key(settings, wanted, NOW)
    assert caught.value.hint == hint


def test_a_key_is_not_revoked_twice(settings):
    """What has ended is no key that could be revoked."""
    keys.add_key(settings, "a", Role.USER, None, NOW)
    keys.revoke_key(settings, "a", NOW)
    with pytest.raises(InvalidArgument):
        keys.revoke_key(settings, "a", NOW)


def test_damaged_secrets_stop_a_change(settings):
    """Nothing is written over a file that could not be understood."""
    settings.secrets_file.write_text("{")
    with pytest.raises(StateCorrupt):
        keys.add_key(settings, "a", Role.USER, None, NOW)
    assert not settings.secrets_file.exists()


def test_changes_take_the_one_lock(settings):
    """While another process holds it, nothing is changed."""
    taken = []

    def hold(lock_file, *_):
        taken.append(lock_file)
        return original(lock_file)

    original = locks.locked
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "locked", hold)
        keys.add_key(settings, "a", Role.USER, None, NOW)
        keys.revoke_key(settings, "a", NOW)
        keys.rotate_key(settings, 1, NOW)
    assert taken == [settings.lock_file] * 3


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [
        ("laptop", True),
        ("My laptop 2.0_b-c", True),
        ("a" * 40, True),
        ("a" * 41, False),
        ("", False),
        (" a", False),
        ("-a", False),
        ("a\n", False),
        ("ä", False),
        ("a/b", False),
    ],
)
def test_names_are_plain(name, is_valid):
    """A name fits into a table, a command line and a log."""
    assert keys.is_valid_name(name) is is_valid


def test_times_for_people():
    """In UTC, to the minute."""
    east = datetime.fromisoformat("2026-01-02T05:04:59+02:00")
    assert keys.time_text(east) == "2026-01-02 03:04 UTC"
    assert keys.time_text(None) == "never"


def test_the_clock_is_the_wall_clock():
    """Times carry their offset and no fractions."""
    now = keys.now_utc()
    assert now.microsecond == 0
    assert now.utcoffset() == timedelta(0)
