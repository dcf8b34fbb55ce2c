"""What the daemon decides, and what it does with the state before it is the engine."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from support.settings_factory import make_settings
from vllm_pkg.clock import BootClock
from vllm_pkg.engine import daemon, processes
from vllm_pkg.engine.processes import ORPHAN_GRACE_S
from vllm_pkg.errors import ModelFolderMissing, StateCorrupt
from vllm_pkg.settings_table import Profile
from vllm_pkg.state import records

KEY = "abcdefghijABCDEFGHIJ01"
GPU = {
    "vendor": "nvidia",
    "index": 0,
    "name": "NVIDIA H100 80GB HBM3",
    "compute_capability": "9.0",
    "memory_gib": 79.6,
}
NOBODY_ELSE = 0o700
ONLY_WE_MAY_READ = 0o700


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Standalone settings over empty volumes."""
    return make_settings(tmp_path)


@pytest.fixture(name="mask")
def mask_fixture():
    """Bring back the mask of signals, which the daemon changes."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _select(settings, *serve_args: str, **fields: object) -> None:
    settings.main.mkdir(parents=True, exist_ok=True)
    document = {"serveArgs": list(serve_args)} | fields
    settings.store_file.write_text(json.dumps(document))


def _give_key(settings) -> None:
    settings.public.mkdir(parents=True, exist_ok=True)
    settings.credentials_file.write_text(json.dumps({"apiKey": KEY}))


def _mode(path):
    return path.stat().st_mode & 0o777


def test_state_is_made_with_its_modes(settings):
    """The folders and the key exist, and nobody else can read the main volume."""
    key = daemon.prepare_state(settings)

    assert re.fullmatch("[A-Za-z0-9]{22}", key)
    assert json.loads(settings.credentials_file.read_text()) == {"apiKey": key}
    assert _mode(settings.credentials_file) == 0o600
    assert _mode(settings.public) == NOBODY_ELSE
    for folder in ("", "models", "run", "logs"):
        assert _mode(settings.main / folder) == ONLY_WE_MAY_READ


def test_preparing_again_changes_nothing(settings):
    """A second preparation keeps the key and every file."""
    key = daemon.prepare_state(settings)
    before = sorted(settings.main.rglob("*"))

    assert daemon.prepare_state(settings) == key
    assert sorted(settings.main.rglob("*")) == before


def test_under_startos_dependents_may_read_the_key(tmp_path):
    """Under StartOS the key file is readable by all."""
    settings = make_settings(tmp_path, VLLM_PKG_PROFILE="startos")

    daemon.prepare_state(settings)

    assert _mode(settings.credentials_file) == 0o644


OWN = processes.own_identity()


@pytest.mark.parametrize(
    ("changes", "grace_s", "ended"),
    [
        ({}, daemon.LEFTOVER_GRACE_S, set()),
        ({"process": replace(OWN, started_ticks=1)}, ORPHAN_GRACE_S, {OWN.pid}),
        (
            {"process": replace(OWN, started_ticks=1), "is_stop_intended": True},
            ORPHAN_GRACE_S,
            set(),
        ),
        ({"process": replace(OWN, boot_id="earlier")}, ORPHAN_GRACE_S, set()),
        (None, daemon.LEFTOVER_GRACE_S, set()),
    ],
    ids=["alive", "crashed", "stopped", "earlier boot", "no record"],
)
def test_what_lost_its_engine_is_given_less_time(
    settings, monkeypatch, changes, grace_s, ended
):
    """An engine that still lives has time to end; what a dead one left has little."""
    given = []
    monkeypatch.setattr(
        processes, "end_engine_processes", lambda *order: given.append(order)
    )
    if changes is not None:
        start = records.StartRecord(OWN, 900.0, "127.0.0.1", 1, "x")
        records.write_record(settings.start_file, replace(start, **changes))

    assert daemon._end_earlier_engine(settings) == ended
    assert given == [(processes.instance_id(settings.main), grace_s)]


def test_leftovers_of_interrupted_writes_are_swept(settings):
    """Temporary files go from the three folders of state; other files stay."""
    for folder in (settings.main, settings.public, settings.run_dir):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".store.json.77.tmp").write_text("half")
        (folder / "notes.tmp").write_text("mine")

    daemon.prepare_state(settings)

    assert list(settings.main.parent.rglob(".*.tmp")) == []
    assert len(list(settings.main.parent.rglob("notes.tmp"))) == 3


def test_key_of_an_old_package_is_taken_over(settings):
    """A key inside store.json moves to credentials.json; the rest stays."""
    _select(settings, "org/name", apiKey=KEY, other=1)

    assert daemon.prepare_state(settings) == KEY
    assert json.loads(settings.credentials_file.read_text()) == {"apiKey": KEY}
    assert json.loads(settings.store_file.read_text()) == {
        "serveArgs": ["org/name"],
        "other": 1,
    }


def test_without_a_model_the_plan_is_to_idle(settings):
    """Nothing selected means idle, and a key exists all the same."""
    plan = daemon.plan_start(settings)

    assert plan.as_json() == {"mode": "idle", "argv": [], "env": {}}
    assert settings.credentials_file.exists()


@pytest.mark.parametrize(
    ("profile", "address", "key_arguments"),
    [
        ("standalone", ["--host", "127.0.0.1", "--port", "8000"], []),
        ("startos", ["--host", "0.0.0.0", "--port", "8000"], ["--api-key", KEY]),
        ("gpu-image", ["--host", "127.0.0.1", "--port", "18000"], []),
    ],
)
def test_plan_serves_with_the_fixed_arguments(
    tmp_path, profile, address, key_arguments
):
    """Each profile has its address, and the key where others cannot read it."""
    settings = make_settings(tmp_path, VLLM_PKG_PROFILE=profile)
    _give_key(settings)
    _select(settings, "org/name", "--max-model-len", "64")

    plan = daemon.plan_start(settings).as_json(show_secrets=True)

    assert plan["mode"] == "serve"
    assert plan["argv"] == [
        *("vllm", "serve", "org/name", "--max-model-len", "64"),
        *address,
        *("--download-dir", f"{tmp_path}/main/models"),
        *("--middleware", "vllm_pkg.engine.guard.middleware.Guard"),
        *key_arguments,
    ]
    assert plan["env"].get("VLLM_API_KEY") == (None if key_arguments else KEY)
    assert plan["env"]["HF_HUB_CACHE"] == f"{tmp_path}/main/models"
    assert "HF_HUB_OFFLINE" not in plan["env"]


def test_plan_hides_the_key(tmp_path):
    """What is printed without asking for secrets does not hold the key."""
    settings = make_settings(tmp_path, VLLM_PKG_PROFILE="startos")
    _give_key(settings)
    _select(settings, "org/name")
    plan = daemon.plan_start(settings)

    assert KEY not in json.dumps(plan.as_json())
    assert KEY in json.dumps(plan.as_json(show_secrets=True))


@pytest.mark.parametrize(
    ("model", "offline"),
    [("/models/mine", "1"), ("./mine", "1"), ("~/mine", "1"), ("org/name", None)],
)
def test_a_folder_needs_no_hub(settings, model, offline):
    """The engine asks no hub about a model that is a folder."""
    _select(settings, model)

    plan = daemon.plan_start(settings).as_json()

    assert plan["env"].get("HF_HUB_OFFLINE") == offline


@pytest.mark.parametrize(("gpus", "size_gib"), [([], "4"), ([GPU], None)])
def test_cache_size_is_set_for_machines_without_gpu_only(tmp_path, gpus, size_gib):
    """On a recorded machine of 16 GiB it is a quarter of them; with a GPU, vLLM's."""
    machine = tmp_path / "machine.json"
    machine.write_text(json.dumps({"gpus": gpus, "system_memory_gib": 16.0}))
    settings = make_settings(tmp_path, VLLM_PKG_HARDWARE=str(machine))
    _select(settings, "org/name")

    plan = daemon.plan_start(settings).as_json()

    assert plan["env"].get("VLLM_CPU_KVCACHE_SPACE") == size_gib


