"""
The program that transfers: ``python -m vllm_pkg.models.download.worker``.

A process of its own, because a transfer that hangs in native code can only be killed,
and because Xet is switched off before the program starts or not at all. It is told what
to do by one line on standard input and tells by lines on standard output.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.download.hub_api import list_repository
from vllm_pkg.models.download.layout import RepositoryFolder
from vllm_pkg.models.download.messages import Told, parse_request
from vllm_pkg.models.download.receiver import Receiver
from vllm_pkg.models.download.worker_errors import describe_failure
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from vllm_pkg.models.download.listing import RemoteFile
    from vllm_pkg.models.download.messages import Request

MODULE: Final = "vllm_pkg.models.download.worker"
_PR_SET_PDEATHSIG: Final = 1
_CHECKED_STEP_BYTES: Final = 64 * 1024**2


class Speaker:
    """Tells what happens, one line each, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked_bytes = 0

    def tell(self, told: Told) -> None:
        """Write one line."""
        with self._lock:
            print(told.as_line(), flush=True)  # noqa: T201  # the parent reads it

    def count_checked(self, size_bytes: int) -> None:
        """Tell now and then how much was read of what had arrived before."""
        with self._lock:
            self._checked_bytes += size_bytes
            checked = self._checked_bytes
            if checked < _CHECKED_STEP_BYTES:
                return
            self._checked_bytes = 0
        self.tell(Told(checked_bytes=checked))


def main() -> int:
    """
    Do what standard input says.

    Returns:
        0; what went wrong was told.
    """
    request = parse_request(sys.stdin.buffer.readline())
    _end_with(request.parent_pid)
    speaker = Speaker()
    try:
        if request.is_listing:
            listing = list_repository(request)
            speaker.tell(Told(listing=listing))
            files, commit = listing.select(request.names), listing.commit
        else:
            files, commit = request.files, request.revision
        fetch_files(request, commit, files, speaker)
    except Exception as error:  # noqa: BLE001  # the parent decides about all of them
        speaker.tell(Told(failure=describe_failure(error)))
    speaker.tell(Told(is_end=True))
    return 0


def fetch_files(
    request: Request, commit: str, files: tuple[RemoteFile, ...], speaker: Speaker
) -> None:
    """Fetch some files of a commit, a few at a time, and tell what goes wrong."""
    folder = RepositoryFolder(Path(request.cache), request.repo_id)
    for path in (folder.path / "blobs", folder.snapshot(commit), folder.own_path):
        atomic.make_folder(path)
    receiver = Receiver(request, folder, commit, speaker.count_checked)

    def fetch(file: RemoteFile) -> None:
        try:
            receiver.receive(file)
        except Exception as error:  # noqa: BLE001  # each has its cause
            failure = describe_failure(error, file.name)
            if failure.is_final:
                # The others would fail too, or be of no use.
                receiver.stop()
            if not receiver.is_stopped or failure.is_final:
                speaker.tell(Told(failure=failure))

    with ThreadPoolExecutor(request.parallel) as pool:
        list(pool.map(fetch, files))
    # The links: without them a file counts as missing.
    for parent in {folder.pointer(commit, file.name).parent for file in files}:
        if parent.is_dir():
            atomic.sync_folder(parent)


def _end_with(parent_pid: int) -> None:
    """Let the kernel end us with the parent, so that none is left without a reader."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
