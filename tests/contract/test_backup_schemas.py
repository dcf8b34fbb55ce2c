"""Backups as earlier programs wrote them, restored with the commands of this one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.backups import KEY, Archive, state_of, with_state
from support.fake_host import make_fake_host
from support.hub_cache import write_cached_model
from support.settings_factory import make_settings
from vllm_pkg import __version__
from vllm_pkg.service.backup.contents import SCHEMA

RECORDED = Path(__file__).parents[1] / "data" / "backups"
# What the engine of every recorded backup is started with.
ARGUMENTS = ["acme/tiny", "--max-model-len", "64"]


@pytest.fixture(name="host")
def host_fixture(tmp_path):
    """A host over a fake engine."""
    host = make_fake_host(tmp_path)
    yield host
    host.close()


def test_there_is_a_backup_of_every_schema():
    """Whoever raises the schema records what was written before."""
    names = {path.name for path in RECORDED.glob("*.tar")}

    assert names == {f"schema-{number}.tar" for number in range(1, SCHEMA + 1)}


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_a_service_starts_from_a_backup_of_an_older_schema(host, schema):
    """Over another state it brings back its key, its arguments and unknown fields."""
    host.json("init", "--json")
    assert host.key() != KEY
    recorded = RECORDED / f"schema-{schema}.tar"
    report = host.json("backup", "restore", str(recorded), "--yes", "--json")
    write_cached_model(host.main / "models", "acme/tiny")
    host.start()
    host.wait_result("success")
    started = host.fake.starts()[-1]
    store = json.loads((host.main / "store.json").read_text())

    assert report["backup"]["schema"] == schema
    assert started["env"]["VLLM_API_KEY"] == host.key() == KEY
    place = started["argv"].index("serve") + 1
    assert started["argv"][place : place + len(ARGUMENTS)] == ARGUMENTS
    assert "apiKey" not in store
    assert store["serveArgs"] == ARGUMENTS
    assert store["modelSelection"]["note"] == "kept"
    assert store["installedBy"] == {"version": "0.16.0:0"}


@pytest.mark.parametrize("changes", [{"schema": SCHEMA + 1}, {"format": 2}])
def test_a_backup_of_a_newer_schema_is_refused_by_the_command(host, tmp_path, changes):
    """Exit code 78 and what to do, and the state stays."""
    host.json("init", "--json")
    settings = make_settings(tmp_path)
    before = state_of(settings)
    archive = with_state(Archive(__version__, changes), before)
    path = archive.write(tmp_path / "newer.tar")
    refused = host.command("backup", "restore", str(path), "--yes", "--json")

    assert refused.returncode == 78
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "backup-newer"
    assert "update vllm-pkg" in error["hint"]
    assert state_of(settings) == before
