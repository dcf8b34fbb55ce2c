"""
What the service does with its state files, as short programs of acknowledged steps.

Each scenario is deterministic: keys and names come from a seeded source, so that the
files after each step are known from one run in peace (see `run_in_peace`).
"""

from __future__ import annotations

import json
import os
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateCorrupt, StateError
from vllm_pkg.state import atomic, credentials, keys, locks, records
from vllm_pkg.state.identity import ProcessIdentity
from vllm_pkg.state.secrets import Role
from vllm_pkg.state.store import ModelSelection, Store, load_store, update_store

if TYPE_CHECKING:
    import pytest

    from vllm_pkg.settings import Settings

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
OLD_KEY: Final = "Zz9yXx8wVv7uTt6sRr5qPp"
PUBLISHED: Final = Path(__file__).parents[2] / "data" / "published"
DAMAGED: Final = b'{"serveArgs": ["a/b"'
Step = Callable[["Settings"], object]


@dataclass(frozen=True)
class Scenario:
    """
    A short program over the state files.

    Args:
        name: For messages and folders.
        prepare: Makes the state that it starts from.
        steps: What is done; each is acknowledged when it returns.
        refusals: What may be told instead of a failed write, since it matters more.
    """

    name: str
    prepare: Step
    steps: tuple[Step, ...]
    refusals: tuple[type[StateError], ...] = ()


def select(name: str, size_bytes: int, settings: Settings) -> None:
    """Select a model with arguments of a given size."""
    arguments = (f"org/{name}", "--served-model-name", "x" * size_bytes)
    update_store(
        settings, lambda store: store.with_model(arguments, (), ModelSelection(name))
    )


def clear(settings: Settings) -> None:
    """Clear the selection."""
    update_store(settings, Store.without_model)


def rotate(settings: Settings) -> None:
    """Rotate the key; the old one ends at once."""
    keys.rotate_key(settings, 0, NOW)


def add(name: str, settings: Settings) -> None:
    """Add a named key."""
    keys.add_key(settings, name, Role.USER, None, NOW)


def remove_key(settings: Settings) -> None:
    """Remove the key file, as a person does who wants another key."""
    atomic.remove_file(settings.credentials_file)


def migrate(settings: Settings) -> None:
    """Do what each start does: sweep, make or take over the key, drop the old one."""
    with locks.locked(settings.lock_file):
        for folder in (settings.main, settings.public, settings.run_dir):
            atomic.sweep_temporary_files(folder)
    credentials.ensure_key(settings)
    credentials.drop_key_from_store(settings)


def record(number: int, settings: Settings) -> None:
    """Write the record of a start."""
    process = ProcessIdentity(number, number, "boot")
    start = records.StartRecord(process, 1.5, "127.0.0.1", 8000, "tiny")
    records.write_record(settings.start_file, start)


def read_damaged(settings: Settings) -> None:
    """Read a damaged store, which sets it aside."""
    try:
        load_store(settings)
    except StateCorrupt:
        if os.path.lexists(settings.store_file):
            raise


def migrate_damaged(settings: Settings) -> None:
    """Take over the key of an old store that is set aside for another field."""
    try:
        migrate(settings)
    except StateCorrupt:
        if os.path.lexists(settings.store_file):
            raise


def _nothing(_: Settings) -> None:
    """Start from an empty disk."""


def _make_folders(settings: Settings) -> None:
    for folder in (settings.main, settings.public, settings.run_dir):
        atomic.make_folder(folder)


def _ready(settings: Settings) -> None:
    _make_folders(settings)
    migrate(settings)
    select("first", 10, settings)
    record(0, settings)


def _loose(settings: Settings) -> None:
    _ready(settings)
    settings.credentials_file.chmod(0o644)


def _old(settings: Settings) -> None:
    _make_folders(settings)
    document = {"apiKey": OLD_KEY, "serveArgs": ["a/b"], "future": {"x": 1}}
    atomic.write_file(settings.store_file, json.dumps(document).encode())


