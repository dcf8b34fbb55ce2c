"""
The embedded default: a two-layer Llama with random weights that talks nonsense.

It needs no download and no other package, starts in seconds on a CPU, and proves that
everything up to an answer works. The files are made with the standard library alone and
are the same bytes each time.

The nonsense is readable: the output layer reads the first element of the hidden state,
which every token sets to one, and pushes everything but whole words down. So an answer
is words and full stops, and ends by itself after some eighty of them.
"""

from __future__ import annotations

import json
import random
import struct
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

# Raise it with every change of the files: it makes installations write them anew.
REVISION: Final = "1"

_HIDDEN: Final = 256
_FEED_FORWARD: Final = 512
_LAYERS: Final = 2
_HEADS: Final = 4
_KV_HEADS: Final = 2
_HEAD_WIDTH: Final = 64
_CONTEXT_TOKENS: Final = 2048

_SEED: Final = 20260101
_SCALE: Final = 0.02
_OUTPUT_SCALE: Final = 0.3
# Weights on the first element of the hidden state, which is about 15 before the output
# layer: -30 is never drawn; +1.5 beside 114 words around 0 is drawn once in some
# eighty, and never when the most likely token is taken.
_NEVER: Final = -2.0
_END_NOW_AND_THEN: Final = 0.1

_PAD: Final = "<|pad|>"
_END: Final = "<|end|>"
_ROLES: Final = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
_SPECIAL: Final = (_PAD, _END, *_ROLES)
_PUNCTUATION: Final = (".", ",")
_WORDS: Final = (
    "the a an and or of to in on at by for with from up out as but so if then than "
    "that this it is was are be has had can may will do did not no all one two few "
    "more most some any her his she he they we you my our who what when how why day "
    "sun moon star sky sea rain wind snow tree leaf hill road door room lamp book "
    "song bird cat dog fish horse stone river city garden bread tea salt milk old new "
    "small tall slow red green blue warm cold quiet bright sings runs sees holds "
    "finds asks reads waits opens"
)
_CHAT_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + (message['content'] or '') + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class _Tensor:
    """Shape and bfloat16 data, row by row."""

    shape: tuple[int, ...]
    data: bytes


def tiny_files() -> dict[str, bytes]:
    """Return the content of every file of the model, by name."""
    merges = _merges()
    vocabulary = _vocabulary(merges)
    return {
        "config.json": _json(_config(vocabulary)),
        "generation_config.json": _json(_generation_config(vocabulary)),
        "tokenizer.json": _json(_tokenizer(vocabulary, merges)),
        "tokenizer_config.json": _json(_tokenizer_config()),
        "model.safetensors": _safetensors(_tensors(vocabulary)),
    }


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _config(vocabulary: dict[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": _HIDDEN,
        "intermediate_size": _FEED_FORWARD,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _KV_HEADS,
        "head_dim": _HEAD_WIDTH,
        "max_position_embeddings": _CONTEXT_TOKENS,
        "vocab_size": len(vocabulary),
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "dtype": "bfloat16",
        **_generation_config(vocabulary),
    }


def _generation_config(vocabulary: dict[str, int]) -> dict[str, Any]:
    # No token begins a text: the chat template begins with a role.
    return {"eos_token_id": vocabulary[_END], "pad_token_id": vocabulary[_PAD]}


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": _CONTEXT_TOKENS,
        "eos_token": _END,
        "pad_token": _PAD,
        "chat_template": _CHAT_TEMPLATE,
    }


def _byte_characters() -> tuple[str, ...]:
    """
    Return the character that stands for each byte in byte-level BPE.

    Bytes that print stand for themselves, the others for characters from U+0100 on.
    Source: the ByteLevel pre-tokenizer of Hugging Face tokenizers.
    """
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(
        chr(byte) if byte in printing else chr(next(others)) for byte in range(0x100)
    )


def _whole_words() -> tuple[str, ...]:
    """Return the words as tokens, each with the space before it."""
    space = _byte_characters()[ord(" ")]
    return tuple(space + word for word in _WORDS.split())


def _merges() -> list[tuple[str, str]]:
    """Return the merges that build every word, letter by letter."""
    merges: dict[tuple[str, str], None] = {}
    for word in _whole_words():
        for length in range(1, len(word)):
            merges[word[:length], word[length]] = None
    return list(merges)


