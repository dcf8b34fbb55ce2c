"""The key ring: what is accepted, read again in time, and never more than was given."""

from __future__ import annotations

import hmac
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine.guard import key_ring
from vllm_pkg.engine.guard.key_ring import KeyRing, primary_id
from vllm_pkg.errors import EngineStartFailed
from vllm_pkg.state import keys
from vllm_pkg.state.secrets import Role, hash_key

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW_S = NOW.timestamp()
PRIMARY = "Primary0123456789ABCDE"


class Ring:
    """A ring over files of a test, whose clock the test moves."""

    def __init__(self, folder):
        self.settings = make_settings(folder)
        self.settings.main.mkdir()
        self.settings.public.mkdir()
        self.write(PRIMARY)
        self.seconds = 0.0
        self.ring: KeyRing | None = None

    def write(self, key):
        """Write a primary key."""
        document = json.dumps({"apiKey": key})
        self.settings.credentials_file.write_text(document)

    def open(self):
        """Set the ring up."""
        files = self.settings.credentials_file, self.settings.secrets_file
        self.ring = KeyRing(*files, monotonic_s=lambda: self.seconds)
        return self

    def find(self, key, now_s=NOW_S):
        """Return the id of the key that is found, after the files were looked at."""
        assert self.ring is not None
        self.seconds += 0.2
        found = self.ring.find(key.encode(), now_s)
        # Of the primary key without what tells it from the one before.
        return None if found is None else found.id.partition("-")[0]

    def primary_id(self):
        """Return the whole id of the primary key, after the files were looked at."""
        assert self.ring is not None
        self.find("x")
        return self.ring.primary_id

    def add(self, name, **options):
        """Add a named key and return it."""
        role = options.pop("role", Role.USER)
        days = options.pop("days", None)
        return keys.add_key(self.settings, name, role, days, NOW)


@pytest.fixture(name="ring")
def ring_fixture(tmp_path):
    """A ring with a primary key and no others."""
    return Ring(tmp_path)


def test_the_primary_key_is_accepted(ring):
    """It is accepted, as a user's key; nothing else is."""
    ring.open()
    assert ring.find(PRIMARY) == "primary"
    assert ring.ring.find(PRIMARY.encode(), NOW_S).is_admin is False
    for wrong in ("", PRIMARY[:-1], PRIMARY + "x", PRIMARY.lower(), "ü"):
        assert ring.find(wrong) is None


def test_named_keys_are_accepted_with_their_role(ring):
    """Keys of both roles are accepted; only an administrator's is one."""
    user, admin = ring.add("a"), ring.add("b", role=Role.ADMIN)
    ring.open()
    assert ring.find(user.key) == user.entry.id
    assert ring.find(admin.key) == admin.entry.id
    assert ring.ring.find(user.key.encode(), NOW_S).is_admin is False
    assert ring.ring.find(admin.key.encode(), NOW_S).is_admin is True


def test_a_change_counts_after_a_tenth_of_a_second(ring):
    """Within the interval the files are not looked at; after it they are."""
    ring.open()
    new = ring.add("a")
    ring.seconds = 0.09
    assert ring.ring.find(new.key.encode(), NOW_S) is None
    ring.seconds = 0.11
    assert ring.ring.find(new.key.encode(), NOW_S).id == new.entry.id


def test_unchanged_files_are_not_read_again(ring, monkeypatch):
    """As long as nothing changes, looking costs no reading."""
    ring.add("a")
    ring.open()
    monkeypatch.setattr(key_ring, "_read", lambda _: pytest.fail("read again"))
    assert ring.find(PRIMARY) == "primary"


def test_revoking_and_expiry(ring):
    """A revoked key is refused, and one that has expired from that second on."""
    revoked, ending = ring.add("a"), ring.add("b", days=1)
    ring.open()
    keys.revoke_key(ring.settings, "a", NOW)
    assert ring.find(revoked.key) is None
    end_s = (NOW + timedelta(days=1)).timestamp()
    assert ring.find(ending.key, end_s - 1) == ending.entry.id
    assert ring.find(ending.key, end_s) is None


def test_rotation(ring):
    """The new key counts; the old one as long as it was kept, then no longer."""
    ring.open()
    rotation = keys.rotate_key(ring.settings, 2, NOW)
    assert rotation.previous is not None
    assert ring.find(rotation.key) == "primary"
    assert ring.find(PRIMARY, NOW_S + 7199) == rotation.previous.id
    assert ring.find(PRIMARY, NOW_S + 7200) is None
    keys.rotate_key(ring.settings, 0, NOW)
    assert ring.find(rotation.key) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"apiKey": ""}', "ü" * 9])
