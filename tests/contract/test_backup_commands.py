"""``vllm-pkg backup`` over a whole instance, running and not."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from support.backups import tree_of
from support.fake_host import make_fake_host
from support.hub_cache import write_cached_model
from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.models.tiny import tiny_files
from vllm_pkg.service.backup.restoring import restore_backup


@pytest.fixture(name="host")
def host_fixture(tmp_path):
    """A host over a fake engine."""
    host = make_fake_host(tmp_path)
    yield host
    host.close()


def test_the_commands_make_check_and_restore(host, tmp_path):
    """The three commands work over a whole instance, with text and with JSON."""
    host.json("init", "--json")
    key = host.key()
    path = tmp_path / "b.tar"
    created = host.json("backup", "create", str(path), "--json")
    verified = host.json("backup", "verify", str(path), "--json")
    host.json("key", "rotate", "--json")
    asked = host.command("backup", "restore", str(path))
    restored = host.json("backup", "restore", str(path), "--yes", "--json")
    text = host.command("backup", "create", str(path)).stdout

    assert created == verified == {"file": str(path)} | restored["backup"]
    assert host.key() == key
    assert asked.returncode == 2
    assert "nobody to ask" in asked.stderr
    assert "It holds secrets" in text
    assert host.command("backup", "create", "-", "--json").returncode == 2


def test_restored_models_are_complete(host, tmp_path):
    """After a restore with models, `model verify --full` finds nothing wrong."""
    host.json("init", "--json")
    folder = write_cached_model(host.main / "models", "org/name")
    before = tree_of(folder)
    path = tmp_path / "b.tar"
    arguments = ("backup", "create", str(path), "--with-models", "--json")
    created = host.json(*arguments)
    shutil.rmtree(folder)
    host.json("backup", "restore", str(path), "--yes", "--json")
    (listed,) = host.json("model", "list", "--json")["models"]
    checked = host.json("model", "verify", "--full", "--json")

    assert created["models"] == ["org/name"]
    assert tree_of(folder) == before
    assert listed["isPartial"] is False
    assert (checked["damaged"], len(checked["files"])) == (0, len(tiny_files()))


def test_a_pipe_gets_the_archive(host, tmp_path):
    """With - the archive and nothing else is on the standard output."""
    host.json("init", "--json")
    path = tmp_path / "piped.tar"
    with path.open("wb") as stream:
        subprocess.run(
            [*host.program, "backup", "create", "-"],
            env=host.environment,
            stdout=stream,
            check=True,
        )

    assert host.json("backup", "verify", str(path), "--json")["hasKey"] is True


def test_a_running_service_is_not_restored(host, tmp_path):
    """Exit code 77 and what to do, and nothing changes; after its end it works."""
    host.select_model()
    host.json("init", "--json")
    path = tmp_path / "b.tar"
    host.json("backup", "create", str(path), "--json")
    host.start()
    host.wait_result("success")
    host.json("key", "rotate", "--json")
    key = host.key()
    refused = host.command("backup", "restore", str(path), "--yes", "--json")

    assert refused.returncode == 77
    assert json.loads(refused.stderr)["error"]["code"] == "service-is-running"
    assert host.key() == key
    host.interrupt()
    host.json("backup", "restore", str(path), "--yes", "--json")
    assert host.key() != key


def test_a_running_service_can_be_restarted_with_it(host, tmp_path):
    """Who may restart it, as the portal, gets the old key with a new engine."""
    host.select_model()
    host.json("init", "--json")
    path = tmp_path / "b.tar"
    host.json("backup", "create", str(path), "--json")
    key = host.key()
    host.start()
    host.wait_result("success")
    host.json("key", "rotate", "--json")
    settings = make_settings(tmp_path)
    report = restore_backup(settings, path, restarts=True)
    wait_until(lambda: host.starts() >= 2, 20, "the second start")

    assert report.is_restarted
    assert host.key() == key
    assert host.fake.starts()[-1]["env"]["VLLM_API_KEY"] == key
