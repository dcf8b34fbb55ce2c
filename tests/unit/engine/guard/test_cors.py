"""What pages of other websites may read: as vLLM is told, and no more."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.guard.cors import CorsPolicy, find_policy, read_policy

ALLOW = b"access-control-allow-origin"
CREDENTIALS = (b"access-control-allow-credentials", b"true")
VARY = (b"vary", b"Origin")
OURS = (b"origin", b"https://a")
OTHERS = (b"origin", b"https://b")


@pytest.mark.parametrize(
    ("arguments", "origins", "credentials"),
    [
        (("--allowed-origins", '["*"]'), ["*"], False),
        (('--allowed_origins=["https://a"]',), ["https://a"], False),
        (("--allowed-origins", "[]", "--allowed-origins", '["a"]'), ["a"], False),
        # vLLM takes a text for a list.
        (("--allowed-origins", '"*"'), "*", False),
        (("--allow_credentials", '--allowed-origins=["a"]'), ["a"], True),
        (
            (
                "--allow-credentials",
                "--no-allow-credentials",
                "--allowed-origins",
                '"a"',
            ),
            "a",
            False,
        ),
    ],
)
def test_the_policy_is_what_vllm_reads(arguments, origins, credentials):
    """The last of equal options counts, in every accepted spelling."""
    policy = find_policy(("m", *arguments))
    assert policy == CorsPolicy(origins, credentials)
    assert read_policy(policy.as_text()) == policy


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--allowed-origins", "[]"),
        ("--allowed-origins=[ ]",),
        ("--allowed-origins",),
        ("--allowed-origins", "None"),
        ("--allowed-origins", "null"),
        ("--allowed-origins=",),
        ('--allowed-origins=""',),
        ("--allowed-origins", "1"),
        ("--allowed-origins", "[" * 100_000),
        ("--allowed-origins", '["*"]', "--allowed-origins", "[]"),
        ("--allow-credentials",),
    ],
)
def test_by_default_nobodys_pages_may(arguments):
    """Neither an empty list, nor what vLLM refuses, is a policy."""
    assert find_policy(("m", *arguments)) is None
    assert read_policy("") is None


@pytest.mark.parametrize(
    ("policy", "request_headers", "expected"),
    [
        (CorsPolicy(["*"], credentials=False), [], (VARY,)),
        (CorsPolicy(["*"], credentials=False), [OURS], (VARY, (ALLOW, b"*"))),
        (
            CorsPolicy(["*"], credentials=True),
            [OURS],
            (VARY, (ALLOW, b"https://a"), CREDENTIALS),
        ),
        (
            CorsPolicy(["https://a"], credentials=False),
            [(b"x", b"y"), OURS],
            (VARY, (ALLOW, b"https://a")),
        ),
        (CorsPolicy(["https://a"], credentials=False), [OTHERS], (VARY,)),
        (CorsPolicy(["https://a"], credentials=True), [OTHERS], (VARY, CREDENTIALS)),
        (CorsPolicy(["https://a"], credentials=False), [(b"origin", b"\xff")], (VARY,)),
    ],
)
def test_an_answer_gets_vllms_headers(policy, request_headers, expected):
    """They name an origin only where it is allowed."""
    assert policy.headers(request_headers) == expected
