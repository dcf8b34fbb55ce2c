"""
Running the program that transfers until its work is done: watched, and tried again.

The watchdog counts bytes on the disk, not what the program says: a transfer that hangs
in native code says nothing at all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.download.child import Child
from vllm_pkg.models.download.errors import CacheUnwritable, DownloadCancelled
from vllm_pkg.models.download.explain import error_for
from vllm_pkg.models.download.messages import Request
from vllm_pkg.models.download.progress import TransferState
from vllm_pkg.models.download.retry import (
    Cause,
    Failure,
    Tries,
    delay_s,
    most_telling,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from vllm_pkg.clock import Clock
    from vllm_pkg.models.download.listing import Listing, RemoteFile
    from vllm_pkg.models.download.messages import Told

POLL_S: Final = 0.5
PARALLEL: Final = 4
# A line that stands still for this share of the timeout is shown as stalled.
_STALL_SHOWN: Final = 1 / 3
# Words of names that stand for a secret. The Hub's token travels on standard input, and
# no other one is needed: not the key of the API, and none that is meant for the engine.
_SECRET_WORDS: Final = frozenset({"KEY", "TOKEN", "SECRET", "PASSWORD"})
# Where a token is, and whether it is used: no secrets.
_KEPT: Final = frozenset({"HF_TOKEN_PATH", "HF_HUB_DISABLE_IMPLICIT_TOKEN"})
# The caller has decided that the network may be used.
_DROPPED: Final = frozenset({"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"})


@dataclass(frozen=True)
class Circumstances:
    """
    Under what a transfer runs.

    Args:
        cache: The model cache.
        environ: Environment of the program.
        token: Hugging Face token; None: the one that huggingface_hub finds itself.
        stall_timeout_s: After how long without a byte it is started again; 0: never.
        clock: Measures that.
        wait: Waits for some seconds.
        is_cancelled: Whether to end; asked twice a second.
    """

    cache: Path
    environ: Mapping[str, str]
    token: str | None
    stall_timeout_s: float
    clock: Clock
    wait: Callable[[float], None]
    is_cancelled: Callable[[], bool]


@dataclass(frozen=True)
class Work:
    """
    What to transfer.

    Args:
        repo_id: The repository.
        revision: To list, or the commit to fetch from.
        names: None: fetch ``files``; else list, and fetch these where they are listed.
        files: The files to fetch.
        measure: How many bytes of it are on the disk.
        on_tick: Told what goes on, and how many bytes there are, twice a second.
    """

    repo_id: str
    revision: str
    names: tuple[str, ...] | None
    files: tuple[RemoteFile, ...]
    measure: Callable[[], int]
    on_tick: Callable[[TransferState, int], None]


@dataclass
class _Try:
    """What one run of the program has told."""

    listing: Listing | None = None
    failures: list[Failure] = field(default_factory=list)
    checked_bytes: int = 0
    lines: int = 0
    is_end: bool = False

    def add(self, told: Told) -> None:
        self.lines += 1
        self.listing = told.listing or self.listing
        self.checked_bytes += told.checked_bytes
        self.is_end = self.is_end or told.is_end
        if told.failure:
            self.failures.append(told.failure)


def run_transfer(work: Work, circumstances: Circumstances) -> Listing | None:
    """
    Transfer until it is done.

    Returns:
        What was listed, if that was asked for.
    Raises:
        DownloadCancelled: it was cancelled; what has arrived is kept.
        DownloadError: it is given up; the class says why.
    """
    tries = Tries()
    while True:
        before = work.measure()
        done = _try_once(work, circumstances, has_xet=tries.has_xet)
        if not done.failures:
            return done.listing
        failure = most_telling(done.failures)
        tries = tries.after(failure, brought_bytes=work.measure() > before)
        pause_s = delay_s(failure, tries)
        if pause_s is None:
            raise error_for(failure, work.repo_id, work.revision)
        _pause(pause_s, work, circumstances)


def _try_once(work: Work, circumstances: Circumstances, *, has_xet: bool) -> _Try:
    """Run the program once; kill it when it stalls."""
    done = _Try()
    try:
        child = Child(
            _request(work, circumstances), child_environ(circumstances.environ, has_xet)
        )
    except OSError as error:
        raise CacheUnwritable(
            f"the program that downloads cannot be started: {error.strerror}",
            hint="check free memory, and the installation",
        ) from error
    with child:
        if not _watch(child, work, circumstances, done):
            done.failures.append(Failure(Cause.STALLED, ""))
        elif not done.is_end and not done.failures:
            code = child.exit_code
            done.failures.append(Failure(Cause.CRASHED, f"exit code {code}"))
    return done


def _watch(child: Child, work: Work, circumstances: Circumstances, done: _Try) -> bool:
    """Watch the program until it ends or cannot succeed; return False on a stall."""
    clock, timeout_s = circumstances.clock, circumstances.stall_timeout_s
    moved_s, seen = clock.now_s(), (-1, 0, 0)
    while True:
        if circumstances.is_cancelled():
            raise DownloadCancelled(f"the download of {work.repo_id} was cancelled")
        lines = child.read(POLL_S)
        for told in lines or ():
            done.add(told)
        size_bytes = work.measure()
        now_s, found = clock.now_s(), (size_bytes, done.checked_bytes, done.lines)
        if found != seen:
            moved_s, seen = now_s, found
        still_s = now_s - moved_s
        is_slow = timeout_s > 0 and still_s >= timeout_s * _STALL_SHOWN
        state = TransferState.STALLED if is_slow else TransferState.DOWNLOADING
        work.on_tick(state, size_bytes)
        if lines is None or any(failure.is_final for failure in done.failures):
            return True
        if 0 < timeout_s <= still_s:
            return False


def _pause(pause_s: float, work: Work, circumstances: Circumstances) -> None:
    ending_s = circumstances.clock.now_s() + pause_s
    while (left_s := ending_s - circumstances.clock.now_s()) > 0:
        if circumstances.is_cancelled():
            raise DownloadCancelled(f"the download of {work.repo_id} was cancelled")
        work.on_tick(TransferState.WAITING, work.measure())
        circumstances.wait(min(POLL_S, left_s))


def _request(work: Work, circumstances: Circumstances) -> Request:
    return Request(
        cache=str(circumstances.cache),
        repo_id=work.repo_id,
        revision=work.revision,
        is_listing=work.names is not None,
        names=work.names or (),
        files=work.files,
        token=circumstances.token,
        parallel=PARALLEL,
        timeout_s=circumstances.stall_timeout_s or None,
        parent_pid=os.getpid(),
    )


def child_environ(environ: Mapping[str, str], has_xet: bool) -> dict[str, str]:  # noqa: FBT001
    """
    Return the environment of the program that transfers: without any secret.

    Args:
        environ: The engine's, which holds the key of the API.
        has_xet: Whether it may use Xet.
    """
    kept = {
        name: text
        for name, text in environ.items()
        if name not in _DROPPED and not _is_secret(name)
    }
    kept |= {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        # A second copy of what is downloaded, outside of the model cache.
        "HF_XET_CHUNK_CACHE_SIZE_BYTES": "0",
    }
    return kept if has_xet else kept | {"HF_HUB_DISABLE_XET": "1"}


def _is_secret(name: str) -> bool:
    words = name.upper().split("_")
    return name not in _KEPT and not _SECRET_WORDS.isdisjoint(words)
