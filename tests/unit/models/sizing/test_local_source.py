"""Reading a model's files on this machine."""

from __future__ import annotations

import json
import shutil

import pytest

from support.hub_cache import COMMIT, write_cached_model
from support.settings_factory import make_settings
from support.tiny_checkpoint import CONFIG, SHARDS, WEIGHTS_BYTES, write_checkpoint
from vllm_pkg.models.sizing.checkpoint import Origin
from vllm_pkg.models.sizing.local_source import parse_config, read_local
from vllm_pkg.models.sizing.unknown import NotKnown

FIRST, SECOND = SHARDS


def test_a_folder_is_read(tmp_path):
    """Config and headers come out of a folder; nothing of the weights is loaded."""
    folder = write_checkpoint(tmp_path / "model")
    found = read_local(make_settings(tmp_path), str(folder))
    assert found is not None
    assert found.origin is Origin.FOLDER
    assert found.config == CONFIG
    assert found.tensors is not None
    assert [tensor.name for tensor in found.tensors] == [
        "model.embed_tokens.weight",
        "lm_head.weight",
    ]
    assert sum(tensor.size_bytes for tensor in found.tensors) == WEIGHTS_BYTES
    assert found.stored_bytes > WEIGHTS_BYTES


def test_weights_of_another_format_have_a_size_only(tmp_path):
    """Of files that are no safetensors only the size is known."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "pytorch_model.bin").write_bytes(bytes(1234))
    found = read_local(make_settings(tmp_path), str(folder))
    assert found is not None
    assert (found.stored_bytes, found.tensors) == (1234, None)


def test_a_cached_repository_is_read(tmp_path):
    """A whole repository in the cache is read, by its branch or its commit."""
    settings = make_settings(tmp_path)
    write_cached_model(settings.models_dir, "org/tiny")
    for revision in (None, COMMIT):
        found = read_local(settings, "org/tiny", revision)
        assert found is not None
        assert found.origin is Origin.CACHE
        assert found.config["model_type"] == "llama"
    assert read_local(settings, "org/tiny", "other") is None
    assert read_local(settings, "org/missing") is None


def test_a_download_that_did_not_end_is_not_here(tmp_path):
    """A repository whose weights have not arrived is left to the Hub."""
    settings = make_settings(tmp_path)
    folder = write_cached_model(settings.models_dir, "org/tiny")
    (folder / "snapshots" / COMMIT / "model.safetensors").unlink()
    assert read_local(settings, "org/tiny") is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (shutil.rmtree, "there is no folder"),
        (lambda folder: (folder / "config.json").unlink(), "No such file"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is dam"),
        (lambda folder: (folder / SECOND).unlink(), "not all of them"),
        (lambda folder: (folder / FIRST).write_bytes(b""), "empty"),
        (
            lambda folder: [path.unlink() for path in folder.glob("*.safetensors*")],
            "has no weights",
        ),
    ],
)
def test_a_folder_that_is_no_model_is_told(tmp_path, damage, words):
    """What is missing or damaged in a folder is named."""
    folder = write_checkpoint(tmp_path / "model")
    damage(folder)
    with pytest.raises(NotKnown, match=words):
        read_local(make_settings(tmp_path), str(folder))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_config_must_be_an_object(data):
    """Anything but a JSON object is refused."""
    with pytest.raises(NotKnown, match="damaged"):
        parse_config(data)
