"""
T29: nothing of a key can be guessed from what a wrong one is answered, or how fast.

The limit of failures per source that T29 names is one of the control plane, which has a
password that people choose; the API's keys are 131 bits (docs/decisions.md).
VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import vllm_pkg
from support.guarantees.plugin import is_long
from support.guarded import PRIMARY, bearer, make_guarded
from support.secret_rules import find_comparisons
from support.timings import T_MAX, leaking_find, least_t_values
from vllm_pkg.state import keys
from vllm_pkg.state.secrets import Role

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

PACKAGE = Path(vllm_pkg.__file__).parent


def test_t29_no_secret_is_compared_by_an_operator(guarantee):
    """T29: in no module does == or != meet something with a secret's name."""
    files = sorted(PACKAGE.rglob("*.py"))
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in files
        if (lines := find_comparisons(path.read_text()))
    }
    guarantee(
        "T29",
        "No secret is compared by an operator that stops at the first difference",
        tried=len(files),
        violations=len(found),
        unit="modules",
        control="each way to write such a comparison is found",
    )

    assert len(files) > 80
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        *("token == given", "given != entry.digest", "a == b == secret"),
        *("request.headers['x'] == api_key", "hash(given) == stored.token_hash"),
        *("key.hash != digest(given)", "self.presented == x", "given == load_key()"),
    ],
)
def test_the_rule_finds_what_it_forbids(code):
    """Each way to compare a secret by an operator is found."""
    assert find_comparisons(f"x = 1\n{code}\n") == [2]


@pytest.mark.parametrize(
    "code",
    ["name == X_API_KEY", "hmac.compare_digest(token, b)", "token is None", "key == 1"],
)
def test_the_rule_leaves_the_rest_alone(code):
    """Constants, identity and the right comparison are no violations."""
    assert find_comparisons(code) == []


STRANGE = [
    *(b"", b" ", b"  ", b"\0", b"\xff\xfe\xfd", "schlüssel".encode(), "键".encode()),
    *(b"None", b"null", b"undefined", b"*", b"%", b"' OR 1=1 --", b"\r\nx: y"),
    *(PRIMARY[:-1].encode(), PRIMARY[1:].encode(), PRIMARY.lower().encode()),
    *(PRIMARY.encode() + b"\0", PRIMARY.encode() + b"x", PRIMARY.encode() * 2),
    *(PRIMARY.encode("utf-16"), b"x" * 257, b"x" * 65_536, b"x" * 1024 * 1024),
    PRIMARY.encode() + b"\xff",
]


def test_t29_strange_keys_are_401(tmp_path, guarantee):
    """T29: bytes that are no text, none at all and a megabyte are just wrong keys."""
    guarded = make_guarded(tmp_path).start()
    statuses = [guarded.ask("GET", "/v1/models", bearer(key)) for key in STRANGE]
    wrong = [number for number, status in enumerate(statuses) if status != 401]
    guarantee(
        "T29",
        "Any bytes that are no key are answered with 401",
        tried=len(STRANGE),
        violations=len(wrong),
        unit="strange keys, up to a megabyte",
        control="the right key is answered with 200",
    )

    assert wrong == []
    assert guarded.ask("GET", "/v1/models", bearer(PRIMARY)) == 200


def test_t29_the_time_of_an_answer_tells_nothing(tmp_path, guarantee):
    """T29: keys that are wrong at the first and at the last character take the same."""
    tried = 200_000 if is_long() else 20_000
    guarded = make_guarded(tmp_path)
    keys.add_key(guarded.settings, "laptop", Role.USER, None, keys.now_utc())
    guarded.start()
    ring = guarded.guard._ring
    now_s = time.time()

    def ask(token: bytes) -> None:
        assert ring.find(token, now_s) is None

    first, floor = least_t_values(ask, PRIMARY, tried)
    mutant, _ = least_t_values(leaking_find(PRIMARY), PRIMARY, tried // 4)
    guarantee(
        "T29",
        "The time to refuse a key does not tell how much of it was right",
        tried=tried,
        violations=int(abs(first) >= T_MAX),
        unit=f"timings a round (Welch |t| {abs(first):.1f}, limit {T_MAX}, noise floor"
        f" {abs(floor):.1f})",
        control=f"a comparison character by character: |t| {abs(mutant):.0f}",
    )

    assert abs(mutant) > 2 * T_MAX
    assert abs(first) < T_MAX
