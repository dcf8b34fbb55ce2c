"""What the daemon writes down of a download that fails: the cause, and what helps."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace

import pytest

from support import hub_faults
from support.daemons import Daemon
from support.downloads import write_model
from support.fake_vllm import make_fake_vllm
from support.hub_server import HubServer
from support.small_disk import small_disk
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.state import records
from vllm_pkg.state.records import SettingChange

TINY = "org/tiny"
GATED = "org/gated"
TOKEN = "of-somebody"  # noqa: S105  # of an account of that Hub
ACTION = 'the "Hugging Face Token" action'
LATER = hub_faults.status(503, Retry_After="3600")
NO_REVISION = SettingChange("--revision", is_removed=True)


@dataclass(frozen=True)
class Case:
    """
    One start that cannot download its model.

    Args:
        arguments: What is to be served.
        code: The exit code that follows.
        cause: The cause that is named.
        words: What the hint says.
        token: The Hugging Face token; empty: none.
        fault: What the Hub does wrong.
        changes: The settings that would help.
    """

    arguments: tuple[str, ...]
    code: int
    cause: str
    words: str
    token: str = ""
    fault: hub_faults.Fault | None = None
    changes: tuple[SettingChange, ...] = ()


CASES = (
    Case((GATED,), 77, "model-gated", f"set a token of that account with {ACTION}"),
    Case((GATED,), 77, "model-gated", f"{ACTION} tells whether", token=TOKEN),
    Case((TINY,), 77, "hub-token-invalid", f"with {ACTION}", token="bad"),  # noqa: S106
    Case(("org/none",), 77, "model-not-found", f"may read it with {ACTION}"),
    Case(("org/none",), 78, "model-not-found", "Check the name", token=TOKEN),
    Case(
        (TINY, "--revision", "v9", "--enforce-eager"),
        *(78, "revision-not-found", '"Apply Fix" action can do it: remove --revision.'),
        changes=(NO_REVISION,),
    ),
    # Of several revisions the one that is wrong is taken away.
    Case(
        (TINY, "--revision", "main", "--tokenizer-revision", "v9"),
        *(78, "revision-not-found", "can do it: remove --tokenizer-revision."),
        changes=(replace(NO_REVISION, name="--tokenizer-revision"),),
    ),
    Case(
        *((TINY,), 75, "hub-rate-limited", ACTION),
        fault=hub_faults.rate_limited(3600),
    ),
    Case((TINY,), 75, "hub-unreachable", "network", fault=LATER),
)


@pytest.fixture(name="hub")
def hub_fixture(tmp_path):
    """A Hub with the tiny model, open and gated, and an account without access."""
    with HubServer() as hub:
        folder = write_model(tmp_path / "served")
        hub.add(TINY, folder)
        hub.add(GATED, folder, is_gated=True)
        hub.add_token(TOKEN, "somebody")
        yield hub


@pytest.fixture(name="make_daemon")
def make_daemon_fixture(tmp_path, hub):
    """Return daemons that fetch from that Hub, under a host that seems to run."""
    daemons = []

    def make(folder=tmp_path):
        daemon = Daemon(folder, make_fake_vllm(tmp_path / "fake"))
        # A token of whoever runs the tests is none of theirs.
        home = str(tmp_path / "hf")
        daemon.variables |= {"HF_HUB_OFFLINE": "", "HF_TOKEN": "", "HF_HOME": home}
        daemon.variables |= {"HF_ENDPOINT": hub.url}
        host = records.HostRecord(own_identity(), "127.0.0.1", 1, "/s")
        records.write_record(daemon.settings.host_file, host)
        daemons.append(daemon)
        return daemon

    yield make
    for daemon in daemons:
        daemon.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.cause}-{case.code}")
def test_a_failed_download_has_a_cause(make_daemon, hub, case):
    """Record, status and health name it, with what to do and what to change."""
    daemon = make_daemon()
    if case.fault is not None:
        hub.fail(TINY, hub_faults.API, case.fault)
    daemon.variables["HF_TOKEN"] = case.token
    daemon.select(*case.arguments)

    process = daemon.start()
    code = process.wait(60)

    failure = records.read_failure(daemon.settings)
    assert failure is not None
    assert (code, failure.cause) == (case.code, case.cause)
    assert case.words in failure.hint
    assert failure.changes == case.changes
    assert ("Apply Fix" in failure.hint) is bool(case.changes)
    assert (failure.explanation or "").endswith(".")
    assert failure.pid == process.pid
    _, message = daemon.health()
    assert f"{failure.summary} {failure.hint}" in message
    status = subprocess.run(
        [*daemon.fake.program, "status", "--json"],
        env=os.environ | daemon.variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(status.stdout)["lastFailure"]["cause"] == case.cause
    assert daemon.fake.starts() == []


def test_the_control_is_fetched(make_daemon):
    """The same daemon starts its engine when nothing is wrong, and records nothing."""
    daemon = make_daemon()
    daemon.select(TINY)

    daemon.start()
    daemon.wait_engine()

    assert records.read_failure(daemon.settings) is None


def test_a_disk_that_is_too_small_has_a_cause(make_daemon, tmp_path):
    """What is missing and what could go are told; the exit code says: not again."""
    with small_disk(tmp_path / "disk", "2m") as folder:
        daemon = make_daemon(folder)
        daemon.select(TINY)
        code = daemon.start().wait(60)
        failure = records.read_failure(daemon.settings)

    assert failure is not None
    assert (code, failure.cause) == (73, "disk-full")
    assert "are missing" in failure.summary
    assert failure.hint == (
        "Free some disk space, or use a larger disk; no other model is cached."
    )
