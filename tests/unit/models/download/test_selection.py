"""Which files of a repository the engine loads."""

from __future__ import annotations

import pytest

from vllm_pkg.models.download.needs import Need, Role
from vllm_pkg.models.download.selection import (
    choose_files,
    choose_weights,
    index_file,
)

SHARDS = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
INDEX = "model.safetensors.index.json"
BESIDE = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "merges.txt",
    "chat_template.jinja",
    "preprocessor_config.json",
    "tokenizer.model.v3",
}
NEVER = {
    "README.md",
    "LICENSE",
    ".gitattributes",
    "picture.png",
    "modeling.py",
    "onnx/model.onnx",
    "onnx/config.json",
    "original/params.json",
    "metal/model.bin",
}


def choose(names, need=None, indexed=None):
    """Choose among files of one byte each."""
    sizes_bytes = dict.fromkeys(names, 1)
    return set(choose_files(sizes_bytes, need or Need("org/name"), indexed))


def test_what_stands_beside_the_weights():
    """Configuration, tokenizer, templates and processors; no pictures, no programs."""
    weights = {"model.safetensors"}

    assert choose(weights | BESIDE | NEVER) == weights | BESIDE


def test_code_only_where_it_is_trusted():
    """Python files are fetched with ``--trust-remote-code``."""
    need = Need("org/name", is_code_trusted=True)

    assert "modeling.py" in choose({"modeling.py", "model.safetensors"}, need)


def test_a_large_file_of_an_unknown_kind_is_no_configuration():
    """A small one may be a tokenizer nobody has heard of."""
    sizes = {"small.xyz": 1000, "large.xyz": 65 * 1024**2, "large.json": 65 * 1024**2}

    assert choose_files(sizes, Need("org/name"), None) == ("large.json", "small.xyz")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ({"config.json", "generation_config.json"}, {"generation_config.json"}),
        ({"config.json", "tokenizer.json"}, {"config.json"}),
        ({"tokenizer.json"}, set()),
    ],
)
def test_generation_settings_are_one_file(names, chosen):
    """Where there is none of its own, vLLM takes them from config.json."""
    need = Need("org/name", role=Role.GENERATION)

    assert choose(names | {"model.safetensors"}, need) == chosen


def test_safetensors_come_before_other_formats():
    """Of several formats of the same weights one is loaded."""
    names = {"model.safetensors", "pytorch_model.bin", "model.pt"}

    assert choose(names) == {"model.safetensors"}
    assert choose({"pytorch_model.bin", "training_args.bin", "model.pt"}) == {
        "pytorch_model.bin"
    }
    assert choose({"model.pt", "optimizer.pt"}) == {"model.pt"}


def test_the_index_says_which_shards_count():
    """A repository may hold the same weights in shards and in one piece."""
    names = {*SHARDS, "model.safetensors", INDEX}

    assert index_file(names, Need("org/name")) == INDEX
    assert choose(names, indexed=SHARDS) == {*SHARDS, INDEX}


def test_mistral_format_where_there_is_one():
    """Consolidated weights are what the engine prefers; the other index goes away."""
    names = {"consolidated.safetensors", "params.json", "tekken.json", INDEX, *SHARDS}

    assert choose(names) == {"consolidated.safetensors", "params.json", "tekken.json"}
    assert index_file(names, Need("org/name")) is None


def test_mistral_index():
    """Consolidated weights in shards have an index of their own."""
    index = "consolidated.safetensors.index.json"
    names = {"consolidated-00001-of-00001.safetensors", index}

    assert index_file(names, Need("org/name")) == index


@pytest.mark.parametrize(
    ("load_format", "expected"),
    [
        ("auto", {"consolidated.safetensors"}),
        ("hf", {"consolidated.safetensors", "model.safetensors"}),
        ("safetensors", {"consolidated.safetensors", "model.safetensors"}),
        ("mistral", {"consolidated.safetensors"}),
        ("pt", {"model.pt"}),
        ("npcache", {"pytorch_model.bin"}),
        ("tensorizer", {"model.tensors"}),
        ("dummy", set()),
        ("modelexpress", {"consolidated.safetensors", "model.safetensors"}),
    ],
)
def test_the_load_format_decides(load_format, expected):
    """``--load-format`` names the kind of weights."""
    names = {
        "consolidated.safetensors",
        "model.safetensors",
        "pytorch_model.bin",
        "model.pt",
        "model.tensors",
    }

    assert choose(names, Need("org/name", load_format=load_format)) == expected


def test_only_the_top_is_searched_for_weights():
    """Weights in folders are other programs' ones."""
    assert choose({"deep/model.safetensors", "model.bin"}) == {"model.bin"}
    assert choose({"deep/model.safetensors"}) == set()


def test_ignored_patterns():
    """``--ignore-patterns`` keeps weights away."""
    need = Need("org/name", ignore_patterns=("extra*",))

    assert choose({"model.safetensors", "extra.safetensors"}, need) == {
        "model.safetensors"
    }


def test_dense_layers_of_sentence_transformers():
    """They stand in folders of their own, in one format each."""
    dense = {"2_Dense/model.safetensors", "3_Dense/pytorch_model.bin"}
    names = {"model.safetensors", "2_Dense/pytorch_model.bin", *dense}

    assert set(choose_weights(names, Need("org/name"), None)) == {
        "model.safetensors",
        *dense,
    }


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.TOKENIZER, {"config.json"}),
        (Role.CONFIG, {"config.json"}),
        (Role.CODE, {"modeling.py"}),
        (Role.ADAPTER, {"config.json", "modeling.py", "model.safetensors", INDEX}),
    ],
)
def test_the_role_decides(role, expected):
    """Of a tokenizer no weights, of code only code, of an adapter everything."""
    names = {"config.json", "modeling.py", "model.safetensors", INDEX}

    assert choose(names, Need("org/name", role=role)) == expected
    assert index_file(names, Need("org/name", role=role)) is None


def test_no_index_for_other_formats():
    """Weights of PyTorch have none that counts."""
    assert index_file({"pytorch_model.bin", INDEX}, Need("org/name")) is None
    assert index_file({INDEX}, Need("org/name", load_format="dummy")) is None
