"""T28: rights of files and folders, over a whole host with a fake engine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import psutil
import pytest

from support import hub_faults
from support.canary import with_key
from support.daemons import Daemon
from support.downloads import write_model
from support.fake_host import make_fake_host
from support.fake_vllm import make_fake_vllm
from support.hub_server import HubServer
from support.waiting import wait_until
from vllm_pkg.engine.processes import instance_id
from vllm_pkg.models.download.worker import MODULE
from vllm_pkg.models.tiny import tiny_files

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

KEY = "CANARYcanaryCANARY1234"


VARIABLES = [
    {"name": "PLAIN_NOTE", "value": "seen-by-everybody"},
    {"name": "OTHER_SERVICE_TOKEN", "value": "CANARY-of-the-user"},
]


# A fault that nobody has thought of, where a command holds the key in its hands.
BROKEN = """\
import sys
from vllm_pkg.cli import key, main
def explode(text):
    raise RuntimeError("it broke")
key.print_text = explode
sys.argv = ["vllm-pkg", "key", "show"]
main.run()
"""


@pytest.fixture(name="host")
def host_fixture(tmp_path):
    """A host whose volumes do not exist yet."""
    host = make_fake_host(tmp_path)
    yield host
    host.close()


@pytest.fixture(name="umask")
def umask_fixture(request):
    """Run the test, and all it starts, under a umask."""
    earlier = os.umask(request.param)
    yield request.param
    os.umask(earlier)


def _modes(host) -> dict[str, int]:
    found = {}
    for volume in (host.main, host.public):
        for folder, _, names in os.walk(volume):
            found[folder] = os.lstat(folder).st_mode & 0o777
            for name in names:
                path = os.path.join(folder, name)  # noqa: PTH118
                if not os.path.islink(path):  # noqa: PTH114
                    found[path] = os.lstat(path).st_mode & 0o777
    return found


@pytest.fixture(name="hub")
def hub_fixture(tmp_path):
    """A Hub that serves ``org/next``, and never brings its tokenizer."""
    with HubServer() as hub:
        hub.add("org/next", write_model(tmp_path / "served", tiny_files()))
        hub.fail("org/next", "tokenizer.json", hub_faults.stall(0))
        yield hub


@pytest.mark.parametrize("umask", [0o000, 0o077], indirect=True, ids=["000", "077"])
def test_t28_modes_are_private_under_any_umask(host, umask, guarantee):
    """T28: a run with a key action and a restart leaves nothing others can read."""
    host.json("init", "--kind", "install", "--json")
    host.select_model()
    host.start()
    host.wait_result("success")
    host.json("key", "add", "laptop", "--json")
    while_running = _modes(host)
    host.interrupt()
    modes = while_running | _modes(host)
    loose = {path: f"{mode:o}" for path, mode in modes.items() if mode & 0o077}
    guarantee(
        "T28",
        "No file or folder of the volumes is open to other users, under any umask",
        tried=len(modes),
        violations=len(loose),
        unit=f"files and folders, umask {umask:03o}",
        control="under umask 000 the test's own log is 0666, and is seen",
    )

    assert loose == {}
    assert len(modes) > 15
    own_mode = (host.folder / "run.log").stat().st_mode & 0o777
    assert own_mode == 0o666 & ~umask


def test_t28_only_the_engine_gets_the_key(host, guarantee):
    """T28: the key is in the engine's environment, and in no other process's."""
    host.public.mkdir()
    (host.public / "credentials.json").write_text(json.dumps({"apiKey": KEY}))
    host.select_model()
    host.start()
    host.wait_result("success")
    (start,) = [
        json.loads(line)
        for line in (host.folder / "fake" / "starts").read_text().splitlines()
    ]
    assert host.process is not None
    family = psutil.Process(host.process.pid)
    others = [
        process
        for process in (family, *family.children(recursive=True))
        if process.pid != start["pid"]
    ]
    hits = [
        process.pid
        for process in others
        if KEY in f"{process.environ()} {process.cmdline()}"
    ]
    guarantee(
        "T28",
        "The key is in the environment of the engine alone",
        tried=len(others),
        violations=len(hits),
        unit="processes of the host",
        control="the engine's own environment has it",
    )

    assert start["env"]["VLLM_API_KEY"] == KEY
    assert KEY not in " ".join(start["argv"])
    assert start["env"]["VLLM_PKG_ENGINE"] == instance_id(host.main)
    assert len(others) >= 3
    assert hits == []


@pytest.fixture(name="daemon")
def daemon_fixture(tmp_path):
    """A daemon under StartOS whose engine tells its command line, as vLLM may."""
    daemon = Daemon(tmp_path, make_fake_vllm(tmp_path / "fake"))
    daemon.settings.credentials_file.write_text(json.dumps({"apiKey": KEY}))
    daemon.under_startos()
    daemon.variables["FAKE_MODE"] = "tell"
    daemon.select("org/name")
    yield daemon
    daemon.close()


def test_t28_under_startos_the_log_does_not_show_the_key(daemon, guarantee):
    """T28: the command line has it there, and what an engine tells of it has not."""
    daemon.start()
    argv = daemon.wait_engine()["argv"]
    log = wait_until(
        lambda: next(iter(daemon.settings.logs_dir.glob("engine-*.log")), None),
        20,
        "the log",
    )
    wait_until(lambda: _is_told(log.read_bytes()), 20, "the log's end")
    wait_until(lambda: _is_told(daemon.output.read_bytes()), 20, "the output's end")
    texts = {
        str(path): path.read_bytes()
        for path in (*daemon.settings.main.rglob("*"), daemon.output, daemon.errors)
        if path.is_file()
    }
    hits = with_key(texts)
    guarantee(
        "T28",
        "Under StartOS the key is in no log and no record, whatever the engine writes",
        tried=len(texts),
        violations=len(hits),
        unit="files and outputs",
        control="the engine wrote its command line, and the key was in it",
    )

    assert KEY in argv
    assert hits == []
    for path in (log, daemon.output):
        assert path.read_bytes().endswith(b"--api-key ***\n")


def test_t28_the_engine_gets_no_secret_of_another_program(daemon, guarantee):
    """T28: what the host exports for others stays out; what is meant for it comes."""
    strange = ("AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "GITHUB_TOKEN", "DB_PASSWORD")
    store = json.loads(daemon.settings.store_file.read_text())
    meant = {"name": "S3_SECRET_ACCESS_KEY", "value": "meant"}
    daemon.settings.store_file.write_text(json.dumps(store | {"serveEnv": [meant]}))
    daemon.variables |= dict.fromkeys((*strange, "S3_SECRET_ACCESS_KEY"), "strange")
    daemon.variables["HTTPS_PROXY"] = "http://proxy"
    daemon.start()
    env = daemon.wait_engine()["env"]
    hits = [name for name, value in env.items() if value == "strange"]
    guarantee(
        "T28",
        "No secret that the host exports for another program reaches the engine",
        tried=len(strange),
        violations=len(hits),
        unit="variables",
        control="one that is set for the model, and the host's proxy, do",
    )

    assert hits == []
    assert env["S3_SECRET_ACCESS_KEY"] == meant["value"]
    assert env["HTTPS_PROXY"] == "http://proxy"


def _is_told(text):
    return b"launched with command:" in text and text.endswith(b"\n")


@pytest.mark.parametrize("when", ["start", "switch"])
def test_t28_a_transfer_gets_no_secret(host, hub, when, guarantee):
    """T28: the program that downloads has neither the key nor a secret of the user."""
    host.variables |= {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": ""}
    host.public.mkdir()
    (host.public / "credentials.json").write_text(json.dumps({"apiKey": KEY}))
    if when == "start":
        host.main.mkdir()
        store = {"serveArgs": ["org/next"], "serveEnv": VARIABLES}
        (host.main / "store.json").write_text(json.dumps(store))
        host.start()
    else:
        host.select_model()
        host.start()
        host.wait_result("success")
        value = {"args": "org/next", "env": VARIABLES}
        document = {"config": {"selection": "custom", "value": value}}
        arguments = ("action", "run", "set-model", "--input", "-")
        host.json(*arguments, stdin=json.dumps(document))

    found = wait_until(lambda: _of_transfer(host, hub), 60, "a transfer that waits")
    secrets = [KEY, *(item["value"] for item in VARIABLES[1:])]
    hits = [secret for secret in secrets if secret in found]
    guarantee(
        "T28",
        "The program that downloads has neither the key nor another secret",
        tried=len(secrets),
        violations=len(hits),
        unit=f"secrets, looked for in its environment and arguments during a {when}",
        control="a variable of the user that is no secret is found there",
    )

    assert hits == []
    assert VARIABLES[0]["value"] in found
    if when == "switch":
        assert host.fake.starts()[0]["env"]["VLLM_API_KEY"] == KEY


def _of_transfer(host, hub) -> str:
    """Return what is known of a transfer that waits for the Hub; empty: none does."""
    waits = any("tokenizer.json" in request.path for request in hub.requests)
    assert host.process is not None
    for process in psutil.Process(host.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if waits and MODULE in process.cmdline():
                return f"{process.cmdline()} {process.environ()}"
    return ""


def test_t28_loose_modes_are_repaired_before_the_engine_starts(host, guarantee):
    """T28: what a backup or a careless hand has opened is closed at the next start."""
    host.json("init", "--kind", "install", "--json")
    host.select_model()
    host.json("key", "add", "laptop", "--json")
    loose = {
        host.main: 0o777,
        host.main / "logs": 0o755,
        host.main / "run": 0o755,
        host.main / "store.json": 0o664,
        host.main / "secrets.json": 0o644,
        host.public: 0o755,
        host.public / "credentials.json": 0o666,
    }
    for path, mode in loose.items():
        if not path.suffix:
            path.mkdir(exist_ok=True)
        path.chmod(mode)
    seen = {path.stat().st_mode & 0o077 for path in loose}
    host.start()
    host.wait_result("success")
    left = {
        str(path): f"{path.stat().st_mode & 0o777:o}"
        for path in loose
        if path.stat().st_mode & 0o077
    }
    listed = host.json("key", "list", "--json")["keys"]
    guarantee(
        "T28",
        "Files and folders that were opened to other users are closed before a start",
        tried=len(loose),
        violations=len(left),
        unit="files and folders",
        control="before the start each of them was open",
    )

    assert 0 not in seen
    assert left == {}
    assert "laptop" in {key["name"] for key in listed}


def test_t28_tracebacks_do_not_show_the_key(host, guarantee):
    """T28: a fault while a command holds the key tells its line and not its values."""
    host.public.mkdir()
    (host.public / "credentials.json").write_text(json.dumps({"apiKey": KEY}))
    printed = {
        debug: subprocess.run(
            [sys.executable, "-c", BROKEN],
            env=host.environment | {"VLLM_PKG_DEBUG": debug},
            capture_output=True,
            text=True,
            check=False,
        )
        for debug in ("", "1")
    }
    texts = {debug: done.stdout + done.stderr for debug, done in printed.items()}
    hits = [debug for debug, text in texts.items() if KEY in text]
    guarantee(
        "T28",
        "No traceback of our programs shows the key",
        tried=len(printed),
        violations=len(hits),
        unit="faults, with and without VLLM_PKG_DEBUG",
        control="without the fault the same command prints the key",
    )

    assert hits == []
    assert "Traceback" in texts["1"]
    assert "Traceback" not in texts[""]
    assert "it broke" in texts[""]
    assert host.command("key", "show").stdout.strip() == KEY
