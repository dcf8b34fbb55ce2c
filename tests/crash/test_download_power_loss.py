"""T02: what a loss of power leaves of a download, at each moment of it."""

from __future__ import annotations

import os
import random

import pytest

from support.crash import mutants
from support.crash.downloads import STEP_BYTES, WEIGHTS, Laboratory, check_losses
from support.downloads import write_model
from support.guarantees.plugin import is_long
from support.hub_server import HubServer
from vllm_pkg.models.download.sync_record import SyncRecord
from vllm_pkg.state import atomic

NESTED = "1_Pooling"
FILES = {
    WEIGHTS: bytes(range(65, 65 + 2 * STEP_BYTES + 4)),
    "config.json": b"{}",
    f"{NESTED}/config.json": b'{"a": 1}',
}
PROMISE = (
    "After a loss of power during a download nothing counts as complete that is not "
    "what the Hub has, and the next run fetches at most one step of a file again"
)


@pytest.fixture(name="laboratory")
def laboratory_fixture(tmp_path, monkeypatch):
    """A Hub with a small repository, and downloads of it in this process."""
    caches = tmp_path / "caches"
    caches.mkdir()
    with HubServer() as hub:
        hub.add("org/name", write_model(tmp_path / "served", FILES))
        yield Laboratory(hub, caches, monkeypatch)


def without_data_sync(patch):
    """Take every fdatasync away: the file has its name before it is on the disk."""
    patch.setattr(os, "fdatasync", lambda _: None)


def without_folder_sync(patch):
    """Take every fsync of a folder away."""
    patch.setattr(os, "fsync", mutants.without_folder_sync(os.fsync))


def without_nested_sync(patch):
    """Sync the links of a revision, but not those in a folder of it, as before."""
    sync = atomic.sync_folder

    def partly(folder):
        if folder.name != NESTED:
            sync(folder)

    patch.setattr(atomic, "sync_folder", partly)


def trust_everything(patch):
    """Go on behind whatever a loss of power has left, as before."""
    patch.setattr(SyncRecord, "trusted_bytes", lambda _, size_bytes: size_bytes)


@pytest.mark.timeout(1200)
def test_a_loss_of_power_at_each_moment(laboratory, monkeypatch, guarantee):
    """T02: in each legal state, of a first run and of runs that go on with a rest."""
    first, partial_states = check_losses(laboratory, laboratory.record({}, monkeypatch))
    source = random.Random(4)  # noqa: S311
    rests = source.sample(partial_states, 40 if is_long() else 3)
    found = [first]
    for rest in rests:
        laboratory.lose_power()
        events = laboratory.record(rest, monkeypatch)
        found.append(check_losses(laboratory, events)[0])
    broken = [text for item in found for text in item.violations]
    guarantee(
        "T02",
        PROMISE,
        tried=sum(item.states for item in found),
        violations=len(broken),
        unit=f"states of a download and of {len(rests)} that went on; at most "
        f"{max(item.refetched_bytes for item in found)} bytes fetched again with "
        f"steps of {STEP_BYTES}",
        control="without fdatasync before the rename, without fsync of folders or of "
        "nested ones, and "
        "going on behind what was not synced: all found",
    )
    assert broken == []
    assert first.states > 200
    assert all(item.states > 50 for item in found)


@pytest.mark.parametrize(
    ("mutate", "kind"),
    [
        (without_data_sync, "wrong"),
        (without_folder_sync, "lost"),
        (without_nested_sync, "lost"),
    ],
)
def test_each_sync_is_missed(laboratory, monkeypatch, mutate, kind):
    """T02: a sync that is taken away is found by the model."""
    events = laboratory.record({}, monkeypatch, mutate)

    findings, _ = check_losses(laboratory, events, stop_at=kind)

    assert getattr(findings, kind)


def test_trust_in_what_was_not_synced_is_found(laboratory, monkeypatch):
    """T02: without the record of what is synced a whole file is fetched again."""
    events = laboratory.record({}, monkeypatch)
    trust_everything(monkeypatch)

    findings, _ = check_losses(laboratory, events, stop_at="refetched")

    assert findings.refetched
    assert findings.wrong == []


def test_a_kill_without_a_loss_of_power_costs_nothing(laboratory):
    """Within one boot all that was written is gone on with, synced or not."""
    sent = laboratory.hub.sent_bytes
    etag = laboratory.weights.etag
    state = {f"blobs/{etag}.incomplete": FILES[WEIGHTS][:-1]}
    record = f'{{"boot_id": "{laboratory.boot_id}", "synced_bytes": 0}}'
    settings = laboratory.make_cache(
        state | {f".vllm-pkg/{etag}.synced": record.encode()}
    )

    laboratory.download(settings)

    assert sent["org/name", WEIGHTS] == 1
    assert laboratory.is_whole(settings)
