"""What is hidden in a support bundle, and what stays readable."""

from __future__ import annotations

import hashlib
import json
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from vllm_pkg.service.support.redaction import (
    HARMLESS,
    Redactor,
    is_harmless,
    is_secret_name,
    secrets_in,
)

KEY = "aB3dE5gH7jK9mN1pQ3sT5v"
PLAIN = Redactor()
unhurried = example_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TEXTS = st.text(max_size=60) | st.sampled_from(
    ['{"token": "abc"}', "api_key='x'", "--hf-token abc", "https://u:p@h", "secret:"]
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            TEXTS | st.sampled_from(["apiKey", "token", "secrets", "credentials"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("token hf_abcdefGHIJ rejected", "token hf_*** rejected"),
        ("sk-proj-abc_DEF-123", "sk-***"),
        ("Authorization: Bearer abc.def-123", "Authorization: *** ***"),
        ("got bearer abcdefgh,", "got bearer ***,"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic ***"),
        ("http://me:pass@host:80/a", "http://***@host:80/a"),
        ("HTTPS_PROXY=http://me@proxy", "HTTPS_PROXY=http://***@proxy"),
        ("GET /a?x=1&access_token=abc&y=2", "GET /a?x=1&access_token=***&y=2"),
        ("?X-Amz-Signature=00ff&a=b", "?X-Amz-Signature=***&a=b"),
        ("'api_key': ['abc', 'def'], 'x': 1", "'api_key': [\"***\"], 'x': 1"),
        ('"api_key": "abc", "x": 1', '"api_key": "***", "x": 1'),
        (r"{\"api_key\": \"abc\"}", r"{\"api_key\": \"***\"}"),
        ("hf_token=abc, seed=0", "hf_token=***, seed=0"),
        ("password: 123456", "password: 123456"),
        ("--hf-token abc --seed 1", "--hf-token *** --seed 1"),
        ("--api-key=abc --seed 1", "--api-key=*** --seed 1"),
        ("AKIAABCDEFGHIJKLMNOP", "AKIA***"),
        ("eyJhbGciOiJI.eyJzdWIi.abc x", "*** x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nab\n-----END RSA PRIVATE KEY-----!", "***!"),
        ("-----BEGIN PRIVATE KEY-----\nab", "***"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text, hidden):
    """Each of the usual shapes is hidden, and what stands around it stays."""
    assert PLAIN.text(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "max_num_batched_tokens=8192, tokenizer='org/name', tokens: 5",
        "time to first token: 0.42 s",
        "Loading DeepseekV32ForCausalLM took 3.5 s",
        "http://127.0.0.1:8000/v1?limit=5",
        "--max-num-batched-tokens 8192 --tokenizer org/name",
        "task-force, disk-usage-1234567",
        '{"hasHubToken": true, "token": null, "credentials": {"a": 1}}',
        "the key is in /a/b.json",
    ],
)
def test_what_is_no_secret_stays(text):
    """Counts, names of classes and addresses are what a log is read for."""
    assert PLAIN.text(text) == text


def test_what_is_known_is_hidden_in_each_spelling():
    """A secret is found as it is, in JSON, in Python's form, and in an address."""
    known = "p/a ß\"w'd\\%"
    redactor = Redactor([known, known[:6], "short", KEY])
    spelled = [known, json.dumps(known), repr(known), json.dumps({"a": [known]})]
    for text in (*spelled, "p%2Fa%20%C3%9F%22w%27d%5C%25", f"x{KEY}x"):
        assert "***" in redactor.text(text)
        assert "w" not in redactor.text(text)
    assert redactor.text("short") == "short"


def test_a_named_key_is_known_by_its_hash():
    """Of named keys only hashes are kept, and a log may still not show one."""
    redactor = Redactor(hashes=[hashlib.sha256(KEY.encode()).hexdigest()])

    assert redactor.text(f"key={KEY[::-1]} {KEY}, x{KEY}") == (
        f"key={KEY[::-1]} ***, x{KEY}"
    )


def test_the_home_is_not_named():
    """The name of the user is not told by the paths below the home."""
    redactor = Redactor(home="/home/me")

    assert redactor.text("/home/me/x /home/me /home/mean") == "~/x ~ /home/mean"


def test_documents_lose_secrets_by_name_by_option_and_by_variable():
    """Fields, options and variables are known by their names, whatever they hold."""
    document = {
        "apiKey": "x",
        "token": "",
        "kv_cache_tokens": 5,
        "serveArgs": ["a/b", "--hf-token", "x", "--seed", "1", "--key", 5],
        "serveEnv": [
            {"name": "ANY", "value": "x"},
            {"name": "NCCL_DEBUG", "value": "INFO"},
            {"name": "NCCL_DEBUG", "value": "a b/c"},
        ],
        "other": ("hf_abcdefgh", None, {"name": "x", "value": 1}),
    }

    assert PLAIN.document(document) == {
        "apiKey": "***",
        "token": "",
        "kv_cache_tokens": 5,
        "serveArgs": ["a/b", "--hf-token", "***", "--seed", "1", "--key", 5],
        "serveEnv": [
            {"name": "ANY", "value": "***"},
            {"name": "NCCL_DEBUG", "value": "INFO"},
            {"name": "NCCL_DEBUG", "value": "***"},
        ],
        "other": ["hf_***", None, {"name": "x", "value": 1}],
    }
    assert sorted(secrets_in(document)) == ["", "a b/c", "x", "x", "x"]


def test_names_tell_what_is_secret():
    """Words of a name decide, in each way to write it."""
    secret = ("apiKey", "api_key", "HF_TOKEN", "portalToken", "db-password", "APIKEY")
    plain = ("key", "keys", "tokens", "tokenizer", "keyboard", "authored", "selection")

    assert [name for name in secret if not is_secret_name(name)] == []
    assert [name for name in plain if is_secret_name(name)] == []
    assert [name for name in HARMLESS if is_secret_name(name)] == []
    assert is_harmless("NCCL_DEBUG", "INFO")
    assert not is_harmless("NCCL_DEBUGS", "INFO")


@unhurried
@given(DOCUMENTS)
def test_what_is_hidden_stays_json(document):
    """A document is still one after both steps, whatever stands in it."""
    text = json.dumps(PLAIN.document(document), indent=2, ensure_ascii=False)
    assert json.loads(Redactor([KEY]).known(text)) == PLAIN.document(document)


@unhurried
@given(st.text(max_size=30), st.text(max_size=30), st.text(min_size=6, max_size=20))
def test_no_known_secret_passes(before, after, secret):
    """Wherever a known secret stands in a text, it is not in the result."""
    redactor = Redactor([secret])
    found = redactor.text(f"{before}{secret}{after}")

    assert secret not in found or secret in "***" * 20


@pytest.mark.parametrize(
    "text", ["-", "a", "token=", "&x", "://", " ", "'", "eyJa", "[", "x@", "\n", "?"]
)
def test_no_text_makes_it_slow(text):
    """A line of 200 kB takes a moment, whatever it repeats."""
    began_s = time.process_time()
    PLAIN.text(text * (200_000 // len(text)))

    assert time.process_time() - began_s < 3
