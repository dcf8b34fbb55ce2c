"""Whether the weights of a model folder are whole."""

from __future__ import annotations

import pytest

from support.tiny_checkpoint import SHARDS, write_checkpoint
from vllm_pkg.errors import ModelFolderDamaged
from vllm_pkg.models.download.folder_check import check_folder
from vllm_pkg.models.download.needs import read_model_need

FIRST, SECOND = sorted(SHARDS)


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    """A model of two shards with an index."""
    return write_checkpoint(tmp_path / "model")


def _check(folder, *options):
    check_folder(folder, read_model_need((str(folder), *options)))


def test_a_whole_folder_passes(folder):
    """All weights, each as long as its header says, are let through."""
    (folder / "notes.bin.txt").write_text("no weights")

    _check(folder)


def test_what_the_index_names_must_be_there(folder):
    """A missing shard is named; who loads no weights does not need it."""
    (folder / SECOND).unlink()

    with pytest.raises(ModelFolderDamaged, match=f"lacks {SECOND}, which its index"):
        _check(folder)

    _check(folder, "--load-format", "dummy")


@pytest.mark.parametrize("size_bytes", [0, 7, 400])
def test_a_shard_that_ends_early_is_named(folder, size_bytes):
    """A copy that was cut off is told by its header, which was not cut."""
    with (folder / FIRST).open("r+b") as stream:
        stream.truncate(size_bytes)

    with pytest.raises(ModelFolderDamaged, match=f"{FIRST} is damaged: "):
        _check(folder)


def test_other_kinds_of_weights_are_not_judged(tmp_path):
    """A folder without safetensors may be whole: nobody can tell by a look."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")

    _check(tmp_path)


def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    """A file in the folder's place gives the system's own reason."""
    (tmp_path / "model").write_text("")

    with pytest.raises(ModelFolderDamaged, match="cannot be read: Not a directory"):
        _check(tmp_path / "model")
