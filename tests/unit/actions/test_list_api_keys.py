"""List API Keys: what people see of each key, and what they do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from support.guarded import Guarded, bearer
from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.engine.guard.key_list import list_keys
from vllm_pkg.engine.guard.usage import UsageCounter
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.state import credentials, keys
from vllm_pkg.state.secrets import Role, load_secrets

THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(name="context")
def context_fixture(tmp_path):
    """A service with a primary key."""
    context = ActionContext(settings=make_settings(tmp_path), is_running=True)
    credentials.ensure_key(context.settings)
    return context


def table(context):
    """Return the rows of each listed key by its name."""
    result = registry.run_action(context, "list-api-keys", None).result.as_json()
    assert result["result"]["type"] == "group"
    return {
        key["name"]: {row["name"]: row["value"] for row in key["value"]}
        for key in result["result"]["value"]
    }


def test_a_fresh_service_has_one_key(context):
    """The primary key is listed although it is no named one."""
    assert table(context) == {
        "primary": {
            "State": "active",
            "Role": "user",
            "Requests": "0",
            "Last used": "never",
        }
    }


def test_named_keys_are_listed_with_their_use(context):
    """Each has its state, its times and how often it was used."""
    admin = keys.add_key(context.settings, "ops", Role.ADMIN, None, THEN)
    counter = UsageCounter(context.settings.key_usage_dir, own_identity())
    counter.count(admin.entry.id, THEN.timestamp())
    counter.snapshot()()
    assert table(context)[f"ops ({admin.entry.id})"] == {
        "State": "active",
        "Role": "admin",
        "Created": "2026-01-02 03:04 UTC",
        "Ends": "never",
        "Requests": "1",
        "Last used": "2026-01-02 03:04 UTC",
    }


@pytest.fixture(name="guarded")
def guarded_fixture(context):
    """A guard over the files of that service."""
    key = credentials.ensure_key(context.settings)
    environ = {
        "VLLM_PKG_MAIN": str(context.settings.main),
        "VLLM_PKG_PUBLIC": str(context.settings.public),
        "VLLM_PKG_GUARD_KEY": key,
    }
    return Guarded(context.settings.main.parent, environ)


def requests_of(context):
    """Return the count of each listed key, by its name."""
    listed = list_keys(context.settings, THEN)
    return {key.name: key.requests for key in listed}


def test_a_new_primary_key_begins_at_nothing(context, guarded):
    """After a rotation the old key's requests are not those of the new one."""
    old = credentials.ensure_key(context.settings)
    guarded.start().ask("GET", "/v1/models", bearer(old))
    guarded.call({"type": "lifespan"})
    assert requests_of(context) == {"primary": 1}
    keys.rotate_key(context.settings, 0, THEN)
    (primary,) = list_keys(context.settings, THEN)
    assert (primary.requests, primary.last_used) == (0, None)


def test_a_key_that_is_kept_at_a_rotation_keeps_its_count(context, guarded):
    """Its requests before and after the rotation are listed as one number."""
    old = credentials.ensure_key(context.settings)
    guarded.start().ask("GET", "/v1/models", bearer(old))
    new = keys.rotate_key(context.settings, 1, keys.now_utc()).key
    wait_until(
        lambda: guarded.ask("GET", "/v1/models", bearer(new)) == 200, 5, "the new key"
    )
    assert guarded.ask("GET", "/v1/models", bearer(old)) == 200
    guarded.call({"type": "lifespan"})
    assert requests_of(context) == {"primary": 1, "previous": 2}


def test_counts_of_older_versions_are_the_primary_keys(context, guarded):
    """They stand under one id for all, before and after the next start."""
    folder = context.settings.key_usage_dir
    counter = UsageCounter(folder, replace(own_identity(), started_ticks=1))
    counter.count("primary", THEN.timestamp())
    counter.snapshot()()
    assert requests_of(context) == {"primary": 1}
    guarded.start()
    assert requests_of(context) == {"primary": 1}
    keys.rotate_key(context.settings, 0, THEN)
    assert requests_of(context) == {"primary": 0}


@pytest.mark.parametrize("content", ["{", "{}", None])
def test_keys_are_listed_without_a_usable_primary_key(context, content):
    """A damaged file of the key stays where it is, and the list comes all the same."""
    file = context.settings.credentials_file
    file.unlink()
    if content is not None:
        file.write_text(content)
    assert requests_of(context) == {"primary": 0}
    assert file.exists() == (content is not None)


def test_keys_that_have_ended_say_so(context):
    """A revoked key and an expired one stay in the list."""
    keys.add_key(context.settings, "a", Role.USER, 1, THEN)
    keys.add_key(context.settings, "b", Role.USER, 1, THEN)
    keys.revoke_key(context.settings, "b", THEN)
    later = THEN + timedelta(days=1)
    states = [key.state for key in list_keys(context.settings, later)]
    assert states == ["active", "expired", "revoked"]


def test_neither_keys_nor_hashes_are_shown(context):
    """The list, and its JSON form, hold nothing that a key could be found from."""
    new = keys.add_key(context.settings, "a", Role.USER, None, THEN)
    (stored,) = load_secrets(context.settings).keys
    listed = list_keys(context.settings, THEN)
    shown = f"{table(context)} {[key.as_json() for key in listed]}"
    for secret in (new.key, stored.hash, credentials.ensure_key(context.settings)):
        assert secret not in shown


def test_the_json_form(context):
    """Programs get every field, with null where there is nothing."""
    new = keys.add_key(context.settings, "a", Role.USER, 1, THEN)
    primary, named = list_keys(context.settings, THEN)
    assert primary.as_json() == {
        "id": "primary",
        "name": "primary",
        "role": "user",
        "state": "active",
        "created": None,
        "expires": None,
        "revoked": None,
        "requests": 0,
        "lastUsed": None,
    }
    used = replace(named, requests=2, last_used=THEN)
    assert used.as_json() == {
        "id": new.entry.id,
        "name": "a",
        "role": "user",
        "state": "active",
        "created": "2026-01-02T03:04:05+00:00",
        "expires": "2026-01-03T03:04:05+00:00",
        "revoked": None,
        "requests": 2,
        "lastUsed": "2026-01-02T03:04:05+00:00",
    }


def test_the_form_is_empty(context):
    """There is nothing to ask."""
    assert registry.action_input(context, "list-api-keys").spec == {}
