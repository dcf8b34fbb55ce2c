"""T28: the Hugging Face token of a whole host is where it belongs, and nowhere else."""

from __future__ import annotations

import json
import os

import psutil
import pytest

from support.fake_host import make_fake_host
from support.hub_server import HubServer

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

CANARY = "hf_CANARYcanaryCANARY"
ACTION = ("action", "run", "hugging-face-token", "--input", "-")


@pytest.fixture(name="hub", scope="module")
def hub_fixture(tmp_path_factory):
    """A Hub that knows the canary."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "config.json").write_text("{}")
    with HubServer() as server:
        server.add("org/gated", folder, is_gated=True)
        server.add_token(CANARY, "alice")
        yield server


@pytest.fixture(name="host")
def host_fixture(tmp_path, hub):
    """A host that asks the test's Hub; its volumes do not exist yet."""
    host = make_fake_host(tmp_path)
    host.variables["HF_ENDPOINT"] = hub.url
    yield host
    host.close()


def entered(token, *, test_only=False):
    """Return the input of the action."""
    value = {"token": token, "repository": "org/gated", "testOnly": test_only}
    return json.dumps(value)


def files_below(host):
    """Return the content of every file of the volumes and of the host's own log."""
    found = {}
    for folder in (host.main, host.public):
        for parent, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(parent, name)  # noqa: PTH118
                if os.path.isfile(path):  # noqa: PTH113
                    with open(path, "rb") as stream:  # noqa: PTH123
                        found[os.path.relpath(path, host.folder)] = stream.read()
    found["run.log"] = (host.folder / "run.log").read_bytes()
    return found


def processes_of(host, engine):
    """Return command line and environment of each process, the engine's left out."""
    assert host.process is not None
    family = psutil.Process(host.process.pid)
    return {
        f"process {one.pid}": f"{one.cmdline()} {one.environ()}".encode()
        for one in (family, *family.children(recursive=True))
        if one.pid != engine
    }


def outputs_of(host):
    """Return what the commands print that may show a part of the state."""
    commands = {
        "status": None,
        "status --json": None,
        "daemon --print": None,
        "health --json": None,
        "key list": None,
        "model list --json": None,
        "action list": None,
        "action input hugging-face-token": None,
        "logs": None,
        " ".join(ACTION): entered("hf_CANARY canary CANARY"),
        " ".join((*ACTION, "--json")): entered(f"{CANARY}x"),
    }
    found = {}
    for command, text in commands.items():
        done = host.command(*command.split(), stdin=text)
        found[command] = f"{done.stdout}{done.stderr}".encode()
    return found


def test_t28_the_hub_token_is_in_the_environment_of_the_engine_alone(host, guarantee):
    """T28: saved through the action, it is in no log, output, argument or record."""
    host.json("init", "--kind", "install", "--json")
    tested = host.command(*ACTION, stdin=entered(CANARY, test_only=True))
    saved = host.command(*ACTION, stdin=entered(CANARY))
    host.select_model()
    host.start()
    host.wait_result("success")
    (start,) = host.fake.starts()
    texts = {"tested": f"{tested.stdout}{tested.stderr}".encode()}
    texts["saved"] = f"{saved.stdout}{saved.stderr}".encode()
    texts |= processes_of(host, start["pid"]) | outputs_of(host) | files_below(host)
    hits = {name for name, text in texts.items() if b"CANARY" in text}
    texts["arguments"] = " ".join(start["argv"]).encode()
    guarantee(
        "T28",
        "The Hugging Face token is only in secrets.json and the engine's environment",
        tried=len(texts),
        violations=len(hits - {"main/secrets.json"}),
        unit="command lines, environments, files and outputs",
        control="it is found in secrets.json, and with --show-secrets",
    )

    assert json.loads(saved.stdout)["title"] == "Hugging Face Token Saved"
    assert hits == {"main/secrets.json"}
    assert start["env"]["HF_TOKEN"] == CANARY
    assert CANARY not in " ".join(start["argv"])
    shown = host.command("daemon", "--print", "--show-secrets").stdout
    assert json.loads(shown)["env"]["HF_TOKEN"] == CANARY
    assert (host.main / "secrets.json").stat().st_mode & 0o777 == 0o600
