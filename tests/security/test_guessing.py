"""
T29: nothing of a key can be guessed from what a wrong one is answered, or how fast.

The limit of failures per source that T29 names is one of the control plane, which has a
password that people choose; the API's keys are 131 bits (docs/decisions.md).
VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from pathlib import Path

import pytest

import vllm_pkg
from support.guarantees.plugin import is_long
from support.guarded import PRIMARY, bearer, make_guarded
from support.secret_rules import find_comparisons
from vllm_pkg.state import keys
from vllm_pkg.state.secrets import Role

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

PACKAGE = Path(vllm_pkg.__file__).parent
# Beyond it dudect calls two sets of timings different: one chance in 150,000.
T_MAX = 4.5
# The slowest are interrupts and the like, and say nothing of the comparison.
KEPT_SHARE = 0.9


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

    first, floor = _least_t_values(ask, tried)
    mutant, _ = _least_t_values(_leaking_find, tried // 4)
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


def _leaking_find(token: bytes) -> None:
    """Compare as nobody should: it stops at the first difference."""
    for given, right in zip(token, PRIMARY.encode(), strict=False):
        if given != right:
            return


def _least_t_values(ask, tried) -> tuple[float, float]:
    """Time it up to three times: a difference that is there shows each time."""
    values = []
    for _ in range(3):
        values.append(_t_values(ask, tried))
        if abs(values[-1][0]) < T_MAX:
            break
    return min(values, key=lambda pair: abs(pair[0]))


def _t_values(ask, tried) -> tuple[float, float]:
    """
    Time keys with 0 and with 21 right characters, in an order that is drawn.

    Returns:
        Welch's t of the two, and of two halves of the first: what chance alone gives.
    """
    draw = random.Random(29)  # noqa: S311  # the same order each time
    tokens = {0: b"#" + PRIMARY[1:].encode(), 21: PRIMARY[:-1].encode() + b"#"}
    assert {len(token) for token in tokens.values()} == {len(PRIMARY)}
    taken: dict[int, list[int]] = {0: [], 21: []}
    # Made before: neither where a key lies nor what its making leaves behind may count.
    order = [draw.choice((0, 21)) for _ in range(tried)]
    keys_in_order = [bytes(bytearray(tokens[right])) for right in order]
    gc.disable()
    try:
        for right, token in zip(order, keys_in_order, strict=True):
            began = time.perf_counter_ns()
            ask(token)
            taken[right].append(time.perf_counter_ns() - began)
    finally:
        gc.enable()
    limit = sorted(taken[0] + taken[21])[int(tried * KEPT_SHARE)]
    none, most = ([t for t in times if t <= limit] for times in taken.values())
    return _welch(none, most), _welch(none[::2], none[1::2])


def _welch(one, other) -> float:
    squares = sum(statistics.variance(times) / len(times) for times in (one, other))
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(squares)