def _published(name: str, settings: Settings) -> None:
    _make_folders(settings)
    atomic.write_file(settings.store_file, (PUBLISHED / name).read_bytes())


def _damaged(settings: Settings) -> None:
    _make_folders(settings)
    atomic.write_file(settings.store_file, DAMAGED)


def make_scenarios(rounds: int = 1) -> tuple[Scenario, ...]:
    """Return all scenarios; *rounds* repeats what can be repeated."""
    sizes = [300 * (number + 1) for number in range(rounds)]
    selects = tuple(
        partial(select, f"model-{number}", size) for number, size in enumerate(sizes)
    )
    adds = tuple(partial(add, f"name-{number}") for number in range(rounds))
    notes = tuple(partial(record, number + 1) for number in range(rounds))
    return (
        Scenario("create", _nothing, (migrate, *selects)),
        Scenario("update", _ready, (*selects, clear)),
        Scenario("rotate", _ready, (rotate,) * rounds),
        Scenario("remove-and-make", _ready, (remove_key, migrate) * rounds),
        Scenario("migrate", _old, (migrate, *selects)),
        Scenario("old-key", partial(_published, "old-key.json"), (migrate,)),
        Scenario("old-key-only", partial(_published, "old-key-only.json"), (migrate,)),
        Scenario(
            "old-key-wrong-env",
            partial(_published, "old-key-wrong-env.json"),
            (migrate_damaged, migrate),
            # That the file is damaged matters more than that it stays where it is.
            (StateCorrupt,),
        ),
        Scenario("repair-mode", _loose, (migrate,)),
        Scenario("named-keys", _ready, adds),
        Scenario("set-aside", _damaged, (read_damaged, *selects), (StateCorrupt,)),
        Scenario("records", _ready, notes),
    )


def make_deterministic(seed: int) -> None:
    """Draw keys and names from a seed; only in a process that a test started."""
    for name, function in _draws(seed).items():
        setattr(secrets, name, function)


def make_deterministic_here(patch: pytest.MonkeyPatch, seed: int) -> None:
    """Draw keys and names from a seed until the patch ends."""
    for name, function in _draws(seed).items():
        patch.setattr(secrets, name, function)


def _draws(seed: int) -> dict[str, Callable[..., Any]]:
    source = random.Random(seed)  # noqa: S311

    def token_hex(size_bytes: int = 32) -> str:
        return source.randbytes(size_bytes).hex()

    return {"choice": source.choice, "token_hex": token_hex}


def state_files(settings: Settings) -> dict[str, bytes]:
    """Return the content of all files of the state, without locks and leftovers."""
    return {
        name: path.read_bytes()
        for name, path in _files(settings)
        if not name.endswith((atomic.TEMPORARY_SUFFIX, "/.lock"))
    }


def leftovers(settings: Settings) -> list[str]:
    """Return the names of temporary files."""
    suffix = atomic.TEMPORARY_SUFFIX
    return [name for name, _ in _files(settings) if name.endswith(suffix)]


def has_key(files: Mapping[str, bytes]) -> bool:
    """Whether a key stands in one of the files where a start looks for it."""
    names = ("main/store.json", "public/credentials.json")
    return any(b'"apiKey"' in files.get(name, b"") for name in names)


def wide_modes(settings: Settings) -> list[str]:
    """Return the files that others than their owner may read."""
    return [name for name, path in _files(settings) if path.stat().st_mode & 0o077]


def run_in_peace(scenario: Scenario, settings: Settings) -> list[dict[str, bytes]]:
    """Run all steps; return the files before them and after each."""
    states = [state_files(settings)]
    for step in scenario.steps:
        step(settings)
        states.append(state_files(settings))
    return states


def _files(settings: Settings) -> list[tuple[str, Path]]:
    root = settings.main.parent
    return [
        (path.relative_to(root).as_posix(), path)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    ]