def _vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Return the id of every token: special ones, bytes, then merged ones."""
    tokens = [*_SPECIAL, *_byte_characters(), *(left + right for left, right in merges)]
    return {token: number for number, token in enumerate(tokens)}


def _tokenizer(
    vocabulary: dict[str, int], merges: list[tuple[str, str]]
) -> dict[str, Any]:
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(name, vocabulary[name]) for name in _SPECIAL],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "vocab": vocabulary,
            "merges": [list(pair) for pair in merges],
        },
    }


def _added_token(content: str, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _tensors(vocabulary: dict[str, int]) -> dict[str, _Tensor]:
    """Return every tensor, by name."""
    source = random.Random(_SEED)  # noqa: S311  # the same nonsense everywhere
    size = len(vocabulary)
    embedding = _random_matrix(source, size, _HIDDEN, _SCALE)
    output = bytearray(_random_matrix(source, size, _HIDDEN, _OUTPUT_SCALE))
    # The end comes by chance alone, whatever stands before it.
    row_bytes = 2 * _HIDDEN
    end = vocabulary[_END] * row_bytes
    output[end : end + row_bytes] = bytes(row_bytes)
    tensors = {
        "model.embed_tokens": _Tensor(
            (size, _HIDDEN), _first_column(embedding, [1.0] * size)
        ),
        "model.norm": _Tensor((_HIDDEN,), _ones(_HIDDEN)),
        "lm_head": _Tensor(
            (size, _HIDDEN), _first_column(output, _preferences(vocabulary))
        ),
    }
    # The element that chooses words is kept out of the layers.
    norm = _Tensor((_HIDDEN,), _first_column(_ones(_HIDDEN), [0.0]))
    for layer in range(_LAYERS):
        prefix = f"model.layers.{layer}"
        tensors[f"{prefix}.input_layernorm"] = norm
        tensors[f"{prefix}.post_attention_layernorm"] = norm
        for name, (rows, columns) in _layer_shapes().items():
            data = _random_matrix(source, rows, columns, _SCALE)
            tensors[f"{prefix}.{name}"] = _Tensor((rows, columns), data)
    return {f"{name}.weight": tensor for name, tensor in tensors.items()}


def _layer_shapes() -> dict[str, tuple[int, int]]:
    """Return rows and columns of every matrix of a layer."""
    return {
        "self_attn.q_proj": (_HEADS * _HEAD_WIDTH, _HIDDEN),
        "self_attn.k_proj": (_KV_HEADS * _HEAD_WIDTH, _HIDDEN),
        "self_attn.v_proj": (_KV_HEADS * _HEAD_WIDTH, _HIDDEN),
        "self_attn.o_proj": (_HIDDEN, _HEADS * _HEAD_WIDTH),
        "mlp.gate_proj": (_FEED_FORWARD, _HIDDEN),
        "mlp.up_proj": (_FEED_FORWARD, _HIDDEN),
        "mlp.down_proj": (_HIDDEN, _FEED_FORWARD),
    }


def _preferences(vocabulary: dict[str, int]) -> list[float]:
    """Return per token how much the output layer likes it."""
    words = {*_whole_words(), *_PUNCTUATION}
    liked = {**dict.fromkeys(words, 0.0), _END: _END_NOW_AND_THEN}
    return [liked.get(token, _NEVER) for token in vocabulary]


def _random_matrix(
    source: random.Random, rows: int, columns: int, scale: float
) -> bytes:
    """Return bfloat16 numbers, normally distributed around 0 in 256 levels."""
    normal = NormalDist(0.0, scale)
    levels = b"".join(_bfloat16(normal.inv_cdf((n + 0.5) / 256)) for n in range(256))
    drawn = source.randbytes(rows * columns)
    data = bytearray(2 * len(drawn))
    data[0::2] = drawn.translate(levels[0::2])
    data[1::2] = drawn.translate(levels[1::2])
    return bytes(data)


def _ones(length: int) -> bytes:
    return _bfloat16(1.0) * length


def _first_column(matrix: bytes | bytearray, values: list[float]) -> bytes:
    """Return a matrix as wide as the hidden state with another first column."""
    data = bytearray(matrix)
    column = b"".join(_bfloat16(value) for value in values)
    data[0 :: 2 * _HIDDEN] = column[0::2]
    data[1 :: 2 * _HIDDEN] = column[1::2]
    return bytes(data)


def _bfloat16(value: float) -> bytes:
    """Return the upper half of the 32-bit number, little-endian."""
    return struct.pack("<f", value)[2:]


def _safetensors(tensors: dict[str, _Tensor]) -> bytes:
    """
    Return a file in the safetensors format.

    Length of the header, header in JSON padded to 8 bytes, data without gaps.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, tensor in tensors.items():
        end = position + len(tensor.data)
        header[name] = {
            "dtype": "BF16",
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(tensor.data for tensor in tensors.values())
    return struct.pack("<Q", len(text)) + text + body
