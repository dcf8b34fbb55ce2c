"""The embedded model: the same bytes each time, in formats that others can read."""

from __future__ import annotations

import hashlib
import json
import struct
from importlib.util import find_spec
from typing import Any

import pytest

from support.tools import require
from vllm_pkg.models.tiny import tiny_files


@pytest.fixture(scope="module")
def files():
    """Every file of the model."""
    return tiny_files()


def header_of(data: bytes) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file and where its data begins."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), 8 + length


def numbers_of(files, name: str) -> tuple[tuple[int, ...], list[float]]:
    """Return shape and numbers of a tensor."""
    data = files["model.safetensors"]
    header, start = header_of(data)
    begin, end = header[name]["data_offsets"]
    raw = data[start + begin : start + end]
    wide = b"".join(b"\0\0" + raw[i : i + 2] for i in range(0, len(raw), 2))
    return tuple(header[name]["shape"]), list(struct.unpack(f"<{len(raw) // 2}f", wide))


def test_files_are_those_of_a_model(files):
    """Configuration, tokenizer and weights, and nothing else."""
    assert sorted(files) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_weights_are_the_same_everywhere(files):
    """The seed decides: every installation has the same bytes."""
    digest = hashlib.sha256(files["model.safetensors"]).hexdigest()
    assert digest == "42641d87d19c110ce4f9ee2c1b54e4ca40405fe32a68c2d3d70d22de6b7f2baa"
    assert tiny_files() == files


def test_weights_are_well_formed(files):
    """Tensors lie without gaps, each as long as its shape says, up to the end."""
    data = files["model.safetensors"]
    header, start = header_of(data)
    assert start % 8 == 0
    assert header.pop("__metadata__") == {"format": "pt"}
    assert len(header) == 3 + 2 * 9
    position = 0
    for entry in header.values():
        size = 2
        for length in entry["shape"]:
            size *= length
        assert entry["dtype"] == "BF16"
        assert entry["data_offsets"] == [position, position + size]
        position += size
    assert start + position == len(data)


def test_weights_are_spread_around_zero(files):
    """Random weights have mean 0 and the standard deviation 0.02."""
    shape, numbers = numbers_of(files, "model.layers.0.mlp.up_proj.weight")
    assert shape == (512, 256)
    mean = sum(numbers) / len(numbers)
    variance = sum(number * number for number in numbers) / len(numbers) - mean * mean
    assert abs(mean) < 0.0005
    assert abs(variance**0.5 - 0.02) < 0.001


def test_only_words_are_answered(files):
    """The output layer likes words, the end sometimes, and nothing else ever."""
    vocabulary = json.loads(files["tokenizer.json"])["model"]["vocab"]
    (size, width), numbers = numbers_of(files, "lm_head.weight")
    assert (size, width) == (len(vocabulary), 256)
    liking = dict(zip(vocabulary, numbers[::width], strict=True))
    assert liking["\u0120moon"] == 0.0
    assert liking["."] == 0.0
    assert liking["\u0120moo"] == -2.0
    assert liking["Q"] == -2.0
    assert liking["<|user|>"] == -2.0
    assert 0.09 < liking["<|end|>"] <= 0.1
    end = vocabulary["<|end|>"]
    assert set(numbers[end * width + 1 : (end + 1) * width]) == {0.0}


def test_configuration_matches_the_tokenizer(files):
    """The ids and sizes in the configuration are the tokenizer's."""
    config = json.loads(files["config.json"])
    tokenizer = json.loads(files["tokenizer.json"])
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    assert special["<|pad|>"] == config["pad_token_id"] == 0
    assert special["<|end|>"] == config["eos_token_id"] == 1
    assert config["vocab_size"] == len(tokenizer["model"]["vocab"]) == 516
    assert config["max_position_embeddings"] == 2048
    assert sorted(tokenizer["model"]["vocab"].values()) == list(range(516))


def test_chat_template_knows_every_role(files):
    """The names of roles in the template are tokens of their own."""
    template = json.loads(files["tokenizer_config.json"])["chat_template"]
    assert "message['role']" in template
    tokens = json.loads(files["tokenizer.json"])["model"]["vocab"]
    for role in ("system", "user", "assistant", "tool"):
        assert f"<|{role}|>" in tokens


@pytest.mark.engine
def test_every_text_survives_the_tokenizer(files):
    """Any text can be encoded, comes back unchanged, and words are one token each."""
    require(find_spec("tokenizers"), "tokenizers is not installed")
    from tokenizers import Tokenizer  # noqa: PLC0415  # comes with the engine

    tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
    for text in ("the moon, a river.", "Grüße 你好 🙂\n\t\x00", "<b>x = 1;</b>"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.encode(" moon river").tokens == ["\u0120moon", "\u0120river"]
    assert tokenizer.encode("<|user|>hi<|end|>").tokens[::3] == ["<|user|>", "<|end|>"]
