"""The last steps of the daemon: the record of the start, the recorder, the engine."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from vllm_pkg.engine import processes
from vllm_pkg.engine.command import served_name
from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.engine.last_end import count_memory_kills
from vllm_pkg.engine.phases import Phase
from vllm_pkg.engine.recorder.history import start_id
from vllm_pkg.engine.recorder.log_file import begin_log
from vllm_pkg.errors import EngineError, EngineNotInstalled, StateError
from vllm_pkg.models.uses import keep_use, used_repositories
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.state import records
from vllm_pkg.state.records import StartRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.engine.command import EngineCommand
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.identity import ProcessIdentity
    from vllm_pkg.state.store import Store

_RECORDER: Final = ("-m", "vllm_pkg.engine.recorder")


def begin_start(settings: Settings, store: Store, started_s: float) -> StartRecord:
    """
    Write the record of a start, which the engine's process will go on to be.

    Args:
        settings: Settings in force.
        store: What is served.
        started_s: Seconds since boot at which the daemon started.
    Raises:
        StateWriteFailed: it cannot be written.
    """
    record = StartRecord(
        process=processes.own_identity(),
        started_s=started_s,
        host=settings.host,
        port=settings.port,
        model=served_name(store.serve_args),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        key=start_id(store.serve_args, load_manifest().engine_version),
        phase=Phase.PREPARE.value,
        selection=fingerprint(store.serve_args, store.serve_env),
        memory_kills=count_memory_kills(),
    )
    records.write_record(settings.start_file, record)
    _note_use(settings, store)
    return record


def become_engine(
    settings: Settings,
    program: str,
    command: EngineCommand,
    start: StartRecord,
    lines: Sequence[str],
) -> NoReturn:
    """
    Start the recorder and become the engine.

    Args:
        settings: Settings in force.
        program: The engine's program.
        command: Its arguments and environment.
        start: The record of the start.
        lines: What the daemon has written of this start, for the start's own log.
    Raises:
        EngineNotInstalled: the program cannot be executed.
        EngineError: the recorder cannot be started.
        StateError: the record cannot be written.
    """
    log_file = begin_log(settings.logs_dir, lines, datetime.now(UTC))
    name = None if log_file is None else str(log_file)
    records.update_start(
        settings,
        start.process,
        lambda record: replace(record, log_file=name, phase=Phase.STARTING.value),
    )
    sys.stdout.flush()
    variables = dict(os.environ)
    variables[processes.RECORDER_MARKER] = processes.instance_id(settings.main)
    argv = [sys.executable, *_RECORDER]
    with contextlib.ExitStack() as stack:
        try:
            output = processes.recorded_output(argv, variables, command.key.encode())
            recorder = stack.enter_context(output)
        except OSError as error:
            raise EngineError(
                f"the recorder cannot be started: {error.strerror}"
            ) from error
        _note_recorder(settings, start, recorder)
        try:
            processes.replace_process(
                program, command.argv, command.environment(os.environ)
            )
        except OSError as error:
            # Such as a moved environment: the script's first line names no Python then.
            raise EngineNotInstalled(
                f"{program} cannot be run: {error.strerror}"
            ) from error


def _note_use(settings: Settings, store: Store) -> None:
    names = used_repositories(
        store.serve_args, lambda name: Path(name).expanduser().is_dir()
    )
    # It only sorts a list of models: no reason not to start.
    with contextlib.suppress(StateError):
        keep_use(settings, names, datetime.now(UTC).timestamp())


def _note_recorder(
    settings: Settings, start: StartRecord, recorder: ProcessIdentity
) -> None:
    # Without it a crash in the first moment is told with less of the log: no reason
    # not to start.
    with contextlib.suppress(StateError):
        records.update_start(
            settings, start.process, lambda record: replace(record, recorder=recorder)
        )
