"""What the keeper records of a named cause, and what Apply Fix makes of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.hosts.standalone.keeper import Keeper
from vllm_pkg.state.records import (
    FailureRecord,
    SettingChange,
    read_failure,
    write_record,
)
from vllm_pkg.state.store import ModelSelection, load_store, update_store

ENGINE = {"processname": "engine"}
ARGS = ("org/name", "--max-model-len", "9999")
TOO_LONG = (
    "  Value error, User-specified max_model_len (9999) is greater than the derived"
    " max_model_len (max_position_embeddings=2048 or model_max_length=None in model's"
    " config.json). To allow overriding this maximum, set the env var"
)


class ExitedSupervisor:
    """A fake of supervisord's interface, whose engine has ended with 1."""

    def getProcessInfo(self, _: str) -> dict[str, object]:  # noqa: N802
        """Return the exit status."""
        return {"exitstatus": 1}


@pytest.fixture(name="keeper")
def keeper_fixture(tmp_path):
    """A keeper with a model selected whose context is too long."""
    settings = make_settings(tmp_path)
    settings.logs_dir.mkdir(parents=True)
    _select(settings, *ARGS)
    log = settings.logs_dir / "engine.log"
    noise = "INFO 11-21 20:00:01 [a.py:1] nothing\n" * 100_000
    log.write_text(
        f"=== vllm-pkg: engine start x ===\n{TOO_LONG}\n{noise}ValueError: x\n"
    )
    return Keeper(settings, ExitedSupervisor(), FakeClock(), draw=lambda: 0.0)


def _tell(keeper, **changes):
    """Let the daemon, process 7, have written down why it starts nothing."""
    failure = FailureRecord(
        at="t",
        at_s=1.0,
        boot_id=keeper.clock.boot_id(),
        summary="The engine could not be started: no such branch.",
        hint="Leave it out.",
        exit_code=1,
        is_final=False,
        starts=1,
        cause="revision-not-found",
        explanation="There is none.",
        changes=(SettingChange("--revision", is_removed=True),),
        selection=fingerprint(ARGS, ()),
        fix="Leave it out.",
        pid=7,
    )
    write_record(keeper.settings.failure_file, replace(failure, **changes))


def _select(settings, *args):
    selection = ModelSelection("some-preset")
    update_store(settings, lambda store: store.with_model(args, (), selection))


def _fail(keeper):
    keeper.on_event("PROCESS_STATE_STARTING", ENGINE)
    keeper.on_event("PROCESS_STATE_EXITED", ENGINE)


def test_the_cause_is_recorded(keeper):
    """However far above the end it stands: cause, explanation, evidence and change."""
    _fail(keeper)

    failure = read_failure(keeper.settings)
    assert failure is not None
    assert failure.cause == "context-exceeds-model"
    assert failure.explanation == (
        "A context of 9999 tokens was asked for, and the model allows 2048 at most."
    )
    assert failure.summary == (
        f"The engine ended with exit code 1. {failure.explanation}"
    )
    assert failure.hint == (
        "It is not started again. Set --max-model-len to at most 2048. The"
        ' "Apply Fix" action can do it: set --max-model-len to 2048.'
    )
    assert failure.is_final
    assert (failure.evidence or "").startswith("Value error, User-specified")
    assert failure.changes == (SettingChange("--max-model-len", "2048"),)


def test_what_the_daemon_wrote_is_kept(keeper):
    """Its cause, fix and selection stay; the keeper adds what happens next."""
    keeper.on_event("PROCESS_STATE_STARTING", ENGINE)
    _tell(keeper)
    keeper.on_event("PROCESS_STATE_EXITED", ENGINE | {"pid": "7"})

    failure = read_failure(keeper.settings)
    assert failure is not None
    assert failure.summary == "The engine could not be started: no such branch."
    assert failure.hint == "It is started again in 1 s. Leave it out."
    assert (failure.cause, failure.fix) == ("revision-not-found", "Leave it out.")
    assert failure.changes == (SettingChange("--revision", is_removed=True),)
    assert (failure.selection, failure.pid) == (fingerprint(ARGS, ()), None)
    assert failure.log_tail[-1] == "ValueError: x"


@pytest.mark.parametrize("changes", [{"pid": 8}, {"pid": None}, {"boot_id": "other"}])
def test_what_another_one_wrote_is_not_taken_for_it(keeper, changes):
    """Another process, another boot, or the keeper itself: the log tells."""
    keeper.on_event("PROCESS_STATE_STARTING", ENGINE)
    _tell(keeper, **changes)
    keeper.on_event("PROCESS_STATE_EXITED", ENGINE | {"pid": "7"})

    failure = read_failure(keeper.settings)
    assert failure is not None
    assert failure.cause == "context-exceeds-model"


def test_what_is_not_there_is_not_offered(keeper):
    """Of two settings that would help, only the one that is set can be taken away."""
    log = keeper.settings.logs_dir / "engine.log"
    log.write_text("ValueError: World size (8) is larger than the number of available")
    with log.open("a") as stream:
        stream.write(" GPUs (2) in this node.\n")
    _fail(keeper)

    failure = read_failure(keeper.settings)
    assert failure is not None
    assert failure.cause == "too-few-gpus"
    assert failure.changes == (SettingChange("--tensor-parallel-size", "2"),)
    assert failure.hint.endswith("can do it: set --tensor-parallel-size to 2.")


def test_the_fix_is_offered_and_made(keeper):
    """The recorded change applies to what was selected when the engine started."""
    _fail(keeper)
    context = ActionContext(settings=keeper.settings, is_running=True)
    registry.run_action(context, "apply-fix", None)

    assert load_store(keeper.settings).serve_args == (
        *("org/name", "--max-model-len", "2048"),
    )


def test_a_selection_made_meanwhile_is_not_changed(keeper):
    """What was selected after the start is not what failed."""
    keeper.on_event("PROCESS_STATE_STARTING", ENGINE)
    _select(keeper.settings, "org/other", "--max-model-len", "9999")
    keeper.on_event("PROCESS_STATE_EXITED", ENGINE)
    context = ActionContext(settings=keeper.settings, is_running=True)
    (offer,) = (x for x in registry.list_actions(context) if x["id"] == "apply-fix")

    assert offer["visibility"] == "hidden"


@pytest.mark.parametrize("text", ["garbage", json.dumps({"serveArgs": ["m", "--x"]})])
def test_an_unclear_selection_has_no_fix(keeper, text):
    """Without knowing what was started, a change cannot be for it."""
    keeper.settings.store_file.write_text(text)
    _fail(keeper)

    failure = read_failure(keeper.settings)
    assert failure is not None
    assert failure.selection is None
