"""The journal of a restore: nobody else writes meanwhile, and it is finished."""

from __future__ import annotations

import json

import pytest

from support.backups import KEY, OTHER_KEY, state_of, write_state
from support.settings_factory import make_settings
from vllm_pkg.engine.daemon import prepare_state
from vllm_pkg.errors import StateCorrupt, StateLocked
from vllm_pkg.state import atomic, keys, locks, restore_journal
from vllm_pkg.state.credentials import load_key
from vllm_pkg.state.restore_journal import Journal, staging_of
from vllm_pkg.state.store import Store, update_store

NEW = {
    "main/store.json": '{"serveArgs": ["new/model"]}',
    "main/secrets.json": None,
    "main/switch.json": None,
    "public/credentials.json": f'{{"apiKey": "{OTHER_KEY}"}}',
}


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """An instance with a state, and a restore that was decided and not finished."""
    settings = make_settings(tmp_path)
    write_state(settings)
    settings.switch_file.write_text("{}")
    with locks.locked(settings.lock_file):
        restore_journal.commit(settings, Journal("1", NEW))
    return settings


def test_a_start_finishes_it(settings):
    """The next start has the new state, and the old one is kept."""
    assert load_key(settings) == KEY
    assert prepare_state(settings) == OTHER_KEY

    found = {name: data.decode() for name, data in state_of(settings).items()}
    assert found == {name: text for name, text in NEW.items() if text is not None}
    kept = restore_journal.copies_of(settings, "1")
    assert json.loads((kept / "credentials.json").read_text()) == {"apiKey": KEY}
    assert (kept / "switch.json").read_text() == "{}"
    assert not restore_journal.is_pending(settings)
    assert prepare_state(settings) == OTHER_KEY


def test_nobody_writes_in_between(settings):
    """What was changed now would be lost: it is refused with what to do."""
    changes = (
        lambda: update_store(settings, Store.without_model),
        lambda: keys.rotate_key(settings, 0, keys.now_utc()),
    )
    for change in changes:
        with pytest.raises(StateLocked) as caught:
            change()
        assert "vllm-pkg init" in caught.value.hint
    assert load_key(settings) == KEY


@pytest.mark.parametrize(
    "document",
    [
        {"id": "1", "files": {}},
        {"id": "1", "files": {"main/.lock": ""}, "folders": []},
        {"id": "1", "files": {"main/store.json": 1}, "folders": []},
        {"id": "1", "files": {}, "folders": ["models/a/b"]},
        {"id": "1", "files": {}, "folders": ["run/a"]},
        {"id": "1", "files": [1], "folders": []},
    ],
)
def test_a_damaged_journal_is_set_aside(settings, document):
    """What cannot be understood is not followed, and the state stays as it is."""
    before = state_of(settings)
    settings.restore_journal_file.write_text(json.dumps(document))
    with pytest.raises(StateCorrupt, match="set aside as restore"):
        prepare_state(settings)

    assert state_of(settings) == before
    assert prepare_state(settings) == KEY


def test_models_that_stand_ready_are_put_in_place_once(settings):
    """A step that was done already is not done again, with or without an old model."""
    ready = staging_of(settings, "models")
    for name in ("models--a--b", "models--c--d"):
        atomic.make_folder(ready / name)
        (ready / name / "new").touch()
    old = settings.models_dir / "models--a--b"
    atomic.make_folder(old)
    (old / "old").touch()
    names = ("models/models--a--b", "models/models--c--d", "local-models/done")
    settings.restore_journal_file.unlink()
    with locks.locked(settings.lock_file):
        restore_journal.commit(settings, Journal("2", NEW, names))
    prepare_state(settings)

    assert (old / "new").exists()
    assert (settings.models_dir / "models--c--d" / "new").exists()
    kept = restore_journal.replaced_of(settings, "models", "2")
    assert (kept / "models--a--b" / "old").exists()
    assert not ready.exists()


def test_what_an_undecided_restore_left_is_removed(tmp_path):
    """A start removes what stands ready, unless somebody prepares it right now."""
    settings = make_settings(tmp_path)
    ready = staging_of(settings, "local-models")
    atomic.make_folder(ready / "tiny")
    with locks.locked(settings.restore_lock_file):
        prepare_state(settings)
        assert ready.exists()
    prepare_state(settings)

    assert not ready.exists()
