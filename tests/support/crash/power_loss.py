"""
What a disk may hold after a loss of power: every legal state, from a recorded trace.

The model is the strict reading of POSIX. Until a file is synced, each write to it may
be missing, whole, cut short or zeros. Until a folder is synced, each change of its
names may be missing or there, independently of the others; a rename is one change.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from support.crash.scenarios import has_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

_RECORDED: Final = (
    *("open", "write", "ftruncate", "fsync", "fdatasync", "close"),
    *("replace", "unlink", "mkdir", "symlink"),
)
Files = dict[str, bytes]
ROOT: Final = ""
# Before it nothing happens that a loss of power could interrupt.
BEGUN: Final = "begun"
# A change of one folder: names, and the inode each then means; None: no longer there.
Change = tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Event:
    """
    One operation, or the moment at which a step was acknowledged.

    Args:
        kind: create, truncate, write, sync, change, sync-folder, begun or acknowledged.
        folder: The folder of a change or a sync.
        inode: The file of a create, truncate, write or sync.
        offset: Where a write begins, or what is left by a truncate, in bytes.
        data: What was written; of a link that was made, where it leads.
        change: What changed in the folder.
    """

    kind: str
    folder: str = ROOT
    inode: int = 0
    offset: int = 0
    data: bytes = b""
    change: Change = ()


@dataclass
class Recorder:
    """
    Records what the program does to files below a folder, by wrapping functions of os.

    Args:
        root: The folder; it exists.
        write_max_bytes: How much one write takes at most; 0: all of it.
    """

    root: Path
    write_max_bytes: int = 0
    events: list[Event] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    opened: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    inodes: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wrap the functions until the test ends."""
        for name in _RECORDED:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def seed(self, files: Files, links: Files) -> None:
        """Begin with a disk that holds this, all of it durable."""
        folders = {ROOT}
        for name, data in (files | links).items():
            inode = self.names[name] = next(self.inodes)
            self.events.append(Event("create", inode=inode, data=data))
            for parent in _parents(name):
                if parent not in folders:
                    folders.add(parent)
                    self._change(parent, ((os.path.basename(parent), 1),))  # noqa: PTH119
            self._change(name, ((os.path.basename(name), inode),))  # noqa: PTH119
        self.events += [Event("sync-folder", folder=name) for name in sorted(folders)]
        self.events.append(Event(BEGUN))

    def acknowledge(self) -> None:
        """Record that a step returned."""
        self.events.append(Event("acknowledged"))

    def _wrap(self, name: str, real: Any) -> Any:
        after = getattr(self, f"_{name}")

        def wrapped(*arguments: Any, **options: Any) -> Any:
            if name == "write" and self.write_max_bytes:
                descriptor, data = arguments
                arguments = (descriptor, bytes(data[: self.write_max_bytes]))
            existed = name == "open" and os.path.lexists(arguments[0])
            result = real(*arguments, **options)
            after(result, *arguments, existed=existed)
            return result

        return wrapped

    def _open(
        self, result: int, path: Any, flags: int = 0, *_: Any, existed: bool
    ) -> None:
        name = self._name(path)
        if name is None:
            return
        inode = self.names.get(name, 0)
        if flags & os.O_CREAT and not existed:
            inode = next(self.inodes)
            self.names[name] = inode
            self.events.append(Event("create", inode=inode))
            self._change(name, ((os.path.basename(name), inode),))  # noqa: PTH119
        elif flags & os.O_TRUNC:
            self.events.append(Event("truncate", inode=inode))
        begin = os.fstat(result).st_size if flags & os.O_APPEND else 0
        self.opened[result] = (name, inode, begin)

    def _write(self, result: int, descriptor: int, data: Any, **_: Any) -> None:
        if descriptor in self.opened:
            name, inode, offset = self.opened[descriptor]
            written = bytes(data[:result])
            self.events.append(Event("write", "", inode, offset, written))
            self.opened[descriptor] = (name, inode, offset + result)

    def _ftruncate(self, _: None, descriptor: int, length: int, **__: Any) -> None:
        if descriptor in self.opened:
            # Of files that are appended to: the next write begins there.
            name, inode, _offset = self.opened[descriptor]
            self.events.append(Event("truncate", inode=inode, offset=length))
            self.opened[descriptor] = (name, inode, length)

    def _fdatasync(self, _: None, descriptor: int, **__: Any) -> None:
        self._fsync(None, descriptor)

    def _fsync(self, _: None, descriptor: int, **__: Any) -> None:
        if descriptor in self.opened:
            name, inode, _offset = self.opened[descriptor]
            if inode:
                self.events.append(Event("sync", inode=inode))
            else:
                self.events.append(Event("sync-folder", folder=name))

    def _close(self, _: None, descriptor: int, **__: Any) -> None:
        self.opened.pop(descriptor, None)

    def _replace(self, _: None, source: Any, target: Any, **__: Any) -> None:
        old, new = self._name(source), self._name(target)
        if old is not None and new is not None:
            inode = self.names.pop(old)
            self.names[new] = inode
            base = os.path.basename
            if os.path.dirname(old) == os.path.dirname(new):  # noqa: PTH120
                self._change(new, ((base(old), None), (base(new), inode)))
                return
            # Two folders are two changes, either of which may be missing.
            self._change(new, ((base(new), inode),))
            self._change(old, ((base(old), None),))

    def _unlink(self, _: None, path: Any, **__: Any) -> None:
        name = self._name(path)
        if name is not None:
            self.names.pop(name)
            self._change(name, ((os.path.basename(name), None),))  # noqa: PTH119

    def _mkdir(self, _: None, path: Any, *__: Any, **___: Any) -> None:
        name = self._name(path)
        if name is not None:
            # A folder is known by its path; any number above 0 says that it is there.
            self._change(name, ((os.path.basename(name), 1),))  # noqa: PTH119

    def _symlink(self, _: None, target: Any, path: Any, *__: Any, **___: Any) -> None:
        name = self._name(path)
        if name is not None:
            # Where a link leads is part of its name: it is there with it.
            inode = self.names[name] = next(self.inodes)
            data = os.fsencode(target)
            self.events.append(Event("create", inode=inode, data=data))
            self._change(name, ((os.path.basename(name), inode),))  # noqa: PTH119

    def _change(self, name: str, change: Change) -> None:
        folder = os.path.dirname(name)  # noqa: PTH120
        self.events.append(Event("change", folder=folder, change=change))

    def _name(self, path: Any) -> str | None:
        if isinstance(path, int):
            return None
        text, root = os.fspath(path), str(self.root)
        if text == root:
            return ROOT
        return text[len(root) + 1 :] if text.startswith(f"{root}/") else None


