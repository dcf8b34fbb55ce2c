"""Arguments that decide about memory, read as vLLM reads them."""

from __future__ import annotations

import pytest

from vllm_pkg.errors import InvalidArgument
from vllm_pkg.models.sizing.arguments import (
    ServeArguments,
    read_arguments,
    read_size,
)


def test_nothing_given_is_vllms_own_choice():
    """Without arguments, vLLM's defaults hold."""
    assert read_arguments({}) == ServeArguments()
    assert ServeArguments().utilization == 0.92


def test_everything_given():
    """Every option finds its place."""
    found = read_arguments(
        {
            "--max-model-len": "32k",
            "--kv-cache-dtype": "fp8",
            "--tensor-parallel-size": "2",
            "--pipeline-parallel-size": "3",
            "--max-num-seqs": "8",
            "--max-num-batched-tokens": "4096",
            "--gpu-memory-utilization": "0.8",
            "--kv-cache-memory-bytes": "2G",
            "--block-size": "32",
            "--dtype": "half",
            "--quantization": "fp8",
            "--enforce-eager": "",
            "--no-enable-prefix-caching": "",
            "--disable-hybrid-kv-cache-manager": "",
            "--no-async-scheduling": "",
            "--language-model-only": "",
            "--revision": "v2",
            "--speculative-config": "{}",
            "--hf-overrides": "{}",
            "--load-format": "auto",
            "--port": "1",
        }
    )
    assert found == ServeArguments(
        context_tokens=32000,
        cache_dtype="fp8",
        cards=2,
        stages=3,
        sequences=8,
        batched_tokens=4096,
        utilization=0.8,
        cache_bytes=2 * 1024**3,
        block_tokens=32,
        dtype="half",
        quantization="fp8",
        is_eager=True,
        is_prefix_caching=False,
        is_hybrid=False,
        is_asynchronous=False,
        is_text_only=True,
        revision="v2",
        not_counted=("--speculative-config",),
        unfollowed=("--hf-overrides",),
    )


@pytest.mark.parametrize("text", ["auto", "-1"])
def test_an_automatic_context(text):
    """Both spellings let vLLM take the longest context that fits."""
    found = read_arguments({"--max-model-len": text})
    assert found.is_context_automatic
    assert found.context_tokens is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8192", 8192),
        ("1k", 1000),
        ("1K", 1024),
        ("25.6k", 25600),
        ("1.5G", 1610612736),
        ("2m", 2000000),
        ("1.5", None),
        ("", None),
        ("k", None),
        ("-5", None),
    ],
)
def test_sizes(text, number):
    """Small letters are powers of ten, capital ones powers of two."""
    assert read_size(text) == number


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("--max-model-len", "long"),
        ("--max-num-seqs", "0"),
        ("--gpu-memory-utilization", "much"),
        ("--gpu-memory-utilization", "1.5"),
        ("--gpu-memory-utilization", "0"),
    ],
)
def test_a_number_that_is_none_is_refused(name, text):
    """What vLLM could not read either is refused, by its name."""
    with pytest.raises(InvalidArgument, match=name):
        read_arguments({name: text})