def test_a_damaged_primary_file_changes_nothing(ring, content):
    """The key read last stays, and the file is left for others to set aside."""
    ring.open()
    ring.settings.credentials_file.write_text(content)
    assert ring.find(PRIMARY) == "primary"
    assert ring.find("") is None
    assert ring.settings.credentials_file.read_text() == content


def test_a_missing_primary_file_changes_nothing(ring):
    """Removing it rotates the key at the next start, as the mission says."""
    ring.open()
    ring.settings.credentials_file.unlink()
    assert ring.find(PRIMARY) == "primary"
    ring.write("B" * 22)
    assert ring.find("B" * 22) == "primary"
    assert ring.find(PRIMARY) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"keys": 1}', '{"keys": [{"id": "x"}]}']
)
def test_damaged_secrets_change_nothing(ring, content, caplog):
    """Keys read last stay, revoked ones stay revoked; the log holds no content."""
    kept, revoked = ring.add("a"), ring.add("b")
    keys.revoke_key(ring.settings, "b", NOW)
    ring.open()
    ring.settings.secrets_file.write_text(content)
    assert ring.find(kept.key) == kept.entry.id
    assert ring.find(revoked.key) is None
    assert ring.find(PRIMARY) == "primary"
    assert "secrets.json cannot be used" in caplog.text


def test_a_file_that_could_not_be_read_is_tried_again(ring, monkeypatch, caplog):
    """A revocation counts as soon as the file can be read, with one line in the log."""
    named = ring.add("a")
    ring.open()
    read = key_ring._read

    def fail(_path):
        raise OSError

    keys.revoke_key(ring.settings, "a", NOW)
    monkeypatch.setattr(key_ring, "_read", fail)
    assert ring.find(named.key) == named.entry.id
    assert ring.find(named.key) == named.entry.id
    assert len(caplog.records) == 1
    monkeypatch.setattr(key_ring, "_read", read)
    assert ring.find(named.key) is None


def test_missing_secrets_mean_no_named_keys(ring):
    """What nobody could list or revoke is not accepted."""
    named = ring.add("a")
    ring.open()
    ring.settings.secrets_file.unlink()
    assert ring.find(named.key) is None
    assert ring.find(PRIMARY) == "primary"


def test_damaged_secrets_at_the_start_mean_no_named_keys(ring):
    """Without keys read before, there are none but the primary one."""
    named = ring.add("a")
    ring.settings.secrets_file.write_text("{")
    ring.open()
    assert ring.find(named.key) is None
    assert ring.find(PRIMARY) == "primary"


@pytest.mark.parametrize("content", [None, "", "{}", '{"apiKey": "a b"}'])
def test_without_a_primary_key_there_is_no_ring(ring, content):
    """A start without a key fails, and says nothing of the file's content."""
    ring.settings.credentials_file.unlink()
    if content is not None:
        ring.settings.credentials_file.write_text(content)
    with pytest.raises(EngineStartFailed) as caught:
        ring.open()
    assert "a b" not in str(caught.value)


def test_a_pipe_in_place_of_a_file_does_not_hang(ring):
    """Something that is no file is damaged, and is not waited for."""
    ring.open()
    ring.settings.credentials_file.unlink()
    os.mkfifo(ring.settings.credentials_file)
    assert ring.find(PRIMARY) == "primary"


def test_every_key_is_compared(ring, monkeypatch):
    """Whether the first, the last or no key matches, all are compared."""
    first, last = ring.add("a"), ring.add("b")
    ring.open()
    ring.find(PRIMARY)
    compared = []

    def compare(left, right):
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for key in (first.key, last.key, PRIMARY, "wrong"):
        compared.clear()
        ring.ring.find(key.encode(), NOW_S)
        assert len(compared) == 3
        assert all(isinstance(side, bytes) for pair in compared for side in pair)
        assert all(len(side) == 32 for pair in compared for side in pair)


def test_each_primary_key_has_an_id_of_its_own(ring):
    """A rotation begins a new count, and the same key goes on with its own."""
    first = ring.open().primary_id()
    second_key = keys.rotate_key(ring.settings, 0, NOW).key
    second = ring.primary_id()
    ring.write(PRIMARY)
    assert first != second
    assert ring.primary_id() == first
    assert second == primary_id(hash_key(second_key))
