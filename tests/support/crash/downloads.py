"""
Downloads in this process, recorded, and what a loss of power leaves of them.

What runs is the package's own writer: the fetcher, the receiver, the arriving file and
the layout, with real bytes from the test Hub. Only the program in between is left out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from huggingface_hub import constants

from support.crash.power_loss import BEGUN, Disk, Files, Recorder
from support.settings_factory import make_settings
from vllm_pkg.clock import BootClock
from vllm_pkg.models.cache import list_cached
from vllm_pkg.models.download import fetching, part_file, transfer
from vllm_pkg.models.download.completeness import is_complete
from vllm_pkg.models.download.ensure import make_circumstances
from vllm_pkg.models.download.examination import Examiner, Part
from vllm_pkg.models.download.fetching import Fetcher
from vllm_pkg.models.download.layout import RepositoryFolder
from vllm_pkg.models.download.listing import Listing, RemoteFile
from vllm_pkg.models.download.needs import Need
from vllm_pkg.models.download.worker import Speaker, fetch_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

    from support.crash.power_loss import Event
    from support.hub_server import HubServer
    from vllm_pkg.models.download.messages import Told
    from vllm_pkg.models.download.retry import Failure
    from vllm_pkg.models.download.transfer import Circumstances, Work
    from vllm_pkg.settings import Settings

NEED: Final = Need("org/name")
WEIGHTS: Final = "model.safetensors"
STEP_BYTES: Final = 8
WRITE_BYTES: Final = 4
TRIES: Final = 3
_LINKS: Final = "snapshots/"


@dataclass
class LossFindings:
    """
    What was found in the states of downloads.

    Args:
        states: The different states that were looked at.
        wrong: The cache calls something complete that is not what the Hub has.
        lost: A download that had ended is not complete.
        unfinished: The next run does not end with the right bytes.
        refetched: The next run fetches more again than one step.
        refetched_bytes: The most that a next run fetched again of the weights.
    """

    states: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    refetched: list[str] = field(default_factory=list)
    refetched_bytes: int = 0

    @property
    def violations(self) -> list[str]:
        """All of them."""
        return [*self.wrong, *self.lost, *self.unfinished, *self.refetched]


class _Listener(Speaker):
    """Keeps what went wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Failure] = []

    def tell(self, told: Told) -> None:
        """Take one line."""
        if told.failure:
            self.failures.append(told.failure)


