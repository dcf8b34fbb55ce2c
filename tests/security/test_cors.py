"""Pages of other websites: what a real vLLM's application lets them read."""

from __future__ import annotations

from itertools import product

import pytest

from support.cors_probe import Case, ask_vllm
from support.guard_checks import WRONG_KEY, require_engine
from support.settings_factory import make_settings
from vllm_pkg.engine.command import build_command
from vllm_pkg.state import credentials
from vllm_pkg.state.store import Store

pytestmark = [
    pytest.mark.engine,
    pytest.mark.security,
    pytest.mark.timeout(420),
]

OURS, OTHERS = "https://ours.example", "https://others.example"
PREFLIGHT = {"access-control-request-method": "POST"}
# What the owner says of CORS; the first: nothing.
POLICIES = [
    [],
    ["--allowed-origins", f'["{OURS}"]'],
    ["--allowed-origins", f'["{OURS}"]', "--allow-credentials"],
    ["--allowed-origins", '["*"]'],
    ["--allowed-origins", '["*"]', "--allow-credentials"],
]
ORIGINS = [{"origin": OURS}, {"origin": OTHERS}, {}]


@pytest.fixture(name="answers", scope="module")
def answers_fixture(tmp_path_factory):
    """
    Return what guarded applications answer, by policy and origin.

    Each is asked with the key, with a wrong one, without one, and before a request.
    """
    require_engine()
    settings = make_settings(tmp_path_factory.mktemp("cors"))
    settings.main.mkdir()
    key = credentials.ensure_key(settings)
    requests = [
        (method, "/version", {**origin, **headers})
        for origin in ORIGINS
        for method, headers in (
            ("GET", {"authorization": f"Bearer {key}"}),
            ("GET", {"authorization": f"Bearer {WRONG_KEY}"}),
            ("GET", {}),
            ("OPTIONS", PREFLIGHT),
        )
    ]
    cases = []
    for policy in POLICIES:
        command = build_command(
            settings,
            Store(("m", *policy)),
            key,
            engine_version="0.32.0",
            is_local_model=True,
        )
        cases.append(Case(list(command.argv[2:]), dict(command.env), requests))
    return {
        (position, origin.get("origin")): row[4 * number : 4 * number + 4]
        for position, row in enumerate(ask_vllm(cases))
        for number, origin in enumerate(ORIGINS)
    }


def test_refusals_have_the_headers_of_answers(answers, guarantee):
    """Where CORS is configured, a page may read a 401 exactly where it may a 200."""
    compared = [
        (row[0].cors(), refused.cors())
        for (position, _), row in answers.items()
        for refused in row[1:3]
        if position > 0
    ]
    wrong = [pair for pair in compared if pair[0] != pair[1]]
    guarantee(
        "T27",
        "A refusal of the guard has the CORS headers that vLLM gives its answers",
        tried=len(compared),
        violations=len(wrong),
        unit="pairs of answers of a real vLLM's application",
        control="without --allowed-origins no answer allows an origin",
    )

    assert {row[0].status for row in answers.values()} == {200}
    assert {row[place].status for row in answers.values() for place in (1, 2)} == {401}
    assert wrong == []
    assert "access-control-allow-origin" not in answers[0, OURS][1].headers


def test_a_preflight_is_answered_where_an_origin_is_allowed(answers):
    """OPTIONS needs no key there; elsewhere it is refused like any other method."""
    statuses = {
        place: row[3].status for place, row in answers.items() if place[1] is not None
    }
    expected = {
        (position, origin): 401
        if position == 0
        else (400 if origin == OTHERS and position < 3 else 200)
        for position, origin in product(range(len(POLICIES)), (OURS, OTHERS))
    }
    allowed = answers[1, OURS][3].headers

    assert statuses == expected
    assert allowed["access-control-allow-origin"] == OURS
    assert "POST" in allowed["access-control-allow-methods"]
    # Without an origin it is no preflight.
    assert {answers[n, None][3].status for n in range(len(POLICIES))} == {401}
