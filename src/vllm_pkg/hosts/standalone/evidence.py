"""
What is kept of an engine that is stuck, before it is ended.

One folder per time, under ``logs/``: what its processes do, with their stacks where
py-spy is installed, the memory, its own counters, and the end of its log.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine import processes
from vllm_pkg.errors import ServiceError
from vllm_pkg.health.watcher import read_metrics
from vllm_pkg.hosts.standalone.config import ENGINE_LOG
from vllm_pkg.hosts.standalone.log_files import last_lines
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    import psutil

    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import StartRecord

FOLDER_PREFIX: Final = "stuck-"
FOLDERS_KEPT: Final = 5
LOG_SIZE_BYTES: Final = 256 * 1024
DUMP_TIMEOUT_S: Final = 15.0
_MEMORY_FILE: Final = Path("/proc/meminfo")


def keep_evidence(settings: Settings, start: StartRecord) -> Path:
    """
    Write down what can be known of a stuck engine, and drop what is too old.

    What cannot be found out is left out: the restart must not wait for it.

    Args:
        settings: Where logs go, and which instance it is.
        start: The engine's start.
    Returns:
        The folder.
    Raises:
        StateWriteFailed: it cannot be written.
    """
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    folder = settings.logs_dir / f"{FOLDER_PREFIX}{now}"
    atomic.make_folder(folder)
    _drop_old(settings.logs_dir)
    found = processes.find_engine_processes(processes.instance_id(settings.main))
    _keep(folder / "processes.txt", lambda: "".join(_describe(one) for one in found))
    _keep(folder / "memory.txt", lambda: _MEMORY_FILE.read_text(encoding="ascii"))
    _keep(folder / "metrics.txt", lambda: read_metrics(settings, start) or "")
    _keep(folder / ENGINE_LOG, lambda: _log_end(settings.logs_dir / ENGINE_LOG))
    for process in found:
        _keep(folder / f"stack-{process.pid}.txt", partial(_stack, process.pid))
    return folder


def _keep(file: Path, collect: Callable[[], str]) -> None:
    try:
        text = collect()
    except (OSError, ServiceError) as error:
        text = f"not available: {error}\n"
    atomic.write_file(file, text.encode())


def _describe(process: psutil.Process) -> str:
    import psutil  # noqa: PLC0415

    try:
        with process.oneshot():
            times = process.cpu_times()
            return (
                f"pid {process.pid}, parent {process.ppid()}, {process.name()},"
                f" {process.status()}, {process.num_threads()} threads,"
                f" {process.memory_info().rss} bytes,"
                f" {times.user + times.system:.2f} s of processor time\n"
            )
    except psutil.Error as error:
        return f"pid {process.pid}: {error}\n"


def _log_end(log: Path) -> str:
    return "\n".join(last_lines(log, LOG_SIZE_BYTES)) + "\n"


def _stack(pid: int) -> str:
    program = _dump_program()
    if program is None:
        return "py-spy is not installed\n"
    with tempfile.TemporaryDirectory(prefix="vllm-pkg-") as folder:
        output = Path(folder) / "stack"
        # Without a stop of the process: it may be one that cannot be stopped.
        argv = [program, "dump", "--nonblocking", "--pid", str(pid)]
        processes.run_command(argv, log_file=output, timeout_s=DUMP_TIMEOUT_S)
        return output.read_text(encoding="utf-8", errors="replace")


def _dump_program() -> str | None:
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy")


def _drop_old(logs: Path) -> None:
    folders = sorted(logs.glob(f"{FOLDER_PREFIX}*"))
    for folder in folders[:-FOLDERS_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
