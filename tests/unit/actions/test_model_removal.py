"""What the service needs of the cache, and what may therefore not be removed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys

import pytest

from support.model_cache import ONE, TWO, add_revision
from support.settings_factory import make_settings
from vllm_pkg.actions import model_removal
from vllm_pkg.actions.model_removal import models_in_use, remove, running_arguments
from vllm_pkg.clock import BootClock
from vllm_pkg.errors import ModelInUse
from vllm_pkg.models.cache import list_cached
from vllm_pkg.models.deletion_plan import plan_deletion
from vllm_pkg.state.identity import ProcessIdentity, started_ticks
from vllm_pkg.state.records import StartRecord, write_record
from vllm_pkg.state.store import ModelSelection, load_store, update_store


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings over a cache with a model of two revisions, and a data set."""
    settings = make_settings(tmp_path)
    for name in ("models--org--name", "datasets--org--name"):
        folder = settings.models_dir / name
        add_revision(folder, ONE, {"a.bin": b"a"}, ("main",))
        add_revision(folder, TWO, {"b.bin": b"b"}, ("v2",))
    return settings


def select(settings, *serve_args):
    """Select a model by its arguments."""
    chosen = ModelSelection("custom")
    update_store(settings, lambda store: store.with_model(serve_args, (), chosen))


def used(settings):
    """Return which revisions of the model are in use."""
    in_use = models_in_use(settings)
    (model,) = (item for item in list_cached(settings) if item.key == "org/name")
    found = {
        item.commit for item in model.revisions if in_use.uses_revision(model, item)
    }
    assert in_use.uses(model) is bool(found)
    return found


@pytest.mark.parametrize(
    ("serve_args", "commits"),
    [
        ((), set()),
        (("big/one",), set()),
        (("org/name",), {ONE}),
        (("org/name", "--revision", "v2"), {TWO}),
        (("org/name", "--revision", TWO), {TWO}),
        (("org/name", "--revision=v9"), {ONE, TWO}),
        (("big/one", "--revision", "x", "--tokenizer", "org/name"), {ONE, TWO}),
        (("big/one", "--speculative-config", '{"model": "org/name"}'), {ONE}),
        (
            (
                "big/one",
                "--speculative-config",
                '{"model": "org/name", "revision": "v2"}',
            ),
            {TWO},
        ),
        (("org/name", "--tokenizer", "org/name", "--tokenizer-revision", "v2"), None),
    ],
)
def test_which_revisions_are_in_use(settings, serve_args, commits):
    """What arguments mean is in use; where it is not there, any revision may be."""
    select(settings, *serve_args)
    assert used(settings) == ({ONE, TWO} if commits is None else commits)


def test_a_data_set_of_the_same_name_is_not_in_use(settings):
    """Only models are served."""
    select(settings, "org/name")
    remove(settings, plan_deletion(settings, "dataset/org/name"))
    assert not (settings.models_dir / "datasets--org--name").exists()


def start_engine(settings, *arguments):
    """Start a program with the command line of an engine, and write its record."""
    sleep = "import signal; signal.sigwait([signal.SIGTERM])"
    process = subprocess.Popen([sys.executable, "-c", sleep, *arguments])
    ticks = started_ticks(process.pid)
    assert ticks is not None
    identity = ProcessIdentity(process.pid, ticks, BootClock().boot_id())
    settings.run_dir.mkdir(parents=True)
    record = StartRecord(identity, 1.0, "127.0.0.1", 1, "name")
    write_record(settings.start_file, record)
    return process


def test_what_is_served_is_in_use_whatever_is_selected(settings):
    """After another selection the old engine still serves its own model."""
    process = start_engine(settings, "vllm", "serve", "org/name", "--port", "1")
    try:
        select(settings, "big/one")
        assert running_arguments(settings) == ("org/name", "--port", "1")
        assert used(settings) == {ONE}
        with pytest.raises(ModelInUse, match="org/name is being served"):
            remove(settings, plan_deletion(settings, "org/name"), may_clear=True)
        assert load_store(settings).serve_args == ("big/one",)
        remove(settings, plan_deletion(settings, "org/name", "v2"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert running_arguments(settings) == ()
    remove(settings, plan_deletion(settings, "org/name"))


def test_another_program_serves_nothing(settings, monkeypatch, tmp_path):
    """A daemon that is still preparing has no arguments of an engine."""
    process = start_engine(settings, "vllm_pkg", "daemon")
    try:
        assert running_arguments(settings) == ()
        monkeypatch.setattr(model_removal, "PROC", tmp_path)
        assert running_arguments(settings) == ()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        shutil.rmtree(settings.run_dir)
