"""How much memory stored tensors take once they are loaded."""

from __future__ import annotations

import json
import struct

import pytest

from support.sizing_cases import FULL, architecture
from vllm_pkg.models.sizing.tensors import Tensor, header_bytes, parse_header
from vllm_pkg.models.sizing.unknown import NotKnown
from vllm_pkg.models.sizing.weights import (
    Loading,
    card_bytes,
    file_bytes,
    loaded_bytes,
)

MODEL = architecture(FULL, FULL)
PLAIN = Loading(value_bytes=2)


def tensor(name: str, dtype: str = "BF16", elements: int = 1000) -> Tensor:
    """Return a matrix of ten columns."""
    size = {"BF16": 2, "F32": 4, "F8_E4M3": 1, "I32": 4}[dtype] * elements
    return Tensor(name, dtype, (elements // 10, 10), size)


def test_a_header_is_parsed():
    """Names, types, shapes and sizes come out of a header; metadata is no tensor."""
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]},
        }
    ).encode()
    (found,) = parse_header(header)
    assert found == Tensor("a", "BF16", (2, 3), 12)
    assert found.elements == 6
    assert header_bytes(struct.pack("<Q", 77) + b"rest") == 77


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"", "empty"),
        (b"\0" * 8, "no safetensors file"),
        (b"\xff" * 8, "no safetensors file"),
    ],
)
def test_something_else_is_no_header(start, words):
    """An empty file, or one of another format, is told."""
    with pytest.raises(NotKnown, match=words):
        header_bytes(start)


@pytest.mark.parametrize(
    "header", [b"{", b"[]", b'{"a": 1}', b'{"a": {}}', b'{"a": {"data_offsets": [1]}}']
)
def test_a_damaged_header_is_told(header):
    """A header that is no list of tensors is refused."""
    with pytest.raises(NotKnown, match="damaged"):
        parse_header(header)


@pytest.mark.parametrize(
    ("stored", "size_bytes"),
    [
        (tensor("model.layers.0.mlp.up_proj.weight"), 2000),
        (tensor("model.layers.0.mlp.up_proj.weight", "F32"), 2000),
        (tensor("model.layers.1.self_attn.rotary_emb.inv_freq", "F32"), 0),
        (tensor("model.layers.2.mlp.up_proj.weight"), 0),
        (tensor("mtp.layers.0.mlp.up_proj.weight"), 0),
        (tensor("model.vision_tower.layers.20.fc1.weight"), 2000),
        (tensor("lm_head.weight"), 2000),
        (tensor("model.layers.0.mlp.experts.gate_up_proj_blocks", "F8_E4M3"), 1000),
    ],
)
def test_what_of_a_plain_checkpoint_is_loaded(stored, size_bytes):
    """Numbers become 16 bits; layers for drafting and old leftovers are not loaded."""
    assert loaded_bytes([stored], MODEL, PLAIN) == size_bytes


def test_a_tied_output_layer_is_not_loaded_again():
    """An output layer that is the embedding counts once, though stored twice."""
    tied = architecture(FULL, is_tied=True)
    stored = [tensor("model.embed_tokens.weight"), tensor("lm_head.weight")]
    assert loaded_bytes(stored, tied, PLAIN) == 2000


def test_a_compressed_checkpoint_counts_as_stored():
    """Of a compressed checkpoint every tensor counts as it is stored, scales too."""
    compressed = architecture(FULL, quantization="awq")
    stored = [tensor("a.qweight", "I32"), tensor("a.scales", "F32")]
    assert loaded_bytes(stored, compressed, PLAIN) == 8000
    # It stays what it is, whatever is asked for.
    again = Loading(2, quantization="awq")
    assert loaded_bytes(stored, compressed, again) == 8000


@pytest.mark.parametrize(
    ("name", "quantization", "size_bytes"),
    [
        ("model.layers.0.mlp.up_proj.weight", "fp8", 1000),
        ("model.layers.0.mlp.up_proj.weight", "bitsandbytes", 530),
        ("model.embed_tokens.weight", "fp8", 2000),
        ("model.layers.0.input_layernorm.weight", "fp8", 2000),
    ],
)
def test_compression_while_loading(name, quantization, size_bytes):
    """Matrices of the layers shrink; embeddings and norms stay."""
    loading = Loading(2, quantization=quantization)
    assert loaded_bytes([tensor(name)], MODEL, loading) == size_bytes


def test_a_vector_is_never_compressed():
    """Biases stay in 16 bits."""
    bias = Tensor("model.layers.0.q_proj.bias", "BF16", (1000,), 2000)
    assert loaded_bytes([bias], MODEL, Loading(2, quantization="fp8")) == 2000


def test_compression_that_is_not_known_is_told():
    """Another way to compress plain weights is not guessed at."""
    with pytest.raises(NotKnown, match="--quantization gptq"):
        loaded_bytes([], MODEL, Loading(2, quantization="gptq"))


@pytest.mark.parametrize(
    ("loading", "size_bytes"),
    [
        (Loading(2, is_drafting=True), 6000),
        (Loading(2, is_text_only=True), 2000),
        (Loading(4), 8000),
    ],
)
def test_what_arguments_add_or_leave_out(loading, size_bytes):
    """Drafting loads its layers; text alone leaves out what sees; 32 bits double."""
    stored = [
        tensor("model.layers.0.mlp.up_proj.weight"),
        tensor("mtp.layers.0.mlp.up_proj.weight"),
        tensor("visual.blocks.0.weight"),
    ]
    assert loaded_bytes(stored, MODEL, loading) == size_bytes


def test_only_sizes_of_files():
    """Without headers the files count; compression while loading is then not known."""
    assert file_bytes(123, MODEL, PLAIN) == 123
    with pytest.raises(NotKnown, match="--quantization fp8"):
        file_bytes(123, MODEL, Loading(2, quantization="fp8"))


@pytest.mark.parametrize(
    ("cards", "stages", "size_bytes"), [(1, 1, 1000), (2, 1, 510), (1, 2, 510)]
)
def test_a_card_has_its_share(cards, stages, size_bytes):
    """Cards share the weights; two percent are on each of them."""
    assert card_bytes(1000, cards, stages) == size_bytes
