"""Downloads from the test Hub into a cache of the test's own."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.settings_factory import make_settings
from vllm_pkg.clock import BootClock
from vllm_pkg.models.download.ensure import ensure_needs, make_circumstances
from vllm_pkg.models.download.layout import RepositoryFolder
from vllm_pkg.models.download.needs import read_needs
from vllm_pkg.models.tiny import tiny_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.hub_server import HubServer
    from vllm_pkg.models.download.ensure import DownloadReport
    from vllm_pkg.models.download.progress import Transfer
    from vllm_pkg.settings import Settings

WEIGHTS = "model.safetensors"
DECOYS = {
    "README.md": b"# A model\n",
    ".gitattributes": b"*.bin filter=lfs\n",
    "pytorch_model.bin": b"the same weights in another format",
    "original/consolidated.00.pth": b"and in a third",
    "modeling_tiny.py": b"raise SystemExit\n",
    "picture.png": b"\x89PNG",
}
# What an engine loads of the tiny model.
FILES = {
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


def size_of_weights() -> int:
    """Return how large the weights are."""
    return len(tiny_files()[WEIGHTS])


class SkippingClock:
    """The real clock, which jumps over pauses and remembers them."""

    def __init__(self) -> None:
        self.pauses_s: list[float] = []
        self._real = BootClock()

    def now_s(self) -> float:
        """Return the time, pauses included."""
        return self._real.now_s() + sum(self.pauses_s)

    def boot_id(self) -> str:
        """Return the real boot."""
        return self._real.boot_id()

    def wait(self, seconds: float) -> None:
        """Jump."""
        self.pauses_s.append(seconds)


@dataclass
class Downloads:
    """
    One cache, and the Hub that it is filled from.

    Args:
        hub: The Hub.
        settings: Where the cache is.
        environ: The environment of a download.
        clock: Its clock.
        seen: Everything that was told about progress.
    """

    hub: HubServer
    settings: Settings
    environ: dict[str, str]
    clock: SkippingClock = field(default_factory=SkippingClock)
    seen: list[Transfer] = field(default_factory=list)

    def ensure(
        self,
        *serve_args: str,
        token: str = "",
        is_cancelled: Callable[[], bool] = lambda: False,
        is_refresh: bool = False,
        is_checked: bool = False,
    ) -> DownloadReport:
        """Fetch what arguments name; pauses take no time."""
        environ = self.environ | ({"HF_TOKEN": token} if token else {})
        real = make_circumstances(self.settings, environ, is_cancelled)
        changes = {"clock": self.clock, "wait": self.clock.wait}
        circumstances = type(real)(**(vars(real) | changes))
        needs = read_needs(serve_args, os.path.isdir)
        return ensure_needs(
            self.settings,
            needs,
            circumstances,
            self.seen.append,
            is_refresh=is_refresh,
            is_checked=is_checked,
        )

    def folder(self, repo_id: str) -> RepositoryFolder:
        """Return a repository's folder in the cache."""
        return RepositoryFolder(self.settings.models_dir, repo_id)

    def names(self, repo_id: str, revision: str = "main") -> set[str]:
        """Return the files of a revision in the cache."""
        folder = self.folder(repo_id)
        snapshot = folder.snapshot(folder.commit_of(revision) or "none")
        return {
            path.relative_to(snapshot).as_posix()
            for path in snapshot.rglob("*")
            if path.is_file()
        }

    def content(self, repo_id: str, name: str) -> bytes:
        """Return a file's content in the cache."""
        folder = self.folder(repo_id)
        return folder.pointer(folder.commit_of("main") or "", name).read_bytes()

    def partial_bytes(self) -> int:
        """Return how much stands in partial files."""
        found = self.settings.models_dir.glob("models--*/blobs/*.incomplete")
        return sum(path.stat().st_size for path in found)

    def sent_bytes(self, repo_id: str, name: str = WEIGHTS) -> int:
        """Return how much of a file the Hub has sent."""
        return self.hub.sent_bytes[repo_id, name]


def make_downloads(
    folder: Path, hub: HubServer, stall_timeout_s: int = 30
) -> Downloads:
    """Return an empty cache under *folder*, to be filled from a Hub."""
    timeout = {"VLLM_PKG_DOWNLOAD_STALL_TIMEOUT_S": str(stall_timeout_s)}
    settings = make_settings(folder, **timeout)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "HF_ENDPOINT": hub.url,
        **{
            name: text
            for name, text in os.environ.items()
            if name.startswith("COVERAGE") or name == "PYTHONPATH"
        },
    }
    return Downloads(hub, settings, environ)


def write_model(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Write the tiny model with what repositories hold beside it, or other files."""
    for name, content in (tiny_files() | DECOYS if files is None else files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
