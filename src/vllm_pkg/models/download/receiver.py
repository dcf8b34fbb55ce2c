"""
Receiving one file: over Xet or plain HTTP, going on with what an earlier try brought.

Through huggingface_hub's own HTTP session, headers, addresses and locks, but not its
function for files: that writes 10 MiB at a time, so that a slow line looks like a dead
one and a kill costs as much, and it cannot go on with what another process began.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.models.download.layout import size_of
from vllm_pkg.models.download.part_file import PartFile
from vllm_pkg.models.download.sync_record import SyncRecord
from vllm_pkg.models.download.worker_errors import TooShort, XetFailed
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vllm_pkg.models.download.layout import RepositoryFolder
    from vllm_pkg.models.download.listing import RemoteFile
    from vllm_pkg.models.download.messages import Request

_PARTIAL_CONTENT: Final = 206


class Receiver:
    """
    Receives files of one commit; any thread may.

    Args:
        request: What the parent asked for.
        folder: The repository's folder.
        commit: The commit.
        on_checked: Told how many bytes of earlier tries were read.
    """

    def __init__(
        self,
        request: Request,
        folder: RepositoryFolder,
        commit: str,
        on_checked: Callable[[int], None],
    ) -> None:
        self._request = request
        self._folder = folder
        self._commit = commit
        self._on_checked = on_checked
        self._stopped = threading.Event()
        self._xet = _xet_session()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End every transfer; what has arrived stays."""
        self._stopped.set()

    def receive(self, file: RemoteFile) -> None:
        """
        Bring one file into the cache, or go on with it.

        Raises:
            Exception: whatever went wrong; `describe_failure` knows them.
        """
        from huggingface_hub.utils import WeakFileLock  # noqa: PLC0415

        if self.is_stopped or self._folder.has_file(self._commit, file):
            return
        lock = self._folder.lock(file.etag)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            blob = self._folder.blob(file.etag)
            # Of another size it is damaged, as a loss of power leaves it.
            if size_of(blob) != file.size_bytes:
                partial = self._folder.partial(file.etag)
                record = SyncRecord(
                    self._folder.sync_record(file.etag), BootClock().boot_id()
                )
                with PartFile(partial, file, record, self._on_checked) as part:
                    self._fill(part, file)
                    if self.is_stopped:
                        return
                    part.finish(blob)
            self._link(file)

    def _fill(self, part: PartFile, file: RemoteFile) -> None:
        if not part.missing_bytes:
            return
        if self._xet is not None and file.xet_hash:
            pieces = self._xet_pieces(file, part.size_bytes)
        else:
            pieces = self._http_pieces(part, file)
        for piece in pieces:
            if self.is_stopped:
                return
            part.write(piece)
        if part.missing_bytes:
            raise TooShort(f"the answer ended {part.missing_bytes} bytes early")

    def _http_pieces(self, part: PartFile, file: RemoteFile) -> Iterator[bytes]:
        from huggingface_hub import get_session, hf_hub_url  # noqa: PLC0415
        from huggingface_hub.utils import hf_raise_for_status  # noqa: PLC0415

        # The stored bytes: a compressed answer could not be gone on with.
        headers = {**self._headers(), "Accept-Encoding": "identity"}
        if part.size_bytes:
            headers["Range"] = f"bytes={part.size_bytes}-"
        url = hf_hub_url(self._request.repo_id, file.name, revision=self._commit)
        with get_session().stream(
            "GET",
            url,
            headers=headers,
            timeout=self._request.timeout_s,
            follow_redirects=True,
        ) as response:
            hf_raise_for_status(response)
            if part.size_bytes and response.status_code != _PARTIAL_CONTENT:
                part.restart()
            # As they arrive: the parent sees the bytes on the disk.
            yield from response.iter_raw()

    def _xet_pieces(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        from hf_xet import XetFileInfo  # noqa: PLC0415
        from huggingface_hub import constants  # noqa: PLC0415

        address = f"{constants.ENDPOINT}/api/models/{self._request.repo_id}"
        try:
            group = self._xet.new_download_stream_group(
                token_refresh_url=f"{address}/xet-read-token/{self._commit}",
                token_refresh_headers=self._headers(),
            )
            info = XetFileInfo(file.xet_hash, file.size_bytes)
            yield from group.download_stream(info, start=start)
        except Exception as error:
            raise XetFailed(str(error)) from error

    def _headers(self) -> dict[str, str]:
        from huggingface_hub.utils import build_hf_headers  # noqa: PLC0415

        headers: dict[str, str] = build_hf_headers(token=self._request.token)
        return headers

    def _link(self, file: RemoteFile) -> None:
        pointer = self._folder.pointer(self._commit, file.name)
        atomic.make_folder(pointer.parent)
        target = os.path.relpath(self._folder.blob(file.etag), pointer.parent)
        if pointer.is_symlink() and os.readlink(pointer) == target:  # noqa: PTH115
            return
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(target)


def _xet_session() -> Any:
    """Return a session of Xet; None: it is not installed, too old or switched off."""
    from huggingface_hub import constants  # noqa: PLC0415

    if constants.HF_HUB_DISABLE_XET:
        return None
    try:
        from hf_xet import XetSession  # noqa: PLC0415
    except ImportError:
        return None
    if not hasattr(XetSession, "new_download_stream_group"):
        return None
    return XetSession()
