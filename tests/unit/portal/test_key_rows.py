"""The keys of the API as rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vllm_pkg.engine.guard.key_list import ListedKey
from vllm_pkg.portal.pages.keys.rows import key_rows, primary_facts, summarize
from vllm_pkg.portal.texts.catalogue import load_texts
from vllm_pkg.state.secrets import NamedKey, Role

EN = load_texts("en")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def _primary(**changes):
    values = {"requests": 0, "last_used": None} | changes
    return ListedKey("primary", "primary", Role.USER, "active", entry=None, **values)


def _named(name, *, state="active", expires=None, revoked=None, role=Role.USER):
    entry = NamedKey(
        id=name,
        name=name,
        role=role,
        hash="0" * 64,
        created=NOW - 2 * DAY,
        expires=expires,
        revoked=revoked,
    )
    return ListedKey(name, name, role, state, 1, NOW - DAY, entry)


def test_the_first_line_says_who_can_use_the_api():
    """Keys that have ended do not count."""
    ended = _named("old", state="revoked", revoked=NOW)

    assert summarize(EN, [_primary(), ended]) == "Only the primary key can use the API."
    assert summarize(EN, [_primary(), ended, _named("laptop")]) == (
        "The primary key and 1 named key can use the API."
    )


def test_the_primary_key_says_how_it_was_used():
    """Never, or when, with the exact time for the hover."""
    used = _primary(requests=1200, last_used=NOW - DAY)

    unused = primary_facts(EN, [_primary()], NOW)
    facts = primary_facts(EN, [used], NOW)

    assert [fact.text for fact in unused] == ["0 requests", "Not used yet"]
    assert [fact.text for fact in facts] == ["1,200 requests", "Last used 1 day ago"]
    assert facts[0].exact is None
    assert "2026" in (facts[1].exact or "")


def test_keys_that_work_come_first_by_name():
    """Those that have ended follow, and the primary one is not among them."""
    keys = [
        _primary(),
        _named("Zoe"),
        _named("expired", state="expired", expires=NOW - DAY),
        _named("anna"),
    ]

    rows = key_rows(EN, keys, NOW)

    assert [(row.name, row.is_active, row.state) for row in rows] == [
        ("anna", True, "Active"),
        ("Zoe", True, "Active"),
        ("expired", False, "Expired"),
    ]


def test_a_key_says_how_long_it_works():
    """For ever, until a day, or no longer."""
    keys = [
        _named("for ever", role=Role.ADMIN),
        _named("until", expires=NOW + 30 * DAY),
        _named("expired", state="expired", expires=NOW - DAY),
        _named("revoked", state="revoked", revoked=NOW - DAY, expires=NOW + DAY),
    ]

    rows = {row.name: [f.text for f in row.facts] for row in key_rows(EN, keys, NOW)}

    assert rows["for ever"] == [
        "May also change the engine",
        "Made 2 days ago",
        "Works until it is revoked",
        "1 request",
        "Last used 1 day ago",
    ]
    assert rows["until"][2] == "Works until May 31, 2026"
    assert rows["expired"][2] == "Ended 1 day ago"
    assert rows["revoked"][2] == "Revoked 1 day ago"
