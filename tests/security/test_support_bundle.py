"""T28: no secret is in a support bundle, wherever it was planted."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import zipfile

import pytest

from support.fake_host import make_fake_host
from support.settings_factory import make_settings
from support.small_disk import small_disk
from support.waiting import wait_until
from vllm_pkg import __version__
from vllm_pkg.errors import InvalidArgument, StateWriteFailed
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.service.support import bundle
from vllm_pkg.service.support.bundle import bundle_name, write_bundle
from vllm_pkg.service.support.redaction import Redactor
from vllm_pkg.state.keys import now_utc

pytestmark = pytest.mark.security

# Each is of its own kind and has no part in common with another.
SECRETS = {
    "primary key": "PRIMprimPRIMprim123456",
    "named key": "NAMEnameNAMEname123456",
    "Hub token": "hf_TOKENtokenTOKENtoken",
    "portal token": "PORTportPORTport1234567890PORTportPORT",
    "variable": "variable+canary/value",
    "variable of the form": "form-canary-value",
    "option": "option-canary-value",
    "key set aside": "ASIDasidASIDasid123456",
    "key of before": "BEFObefoBEFObefo123456",
    "variable of the host": "host-canary-value",
    "strange Hub token": "hf_STRANGEstrangeSTRANGE",
    "OpenAI key": "sk-canary-OPENAIopenai123",
    "bearer": "BEARERbearer.canary-1",
    "password in an address": "userinfo-canary",
    "signature in an address": "SIGNATUREsignature1",
    "JSON field": "json-field-canary",
    "key in a name": "NAMEDnamedNAMED1234567",
}


def _plant(settings) -> dict[str, str]:
    """Write each secret where one may stand; return the environment."""
    for folder in (settings.public, settings.run_dir, settings.logs_dir):
        folder.mkdir(parents=True)
    arguments = ["org/name", "--hf-token", SECRETS["option"]]
    store = {
        "serveArgs": arguments,
        "serveEnv": [{"name": "DB_NAME", "value": SECRETS["variable"]}],
        "modelSelection": {
            "selection": "custom",
            "customArgs": f"org/name --hf-token {SECRETS['option']}",
            "customEnv": [{"name": "X", "value": SECRETS["variable of the form"]}],
        },
    }
    hashed = hashlib.sha256(SECRETS["named key"].encode()).hexdigest()
    named = {
        "id": "1",
        "name": "laptop",
        "role": "user",
        "hash": hashed,
        "created": "2026-01-01T00:00:00+00:00",
        "expires": None,
        "revoked": None,
    }
    secrets = {
        "keys": [named],
        "huggingFaceToken": SECRETS["Hub token"],
        "portalToken": SECRETS["portal token"],
    }
    settings.store_file.write_text(json.dumps(store))
    settings.secrets_file.write_text(json.dumps(secrets))
    key = json.dumps({"apiKey": SECRETS["primary key"]})
    settings.credentials_file.write_text(key)
    damaged = f'{{"apiKey": "{SECRETS["key set aside"]}'
    settings.credentials_file.with_suffix(".json.corrupt-1").write_text(damaged)
    before = settings.main / "before-restore-20260101T000000Z-1f2e"
    before.mkdir()
    old = json.dumps({"apiKey": SECRETS["key of before"]})
    (before / "credentials.json").write_text(old)
    lines = _lines()
    (settings.logs_dir / "engine-20260101T000000Z.log").write_text(lines)
    (settings.logs_dir / "engine-20260102T000000Z.log").write_text(lines)
    stuck = settings.logs_dir / "stuck-20260101T000000000000Z"
    stuck.mkdir()
    for name in ("host.log", "supervisord.log", "fetcher.log", "engine.log"):
        (settings.logs_dir / name).write_text(lines)
        (stuck / name).write_text(lines)
    (settings.logs_dir / f"{SECRETS['primary key']}.log").write_text("")
    (settings.run_dir / SECRETS["primary key"]).write_text("")
    failure = {
        "at": "2026-01-01T12:00:00+00:00",
        "at_s": 1.0,
        "boot_id": "x",
        "summary": lines,
        "hint": lines,
        "exit_code": 1,
        "is_final": True,
        "starts": 1,
        "log_tail": lines.splitlines(),
        "evidence": lines,
        "changes": [
            {"name": "HF_TOKEN", "value": SECRETS["Hub token"], "is_removed": False}
        ],
    }
    settings.failure_file.write_text(json.dumps(failure))
    settings.health_history_file.write_text(
        json.dumps({"at": "x", "result": "failure", "message": lines}) + "\n"
    )
    return {"MY_SERVICE_TOKEN": SECRETS["variable of the host"]}


def _lines() -> str:
    known = [
        SECRETS[name]
        for name in SECRETS
        if name not in {"key in a name", "JSON field", "strange Hub token"}
    ]
    plain = [f"the value was {value}, and it was refused\n" for value in known[:10]]
    shaped = (
        f"token {SECRETS['strange Hub token']} rejected\n",
        f"using {SECRETS['OpenAI key']}\n",
        f"'Authorization': 'Bearer {SECRETS['bearer']}'\n",
        f"GET http://me:{SECRETS['password in an address']}@host/v1 200\n",
        f"GET https://cdn/x?X-Amz-Signature={SECRETS['signature in an address']}&a=1\n",
        f"http://127.0.0.1:11111/login?token={SECRETS['portal token']}\n",
        f'{{"api_key": "{SECRETS["JSON field"]}"}}\n',
        f"key={SECRETS['named key']}, api_key={SECRETS['key in a name']}\n",
        f"%2F{SECRETS['variable'].replace('/', '%2F').replace('+', '%2B')}\n",
    )
    return "".join((*plain, *shaped, "READABLE line of a log\n"))


def _members(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def _hits(members: dict[str, bytes]) -> list[tuple[str, str]]:
    return [
        (what, name)
        for name, content in members.items()
        for what, secret in SECRETS.items()
        if secret.encode() in content or secret in name
    ]


@pytest.fixture(name="planted")
def planted_fixture(tmp_path, monkeypatch):
    """An instance with each secret at each place, as the environment has it."""
    settings = make_settings(tmp_path / "home" / "me", HOME=str(tmp_path))
    for name, value in _plant(settings).items():
        monkeypatch.setenv(name, value)
    return settings


def test_t28_no_secret_is_in_the_bundle(planted, tmp_path, guarantee):
    """T28: of all that was planted nothing is in a member, its name or the file."""
    path = tmp_path / bundle_name(now_utc())
    report = write_bundle(planted, path)
    members = _members(path)
    hits = _hits(members)
    guarantee(
        "T28",
        "No secret is in a support bundle",
        tried=len(SECRETS) * len(members),
        violations=len(hits),
        unit="secrets looked for in members",
        control="with the hiding switched off nearly all are found",
    )

    assert hits == []
    assert re.findall(rb"SIGNATURE|TOKENtoken|form-canary", path.read_bytes()) == []
    assert path.stat().st_mode & 0o777 == 0o600
    assert report.size_bytes == path.stat().st_size
    assert set(report.members) == members.keys()
    assert report.missing == ()
    for name in ("logs/last-start.log", "logs/last-failed-start.log", "logs/host.log"):
        assert b"READABLE line of a log" in members[name]
    assert json.loads(members["state/store.json"])["serveArgs"][0] == "org/name"
    assert json.loads(members["state/keys.json"])["namedKeys"] == 1
    documents = [name for name in members if name.endswith(".json")]
    assert len([json.loads(members[name]) for name in documents]) > 15


def test_a_bundle_holds_what_helpers_ask_for(planted, tmp_path, monkeypatch):
    """Versions, hardware, settings, the last start's log, the last failure, and how
    health has changed: each is there with its content, and told of in the README."""
    monkeypatch.setenv("CUDA_CANARY", "engine-canary-value")
    monkeypatch.setenv("VLLM_PKG_VARIANT", "cpu")
    write_bundle(planted, tmp_path / "b.zip")
    members = _members(tmp_path / "b.zip")
    made = {
        name: json.loads(content)
        for name, content in members.items()
        if name.endswith(".json")
    }
    told = members["README.txt"].decode()

    assert made["versions.json"]["package"] == __version__
    assert made["versions.json"]["pinnedEngine"] == load_manifest().engine_version
    assert made["hardware.json"]["tier"]
    assert made["settings.json"]["inForce"]["portal_port"] == planted.portal_port
    shown = made["settings.json"]["environment"]
    assert (shown["VLLM_PKG_VARIANT"], shown["CUDA_CANARY"]) == ("cpu", "***")
    assert b"engine-canary-value" not in b"".join(members.values())
    assert b"READABLE line of a log" in members["logs/last-start.log"]
    assert made["run/last-failure.json"]["at"] == "2026-01-01T12:00:00+00:00"
    assert made["run/last-failure.json"]["log_tail"][-1] == "READABLE line of a log"
    assert made["run/health-history.json"][0]["result"] == "failure"
    places = {re.sub(r"/.*", "/", name) for name in members} - {"README.txt"}
    assert [place for place in places if place not in told] == []


def test_t28_the_test_finds_what_is_not_hidden(planted, tmp_path, monkeypatch):
    """T28: with the hiding switched off the same search finds what was planted."""
    for name in ("text", "known"):
        monkeypatch.setattr(Redactor, name, lambda _, text: text)
    monkeypatch.setattr(Redactor, "document", lambda _, value: value)
    write_bundle(planted, tmp_path / "leaky.zip")
    hits = _hits(_members(tmp_path / "leaky.zip"))

    assert {what for what, _ in hits} == SECRETS.keys()
    assert ("primary key", "state/files.json") in hits
    assert ("primary key", f"logs/{SECRETS['primary key']}.log") in hits


def test_a_bundle_is_made_whatever_is_damaged(planted, tmp_path):
    """Damaged state and unreadable logs are named in it, with the reason."""
    for file in (planted.store_file, planted.secrets_file, planted.credentials_file):
        file.write_bytes(file.read_bytes()[:-1])
    planted.switch_file.write_text(SECRETS["primary key"])
    planted.failure_file.write_bytes(b"\xff\x00{")
    planted.logs_dir.joinpath("host.log").unlink()
    planted.logs_dir.joinpath("host.log").mkdir()
    report = write_bundle(planted, tmp_path / "b.zip")
    members = _members(tmp_path / "b.zip")
    missing = json.loads(members["missing.json"])

    assert set(report.missing) == missing.keys()
    assert {"state/store.json", "state/switch.json", "logs/host.log"} <= set(missing)
    assert "is damaged" in missing["state/store.json"]
    assert b"READABLE" in members["logs/last-start.log"]
    assert _hits(members) == []


def test_a_bundle_is_made_where_nothing_was_ever_started(tmp_path):
    """Without any folder it says so, and makes none."""
    settings = make_settings(tmp_path / "none")
    report = write_bundle(settings, tmp_path / "b.zip")

    assert {"versions.json", "hardware.json", "README.txt"} <= set(report.members)
    assert not settings.main.exists()


def test_a_full_disk_leaves_no_half_bundle(planted, tmp_path):
    """The error says that the disk is full, and nothing is left of the bundle."""
    noise = "\n".join(os.urandom(40).hex() for _ in range(20000))
    planted.logs_dir.joinpath("host.log").write_text(noise)
    with small_disk(tmp_path / "small", "64k") as disk:
        with pytest.raises(StateWriteFailed) as caught:
            write_bundle(planted, disk / "b.zip")
        assert list(disk.iterdir()) == []
    assert "No space left" in caught.value.message
    with pytest.raises(InvalidArgument, match="is not a file"):
        write_bundle(planted, tmp_path)


def test_a_bundle_has_a_limit(planted, tmp_path, monkeypatch):
    """Logs are cut to whole lines, and what would be too much is named."""
    line = "x" * 99 + "\n"
    log = planted.logs_dir / "engine-20260103T000000Z.log"
    log.write_text("FIRST\n" + line * 50_000 + "LAST\n")
    write_bundle(planted, tmp_path / "b.zip")
    text = _members(tmp_path / "b.zip")["logs/last-start.log"].decode()
    monkeypatch.setattr(bundle, "SIZE_MAX_BYTES", 100_000)
    report = write_bundle(planted, tmp_path / "small.zip")

    assert text.startswith("FIRST\n")
    assert text.endswith("LAST\n")
    assert "bytes are left out]" in text
    lengths = {len(item) for item in text.splitlines()} - {0, 5, 4}
    assert len(lengths) == 2
    assert "logs/last-start.log" in report.missing
    assert (tmp_path / "small.zip").stat().st_size < 100_000


@pytest.fixture(name="host")
def host_fixture(tmp_path):
    """A host over a fake engine."""
    host = make_fake_host(tmp_path)
    yield host
    host.close()


def test_the_command_works_while_the_service_runs(host, tmp_path):
    """Of a running host the bundle has its processes, and how its health changed."""
    host.select_model()
    host.start()
    file = host.main / "run" / "health-history.jsonl"
    wait_until(
        lambda: file.exists() and '"success"' in file.read_text(),
        20,
        "the host to see it",
    )
    made = host.json("support", "-o", str(tmp_path / "b.zip"), "--json")
    members = _members(tmp_path / "b.zip")
    here = subprocess.run(
        [*host.program, "support"],
        env=host.environment,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    processes = json.loads(members["machine/processes.json"])
    history = json.loads(members["run/health-history.json"])

    assert made["file"] == str(tmp_path / "b.zip")
    assert made["missing"] == []
    (default,) = tmp_path.glob("vllm-pkg-support-*.zip")
    assert here.stdout.startswith(f"Support bundle: {default} (")
    assert len(processes) >= 4
    assert len(history) >= 2
    assert history[-1]["result"] == "success"
    assert host.key().encode() not in b"".join(members.values())
    assert json.loads(members["status.json"])["isRunning"] is True
