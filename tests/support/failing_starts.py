"""
A program that starts vLLM wrongly, many times, at the cost of one import.

It imports vLLM's command line once and forks per case; the child becomes ``vllm serve``
with arguments, environment and log of its own. Two things differ from a plain start:
vLLM's own children are forked too, and import nothing again; and huggingface_hub, which
reads its variables once, is told by attribute whether it is offline.

Run as ``python -m support.failing_starts FOLDER``. Input: a JSON list of `StartCase`.
Output: one line of JSON, ``{name: [exit status, seconds]}``, statuses as `subprocess`
gives them. Logs: ``NAME.log`` in the folder.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 60.0
POLL_S = 0.05
_MODULES = (
    "vllm.entrypoints.cli.main",
    "vllm.entrypoints.cli.serve",
    "vllm.entrypoints.cli.benchmark.main",
    "vllm.entrypoints.cli.launch",
    "vllm.entrypoints.cli.openai",
    "vllm.entrypoints.cli.snapshot",
    "vllm.entrypoints.openai.api_server",
    "vllm.v1.engine.async_llm",
    "vllm.v1.engine.core",
    "vllm.v1.executor.multiproc_executor",
    "vllm.v1.worker.cpu_worker",
    "vllm.v1.worker.cpu_model_runner",
    "vllm.model_executor.models.llama",
    "transformers",
)


@dataclass(frozen=True)
class StartCase:
    """
    One start.

    Args:
        name: Names the log.
        arguments: What stands after ``vllm serve``.
        environment: Variables to add.
        is_offline: Whether huggingface_hub may not use the network.
        awaited: Text of the log at which a signal is sent; empty: none is.
        killed: Name of the child that then gets SIGKILL; empty: the engine itself
            gets SIGTERM.
        answers: An address that must have answered 200 before that signal, too; empty:
            none.
    """

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    is_offline: bool = True
    awaited: str = ""
    killed: str = ""
    answers: str = ""


def as_input(cases: Sequence[StartCase]) -> str:
    """Return what the program reads."""
    return json.dumps([asdict(case) for case in cases])


def main() -> None:
    """Run the cases of standard input."""
    folder = Path(sys.argv[1])
    cases = [StartCase(**item) for item in json.load(sys.stdin)]
    original = multiprocessing.get_context
    # vLLM asks for "spawn" on CPU.
    multiprocessing.get_context = lambda _=None: original("fork")  # type: ignore[assignment]
    for name in _MODULES:
        # Where another version keeps it elsewhere, each start imports it anew.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    print(json.dumps({case.name: _run(case, folder) for case in cases}))


def _run(case: StartCase, folder: Path) -> tuple[int, float]:
    log = folder / f"{case.name}.log"
    started_s = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _become_engine(case, log)
    status = _wait(case, pid, log)
    return status, round(time.monotonic() - started_s, 1)


def _become_engine(case: StartCase, log: Path) -> NoReturn:
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(case.environment)
    _set_offline(is_offline=case.is_offline)
    sys.argv = ["vllm", "serve", *case.arguments]
    status = 1
    try:
        importlib.import_module("vllm.entrypoints.cli.main").main()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  # what the interpreter does at the end
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _set_offline(*, is_offline: bool) -> None:
    constants: Any = importlib.import_module("huggingface_hub.constants")
    constants.HF_HUB_OFFLINE = is_offline


def _wait(case: StartCase, pid: int, log: Path) -> int:
    deadline_s = time.monotonic() + TIMEOUT_S
    is_ended, status = 0, 0
    is_signalled = not case.awaited
    while not is_ended and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
        if not is_signalled and log.exists():
            is_logged = case.awaited in log.read_text(errors="replace")
            is_signalled = is_logged and _is_answering(case.answers)
            if is_signalled:
                _signal(case, pid)
        is_ended, status = os.waitpid(pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not is_ended:
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _is_answering(url: str) -> bool:
    if not url:
        return True
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _signal(case: StartCase, pid: int) -> None:
    if not case.killed:
        os.kill(pid, signal.SIGTERM)
        return
    for child in psutil.Process(pid).children(recursive=True):
        if case.killed in child.name():
            child.kill()


if __name__ == "__main__":
    main()
