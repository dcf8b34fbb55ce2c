"""T28: rights of files and folders, over a whole host with a fake engine."""

from __future__ import annotations

import json
import os

import psutil
import pytest

from support.fake_vllm import make_fake_vllm
from support.service import Service, free_port
from vllm_pkg.engine.processes import instance_id

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

KEY = "CANARYcanaryCANARY1234"


class FakeHost(Service):
    """A whole host over a fake engine."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this instance."""
        return super().environment | {"VLLM_PKG_VARIANT": "cpu"}


@pytest.fixture(name="host")
def host_fixture(tmp_path):
    """A host whose volumes do not exist yet."""
    fake = make_fake_vllm(tmp_path / "fake")
    host = FakeHost(tmp_path, free_port(), fake.program)
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


@pytest.mark.parametrize("umask", [0o000, 0o077], indirect=True, ids=["000", "077"])
def test_t28_modes_are_private_under_any_umask(host, umask, guarantee):
    """T28: a run with a key action and a restart leaves nothing others can read."""
    host.json("init", "--kind", "install", "--json")
    (host.main / "store.json").write_text(json.dumps({"serveArgs": ["org/name"]}))
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
    host.main.mkdir()
    (host.main / "store.json").write_text(json.dumps({"serveArgs": ["org/name"]}))
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
