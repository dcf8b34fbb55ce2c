"""When the engine last used a model: recorded by starts, and changed by no look."""

from __future__ import annotations

import json
import os

import pytest

from support.model_cache import ONE, add_revision, index_of
from support.settings_factory import make_settings
from vllm_pkg.engine.launching import begin_start
from vllm_pkg.models import uses
from vllm_pkg.models.cache import list_cached
from vllm_pkg.models.quiet_open import is_quiet, open_quietly
from vllm_pkg.models.uses import keep_use, read_uses
from vllm_pkg.state.store import Store

OLD_S = 1_000_000_000
FILES = {
    "config.json": b'{"architectures": ["A"]}',
    "model.safetensors.index.json": index_of("a.bin"),
    "a.bin": b"weights",
}


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """A cache with two models that nobody has touched for years."""
    settings = make_settings(tmp_path)
    for name in ("one", "two"):
        add_revision(
            settings.models_dir / f"models--org--{name}", ONE, FILES, ("main",)
        )
    for path in settings.models_dir.rglob("*"):
        os.utime(path, (OLD_S, OLD_S))
    return settings


def last_used(settings):
    """Return when each model was last used."""
    return {item.key: item.last_used_s for item in list_cached(settings)}


def test_looking_is_no_use(settings):
    """Two lists in a row say the same, though the first one has read files."""
    first, second = last_used(settings), last_used(settings)

    assert first == second == {"org/one": OLD_S, "org/two": OLD_S}


def test_an_ordinary_look_would_be_one(settings):
    """The control: whoever reads a file as usual moves its access time."""
    path = settings.models_dir / f"models--org--one/snapshots/{ONE}/config.json"
    path.read_bytes()
    if path.stat().st_atime == OLD_S:
        pytest.skip("this file system keeps no access times")

    assert last_used(settings)["org/one"] > OLD_S


def test_a_start_is_a_use(settings):
    """The model and the draft model of a start were used then, and no other."""
    serve_args = ("org/one", "--speculative-config", '{"model": "org/draft"}')

    begin_start(settings, Store(serve_args=serve_args), started_s=1.0)

    found = last_used(settings)
    assert found["org/one"] > OLD_S
    assert found["org/two"] == OLD_S
    assert set(read_uses(settings)) == {"org/one", "org/draft"}


def test_a_record_counts_more_than_a_reader(settings):
    """After a start a backup program that reads all files changes nothing."""
    keep_use(settings, ["org/one"], OLD_S + 5.0)
    for path in (settings.models_dir / "models--org--one" / "blobs").iterdir():
        os.utime(path, (OLD_S + 99, OLD_S))

    assert last_used(settings)["org/one"] == OLD_S + 5.0


def test_what_was_fetched_after_the_last_start_is_new(settings):
    """A model that a switch has just fetched is not the first that could go."""
    keep_use(settings, ["org/one"], OLD_S + 5.0)
    blob = next((settings.models_dir / "models--org--one" / "blobs").iterdir())
    os.utime(blob, (OLD_S, OLD_S + 99))

    assert last_used(settings)["org/one"] == OLD_S + 99


@pytest.mark.parametrize("content", ["no", "[]", '{"uses": 1}', '{"uses": {"a": {}}}'])
def test_a_damaged_record_is_an_empty_one(settings, content):
    """Nobody is stopped by it, and the next start writes it anew."""
    settings.uses_file.parent.mkdir(parents=True)
    settings.uses_file.write_text(content)
    empty = read_uses(settings)

    keep_use(settings, ["org/one"], 7.0)

    assert (empty, read_uses(settings)) == ({}, {"org/one": 7.0})


def test_the_record_does_not_grow_for_ever(settings, monkeypatch):
    """What was used longest ago is forgotten first."""
    monkeypatch.setattr(uses, "KEPT_MAX", 2)

    for number, name in enumerate("abca"):
        keep_use(settings, [name], float(number))

    assert read_uses(settings) == {"c": 2.0, "a": 3.0}


def test_a_start_goes_on_without_the_record(settings):
    """It only sorts a list of models."""
    settings.uses_file.mkdir(parents=True)
    (settings.uses_file / "x").touch()

    start = begin_start(settings, Store(serve_args=("org/one",)), started_s=1.0)

    assert json.loads(settings.start_file.read_text())["model"] == start.model


def test_a_file_of_others_is_read_as_far_as_permitted(tmp_path, monkeypatch):
    """Who may not ask for a quiet look gets another, and its times tell less."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    opened = os.open

    def refuse(name, flags, *arguments, **options):
        if flags & os.O_NOATIME:
            raise PermissionError
        return opened(name, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)

    os.close(open_quietly(path, os.O_RDONLY))
    assert not is_quiet(path.stat())