@pytest.mark.usefixtures("mask")
def test_failure_before_the_engine_is_recorded(settings):
    """What stopped the start is written down for the health check."""
    _select(settings, "/missing/model")
    before_s = BootClock().now_s()

    with pytest.raises(ModelFolderMissing):
        daemon.run_daemon(settings)

    failure = records.read_failure(settings)
    assert failure is not None
    assert failure.summary == (
        "The engine could not be started: /missing/model is not a folder with a model"
        " in it."
    )
    assert failure.hint == (
        "Give the path of a folder with a config.json, or a repository."
    )
    assert failure.exit_code == 78
    assert not failure.is_final
    assert failure.starts == 1
    assert failure.boot_id == BootClock().boot_id()
    assert before_s <= failure.at_s <= BootClock().now_s()
    assert failure.at.endswith("+00:00")
    assert records.read_start(settings) is None


@pytest.mark.usefixtures("mask")
def test_failure_that_cannot_be_recorded_hides_nothing(settings):
    """When the record cannot be written, the error is still the first one."""
    settings.failure_file.mkdir(parents=True)
    settings.public.mkdir()
    settings.credentials_file.write_text("{")

    with pytest.raises(StateCorrupt):
        daemon.run_daemon(settings)

    assert settings.failure_file.is_dir()


@pytest.mark.parametrize(
    ("profile", "variant", "user", "is_refreshed"),
    [
        (Profile.STARTOS, "nvidia", 0, True),
        (Profile.STARTOS, "", 0, True),
        (Profile.GPU_IMAGE, "nvidia", 0, True),
        (Profile.STARTOS, "nvidia", 1000, False),
        (Profile.STARTOS, "rocm", 0, False),
        (Profile.STARTOS, "cpu", 0, False),
        (Profile.STANDALONE, "nvidia", 0, False),
    ],
)
def test_linker_cache_is_refreshed_in_nvidia_images_only(
    monkeypatch, profile, variant, user, is_refreshed
):
    """Only root in an image with NVIDIA's driver has a linker cache to refresh."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    settings = make_settings(
        Path("/"), VLLM_PKG_PROFILE=profile.value, VLLM_PKG_VARIANT=variant
    )

    assert daemon._needs_ldconfig(settings) is is_refreshed