class Laboratory:
    """
    Runs downloads of one repository, each into a cache of its own.

    Args:
        hub: Serves ``org/name``.
        folder: Where the caches are made.
        monkeypatch: Lets the transfer run in this process, in small steps.
    """

    def __init__(
        self, hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.hub = hub
        self._folder = folder
        self._boots = 0
        repository = hub.repositories[NEED.repo_id]
        self.commit = repository.commit("main") or ""
        files = repository.files("main")
        self.contents = {name: file.path.read_bytes() for name, file in files.items()}
        self.files = tuple(
            RemoteFile(name, file.size_bytes, file.etag) for name, file in files.items()
        )
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(part_file, "SYNC_EVERY_BYTES", STEP_BYTES)
        monkeypatch.setattr(transfer, "PARALLEL", 1)
        monkeypatch.setattr(fetching, "run_transfer", _run_here)
        for name in ("fsync", "fdatasync"):
            # The model says what a sync does; a real one would only take time.
            monkeypatch.setattr(os, name, lambda _: None)
        monkeypatch.setattr(BootClock, "boot_id", lambda _: self.boot_id)

    @property
    def weights(self) -> RemoteFile:
        """The one file that is longer than a step."""
        return self._file(WEIGHTS)

    @property
    def boot_id(self) -> str:
        """The present boot."""
        return f"boot {self._boots}"

    def lose_power(self) -> None:
        """Boot again, as after a loss of power."""
        self._boots += 1

    def make_cache(self, state: Files) -> Settings:
        """Return settings over a new cache that holds a state of the repository."""
        settings = make_settings(self._folder / f"{len(os.listdir(self._folder))}")  # noqa: PTH208
        root = RepositoryFolder(settings.models_dir, NEED.repo_id).path
        root.mkdir(parents=True)
        for name, data in state.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.startswith(_LINKS):
                path.symlink_to(os.fsdecode(data))
            else:
                path.write_bytes(data)
        return settings

    def record(
        self,
        state: Files,
        monkeypatch: pytest.MonkeyPatch,
        mutate: Callable[[pytest.MonkeyPatch], None] = lambda _: None,
    ) -> list[Event]:
        """Return what a download does to a disk that holds a state."""
        settings = self.make_cache(state)
        root = RepositoryFolder(settings.models_dir, NEED.repo_id).path
        recorder = Recorder(root, WRITE_BYTES)
        links = {n: d for n, d in state.items() if n.startswith(_LINKS)}
        recorder.seed({n: d for n, d in state.items() if n not in links}, links)
        with monkeypatch.context() as patch:
            recorder.install(patch)
            mutate(patch)
            self.download(settings)
            recorder.acknowledge()
        return recorder.events

    def download(self, settings: Settings) -> None:
        """Download the repository; pauses take no time."""
        circumstances = make_circumstances(settings, {}, lambda: False)
        folder = RepositoryFolder(settings.models_dir, NEED.repo_id)
        listing = Listing(NEED.repo_id, self.commit, self.files)
        examiner = Examiner(settings, circumstances, lambda _: None)
        examiner._keep(folder, listing, tuple(listing.sizes_bytes))
        part = Part(NEED, folder, self.commit, self.files, is_whole=False)
        Fetcher(settings, circumstances, lambda _: None, 0).fetch_all([part])

    def wrong_files(self, settings: Settings) -> list[str]:
        """Return the files that the cache calls complete, and are not."""
        folder = RepositoryFolder(settings.models_dir, NEED.repo_id)
        listed = [name for name in self.contents if self._is_here(folder, name)]
        return [
            name
            for name in listed
            if folder.pointer(self.commit, name).read_bytes() != self.contents[name]
        ]

    def is_whole(self, settings: Settings) -> bool:
        """Whether the cache calls the repository complete, in both of its ways."""
        (entry,) = list_cached(settings)
        return is_complete(settings, NEED) and not entry.is_partial

    def _is_here(self, folder: RepositoryFolder, name: str) -> bool:
        return folder.has_file(self.commit, self._file(name))

    def _file(self, name: str) -> RemoteFile:
        return next(file for file in self.files if file.name == name)


def _run_here(work: Work, circumstances: Circumstances) -> None:
    for _ in range(TRIES):
        listener = _Listener()
        request = transfer._request(work, circumstances)
        fetch_files(request, work.revision, work.files, listener)
        if not listener.failures:
            return
    raise AssertionError(listener.failures)


def check_losses(
    laboratory: Laboratory, events: list[Event], *, stop_at: str = ""
) -> tuple[LossFindings, list[Files]]:
    """
    Check what a loss of power at each moment of a download leaves.

    Args:
        laboratory: Runs the next download.
        events: What `Laboratory.record` returned.
        stop_at: A kind of violation: begin with what is left after the download, and
            stop with the first one; for mutants, which leave too much to look at.
    Returns:
        What was found, and the states in which the weights had partly arrived.
    """
    findings, partial = LossFindings(), []
    seen: set[tuple[tuple[tuple[str, bytes], ...], int, bool]] = set()
    for state, arrived_bytes, is_over in _states(
        laboratory.weights.etag, events, is_backward=bool(stop_at)
    ):
        case = (tuple(sorted(state.items())), arrived_bytes, is_over)
        if case in seen:
            continue
        seen.add(case)
        findings.states += 1
        _check(laboratory, state, arrived_bytes, is_over, findings)
        if stop_at and getattr(findings, stop_at):
            break
        if any(name.endswith(".incomplete") and len(state[name]) for name in state):
            partial.append(state)
    return findings, partial


def _states(
    etag: str, events: list[Event], *, is_backward: bool
) -> Iterator[tuple[Files, int, bool]]:
    """Yield what may be left, how much of the weights had arrived, and whether all."""
    names = tuple(sorted(_tracked(events)))
    begun = [event.kind for event in events].index(BEGUN)
    counts = range(begun + 1, len(events) + 1)
    for count in reversed(counts) if is_backward else counts:
        disk, arrived = Disk(), _Arrived(etag)
        for event in events[:count]:
            disk.apply(event)
            arrived.apply(event)
        is_over = events[count - 1].kind == "acknowledged"
        for state in disk.states(names):
            yield state, arrived.size_bytes, is_over


class _Arrived:
    """How much of the weights a program that still runs would find."""

    def __init__(self, etag: str) -> None:
        self._etag = etag
        self._inode = 0
        self._lengths: dict[int, int] = {}

    def apply(self, event: Event) -> None:
        """Take one event into account."""
        if event.kind in {"create", "write"}:
            self._lengths[event.inode] = event.offset + len(event.data)
        if event.kind == "truncate":
            self._lengths[event.inode] = event.offset
        for name, inode in event.change:
            if inode and name in {self._etag, f"{self._etag}.incomplete"}:
                self._inode = inode

    @property
    def size_bytes(self) -> int:
        """Their length, whole or not."""
        return self._lengths.get(self._inode, 0)


def _tracked(events: list[Event]) -> set[str]:
    found = set()
    for event in events:
        for name, inode in event.change:
            path = f"{event.folder}/{name}" if event.folder else name
            if inode and not name.endswith(".tmp"):
                found.add(path)
    folders = {path.rpartition("/")[0] for path in found}
    every = {folder[:i] for folder in folders for i, c in enumerate(folder) if c == "/"}
    return found - folders - every


def _check(
    laboratory: Laboratory,
    state: Files,
    arrived_bytes: int,
    is_over: bool,  # noqa: FBT001
    findings: LossFindings,
) -> None:
    settings = laboratory.make_cache(state)
    told = str(sorted(state.items()))
    findings.wrong += [f"{name}: {told}" for name in laboratory.wrong_files(settings)]
    if is_over and not laboratory.is_whole(settings):
        findings.lost.append(told)
    laboratory.lose_power()
    sent = laboratory.hub.sent_bytes
    before = sent[NEED.repo_id, WEIGHTS]
    laboratory.download(settings)
    fetched = sent[NEED.repo_id, WEIGHTS] - before
    if laboratory.wrong_files(settings) or not laboratory.is_whole(settings):
        findings.unfinished.append(told)
    missing = len(laboratory.contents[WEIGHTS]) - arrived_bytes
    again = fetched - max(0, missing)
    findings.refetched_bytes = max(findings.refetched_bytes, again)
    if again > STEP_BYTES:
        findings.refetched.append(f"{again} bytes: {told}")
