"""switch.json and what belongs to it, on the disk."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.settings_factory import make_settings
from support.switching import NEW, OLD, OTHER, prepare_store
from vllm_pkg.clock import BootClock
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.errors import StateCorrupt
from vllm_pkg.state import switch_file
from vllm_pkg.state.records import SettingChange
from vllm_pkg.state.switch import Switches, SwitchPhase
from vllm_pkg.state.switch_file import SwitchProgress

PROGRESS = SwitchProgress(
    "id", "org/new", 1, 2, 3.5, None, is_stalled=True, updated_s=9.5
)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """The old model is selected."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)
    return settings


def test_a_request_is_kept_for_its_owner_alone(settings):
    """A request stands in the file with what would come back; nobody else reads it."""
    assert switch_file.load_switches(settings) == Switches()

    asked = switch_file.request_switch(settings, NEW)

    current = switch_file.load_switches(settings).current
    assert Switches(current) == asked == switch_file.observe_switches(settings)
    assert current is not None
    assert (current.target, current.previous) == (NEW, OLD)
    assert current.phase is SwitchPhase.PREPARING
    assert current.requested_at == current.changed_at
    assert settings.switch_file.stat().st_mode & 0o777 == 0o600


def test_what_helps_is_kept(settings):
    """Hint and changes survive; a file of an older version has neither."""
    asked = switch_file.request_switch(settings, NEW).current
    assert asked is not None
    changes = (
        SettingChange("--max-model-len", "512"),
        SettingChange("--revision", is_removed=True),
    )
    failed = replace(
        asked, phase=SwitchPhase.FAILED, reason="Why.", hint="Do so.", changes=changes
    )
    switch_file.update_switches(settings, lambda _: Switches(failed))

    assert switch_file.load_switches(settings).mendable == failed

    document = json.loads(settings.switch_file.read_text())
    del document["current"]["hint"], document["current"]["changes"]
    settings.switch_file.write_text(json.dumps(document))
    older = switch_file.load_switches(settings).current
    assert older == replace(failed, hint=None, changes=())


def test_unknown_fields_survive(settings):
    """What a newer version has written stays where it was, whatever is changed."""
    switch_file.request_switch(settings, NEW)
    document = json.loads(settings.switch_file.read_text())
    waiting = {**document["current"], "id": "w"}
    for name in ("phase", "previous", "changedAt", "tried", "reason", "returnReason"):
        del waiting[name]
    del waiting["hint"], waiting["changes"]
    document["waiting"] = waiting
    for place in (document, document["current"], document["waiting"]):
        place["future"] = {"x": 1}
    settings.switch_file.write_text(json.dumps(document))

    present = switch_file.load_switches(settings).current
    assert present is not None
    moved = present.moved(SwitchPhase.PREPARED, "later")
    switch_file.update_switches(settings, lambda all_: all_.moved(present, moved))

    written = json.loads(settings.switch_file.read_text())
    assert written["current"]["phase"] == "prepared"
    for place in (written, written["current"], written["waiting"]):
        assert place["future"] == {"x": 1}


def test_a_change_of_nothing_writes_nothing(settings):
    """The same content is not written again."""
    switch_file.request_switch(settings, NEW)
    before = settings.switch_file.stat()

    switch_file.update_switches(settings, lambda switches: switches)

    assert settings.switch_file.stat().st_ino == before.st_ino


def test_giving_up_needs_a_file(settings):
    """Without a switch there is nothing to give up; with one it is cancelled."""
    switch_file.drop_switches(settings)
    assert not settings.switch_file.exists()

    switch_file.request_switch(settings, OTHER)
    switch_file.drop_switches(settings)

    current = switch_file.load_switches(settings).current
    assert current is not None
    assert current.phase is SwitchPhase.CANCELLED


@pytest.mark.parametrize("text", ["{", "[]", '{"current": 1, "waiting": null}'])
def test_a_damaged_file_is_told(settings, text):
    """A look leaves it where it is; the fetcher's reading sets it aside."""
    settings.switch_file.write_text(text)

    with pytest.raises(StateCorrupt):
        switch_file.observe_switches(settings)
    assert settings.switch_file.read_text() == text
    with pytest.raises(StateCorrupt):
        switch_file.load_switches(settings)
    assert switch_file.load_switches(settings) == Switches()
    kept = settings.switch_file.with_name("switch.json.corrupt-1")
    assert kept.read_text() == text


def test_progress_is_that_of_its_switch(settings):
    """The progress of another switch, or one that makes no sense, is none."""
    assert switch_file.read_progress(settings, "id") is None

    switch_file.write_progress(settings, PROGRESS)
    assert switch_file.read_progress(settings, "id") == PROGRESS
    assert switch_file.read_progress(settings, "other") is None

    known = replace(PROGRESS, eta_s=2.5)
    switch_file.write_progress(settings, known)
    assert switch_file.read_progress(settings, "id") == known

    for damaged in ("{", json.dumps(PROGRESS.as_json() | {"bytesDone": "x"})):
        settings.switch_progress_file.write_text(damaged)
        assert switch_file.read_progress(settings, "id") is None


def test_the_fetcher_is_known_by_its_process(settings):
    """It runs while the process lives that wrote the record, and no other."""
    boot_id = BootClock().boot_id()
    assert switch_file.is_fetcher_running(settings, boot_id) is False

    switch_file.write_fetcher(settings, own_identity())
    assert switch_file.is_fetcher_running(settings, boot_id) is True

    dead = replace(own_identity(), started_ticks=1)
    switch_file.write_fetcher(settings, dead)
    assert switch_file.is_fetcher_running(settings, boot_id) is False