@dataclass
class Disk:
    """What is durable, and what is on its way."""

    durable: dict[int, bytes] = field(default_factory=dict)
    writes: dict[int, list[Event]] = field(default_factory=dict)
    folders: dict[str, dict[str, int]] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Take one event into account."""
        if event.kind == "create":
            self.durable[event.inode] = event.data
        elif event.kind in {"write", "truncate"}:
            self.writes.setdefault(event.inode, []).append(event)
        elif event.kind == "sync":
            pending = self.writes.pop(event.inode, [])
            self.durable[event.inode] = _written(
                self.durable[event.inode], [(e, e.data) for e in pending]
            )
        elif event.kind == "change":
            self.changes.setdefault(event.folder, []).append(event.change)
        elif event.kind == "sync-folder":
            names = self.folders.setdefault(event.folder, {})
            for change in self.changes.pop(event.folder, []):
                _rename(names, change)

    def states(self, tracked: tuple[str, ...]) -> Iterator[Files]:
        """Yield what the tracked files may be after a loss of power now."""
        folders = sorted({*self.folders, *self.changes})
        choices = [self._folder_states(folder) for folder in folders]
        for combination in itertools.product(*choices):
            tree = dict(zip(folders, combination, strict=True))
            found = {name: _find(tree, name) for name in tracked}
            present = {name: inode for name, inode in found.items() if inode}
            contents = [self._contents(inode) for inode in present.values()]
            for content in itertools.product(*contents):
                yield dict(zip(present, content, strict=True))

    def _folder_states(self, folder: str) -> list[dict[str, int]]:
        pending = self.changes.get(folder, [])
        states: list[dict[str, int]] = []
        for taken in itertools.product((False, True), repeat=len(pending)):
            names = dict(self.folders.get(folder, {}))
            for change in itertools.compress(pending, taken):
                _rename(names, change)
            if names not in states:
                states.append(names)
        return states

    def _contents(self, inode: int) -> list[bytes]:
        pending = self.writes.get(inode, [])
        contents = {
            _written(self.durable[inode], list(zip(pending, outcome, strict=True)))
            for outcome in itertools.product(*(_outcomes(e) for e in pending))
        }
        return sorted(contents)


@dataclass
class Findings:
    """
    What was found in the states of one history.

    Args:
        states: How many states were looked at.
        torn: A file is none of its versions.
        lost: An acknowledged version is gone, or the key in force is.
    """

    states: int = 0
    torn: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def check_history(
    events: list[Event], versions: list[Files], tracked: tuple[str, ...]
) -> Findings:
    """
    Check every state that a loss of power at any moment may leave.

    Args:
        events: The trace, from an empty disk on.
        versions: The files before the first step and after each acknowledged one.
        tracked: Names of the files that are checked.
    """
    findings = Findings()
    disk, step = Disk(), 0
    for number, event in enumerate(events):
        if event.kind == "acknowledged":
            step += 1
        disk.apply(event)
        legal = versions[step : step + 2]
        for state in disk.states(tracked):
            findings.states += 1
            _check_state(state, legal, versions[:step], f"event {number}", findings)
    return findings


def _check_state(
    state: Files, legal: list[Files], older: list[Files], place: str, found: Findings
) -> None:
    for name in {*state, *(name for version in legal for name in version)}:
        content = state.get(name)
        if content in [version.get(name) for version in legal]:
            continue
        known = [version.get(name) for version in older] + [None]
        kind = found.lost if content in known else found.torn
        kind.append(f"{place}: {name} is {content!r}")
    if all(has_key(version) for version in legal) and not has_key(state):
        found.lost.append(f"{place}: no file has the key")


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _outcomes(event: Event) -> list[bytes | None]:
    """Return what may be left of one write: None: nothing."""
    data = event.data
    if event.kind == "truncate":
        return [None, event.data]
    cuts = {data[:1], data[: len(data) // 2], data[:-1], data, bytes(len(data))}
    return [None, *sorted(cuts)]


def _written(content: bytes, outcome: list[tuple[Event, bytes | None]]) -> bytes:
    for event, data in outcome:
        if data is None:
            continue
        if event.kind == "truncate":
            content = content[: event.offset]
            continue
        begin = content[: event.offset].ljust(event.offset, b"\0")
        content = begin + data + content[event.offset + len(data) :]
    return content


def _rename(names: dict[str, int], change: Change) -> None:
    for name, inode in change:
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _find(tree: dict[str, dict[str, int]], name: str) -> int | None:
    *folders, last = name.split("/")
    at = ROOT
    for folder in folders:
        if folder not in tree.get(at, {}):
            return None
        at = f"{at}/{folder}" if at else folder
    return tree.get(at, {}).get(last)
