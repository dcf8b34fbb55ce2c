"""T06: the store and the key, against a model that is a dictionary."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from support.crash import scenarios
from support.guarantees.plugin import is_long
from support.settings_factory import make_settings
from vllm_pkg.errors import StateCorrupt
from vllm_pkg.state import atomic, credentials, keys
from vllm_pkg.state.store import ModelSelection, Store, load_store, update_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# What a program can be given: no NUL, and no half of a surrogate pair.
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
)
NAMES = st.sampled_from(["future", "note", "ünknown"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=5,
)
GARBAGE = st.sampled_from([b"", b"{", b"[]", b"\x00", b'{"serveArgs": 5}', b"\xff"])
CRASHING = ("open", "write", "fsync", "fchmod", "replace", "mkdir", "unlink")
TRIED = {"runs": 0, "steps": 0, "crashes": 0}


class Crash(BaseException):
    """The process ends here; no code of it runs any more."""


def crash_at(number):
    """Return a patch of os that ends the process at one of its calls."""
    left = [number]

    def wrap(real):
        def wrapped(*arguments, **options):
            left[0] -= 1
            if left[0] <= 0:
                TRIED["crashes"] += left[0] == 0
                raise Crash
            return real(*arguments, **options)

        return wrapped

    return mock.patch.multiple(
        os, **{name: wrap(getattr(os, name)) for name in CRASHING}
    )


class StateMachine(RuleBasedStateMachine):
    """Changes of every kind, each also done to the model."""

    @initialize()
    def begin(self):
        """Begin with empty volumes."""
        TRIED["runs"] += 1
        self.folder = Path(tempfile.mkdtemp())
        self.settings = make_settings(self.folder)
        atomic.make_folder(self.settings.main)
        self.document = None
        self.key = None

    def teardown(self):
        """Remove the volumes."""
        shutil.rmtree(self.folder)

    def change(self, crash, operation, after):
        """Do an operation, perhaps with a crash in it; *after* is what it makes."""
        TRIED["steps"] += 1
        before = (self.document, self.key)
        if crash:
            try:
                with crash_at(crash):
                    operation()
            except Crash:
                self.document, self.key = self.present()
                assert (self.document, self.key) in (before, after(*before))
                return
        else:
            operation()
        self.document, self.key = after(*before)

    def present(self):
        """Return store and key as they are on disk, read by nothing of ours."""
        found = [
            json.loads(path.read_bytes()) if path.exists() else None
            for path in (self.settings.store_file, self.settings.credentials_file)
        ]
        return found[0], None if found[1] is None else found[1]["apiKey"]

    crashes = st.just(0) | st.integers(1, 14)

    @rule(crash=crashes, arguments=st.lists(TEXT, min_size=1, max_size=4), name=TEXT)
    def select(self, crash, arguments, name):
        """Select a model."""
        known = {"serveArgs": arguments, "modelSelection": {"selection": name}}
        self.change(
            crash,
            lambda: update_store(
                self.settings,
                lambda s: s.with_model(tuple(arguments), (), ModelSelection(name)),
            ),
            lambda document, key: ({**(document or {}), **known}, key),
        )

    @rule(crash=crashes)
    def clear(self, crash):
        """Clear the selection; unknown fields stay."""
        known = {"serveArgs", "modelSelection"}

        def after(document, key):
            rest = {k: v for k, v in (document or {}).items() if k not in known}
            return rest, key

        self.change(
            crash, lambda: update_store(self.settings, Store.without_model), after
        )

    @rule(crash=crashes, name=NAMES, value=VALUES)
    def merge(self, crash, name, value):
        """Set a field that this version does not know."""
        self.change(
            crash,
            lambda: update_store(
                self.settings,
                lambda s: replace(s, document={**s.document, name: value}),
            ),
            lambda document, key: ({**(document or {}), name: value}, key),
        )

    @rule(crash=crashes)
    def rotate(self, crash):
        """Rotate the key."""
        with mock.patch.object(credentials, "generate_key", return_value="R" * 22):
            self.change(
                crash,
                lambda: keys.rotate_key(self.settings, 0, NOW),
                lambda document, _: (document, "R" * 22),
            )

    @rule(crash=crashes)
    def start(self, crash):
        """Start: sweep, and make a key when there is none."""
        self.settings.public.mkdir(exist_ok=True)
        with mock.patch.object(credentials, "generate_key", return_value="S" * 22):
            self.change(
                crash,
                lambda: scenarios.migrate(self.settings),
                lambda document, key: (document, key or "S" * 22),
            )
        if not crash:
            assert scenarios.leftovers(self.settings) == []

    @rule(crash=crashes)
    def remove(self, crash):
        """Remove the key file."""
        self.change(
            crash,
            lambda: atomic.remove_file(self.settings.credentials_file),
            lambda document, _: (document, None),
        )

    @rule(value=VALUES)
    def edit_by_hand(self, value):
        """Somebody writes the file with an editor."""
        self.document = {"serveArgs": ["by/hand"], "note": value}
        self.settings.store_file.write_text(json.dumps(self.document))

    @rule(content=GARBAGE)
    def damage(self, content):
        """Somebody damages the file: it is set aside with its content."""
        self.settings.store_file.write_bytes(content)
        with pytest.raises(StateCorrupt) as caught:
            load_store(self.settings)
        aside = caught.value.message.rpartition(" ")[2]
        assert (self.settings.main / aside).read_bytes() == content
        self.document = None

    @invariant()
    def reads_what_the_model_says(self):
        """What the library reads is what the model holds."""
        store = load_store(self.settings)
        document = self.document or {}
        assert store.document == document
        assert list(store.serve_args) == document.get("serveArgs", [])
        assert credentials.load_key(self.settings) == self.key


@pytest.mark.timeout(900)
def test_the_state_is_what_the_model_says(guarantee):
    """T06: after any sequence of changes, crashes and edits, state equals the model."""
    TRIED.update(runs=0, steps=0, crashes=0)
    run_state_machine_as_test(
        StateMachine,
        settings=settings(
            max_examples=500 if is_long() else 40,
            stateful_step_count=50,
            deadline=None,
            derandomize=not is_long(),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    guarantee(
        "T06",
        "After any sequence of changes, crashes, edits and damage the files are what "
        "a dictionary would be",
        tried=TRIED["steps"],
        violations=0,
        unit=f"steps in {TRIED['runs']:,} runs, {TRIED['crashes']:,} of them crashed",
        control="a store that forgets unknown fields: found",
    )
    assert TRIED["runs"] >= (500 if is_long() else 40)
    assert TRIED["crashes"] > 0


def test_the_model_finds_a_forgetful_store(monkeypatch):
    """T06: a store that drops unknown fields is found."""
    monkeypatch.setattr(
        Store, "without_model", lambda self: replace(self, document={}, serve_args=())
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            StateMachine,
            settings=settings(
                max_examples=50,
                stateful_step_count=20,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate],
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
