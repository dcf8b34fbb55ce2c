"""Tests for telling why an engine did not answer."""

from __future__ import annotations

import pytest

from vllm_pkg.portal.chat.problems import DETAIL_MAX, Problem, problem_of

TOO_LONG = (
    "This model's maximum context length is 512 tokens. However, your prompt contains "
    "600 input tokens, which exceeds this limit even without any output tokens."
)
NO_TEMPLATE = (
    "As of transformers v4.44, default chat template is no longer allowed, so you must "
    "provide a chat template if the tokenizer does not define one."
)


@pytest.mark.parametrize(
    ("status", "body", "problem", "detail"),
    [
        (400, f'{{"error": {{"message": "{TOO_LONG}"}}}}', Problem.TOO_LONG, TOO_LONG),
        (400, f'{{"message": "{NO_TEMPLATE}"}}', Problem.NO_TEMPLATE, NO_TEMPLATE),
        (400, '{"error": "bad temperature"}', Problem.REFUSED, "bad temperature"),
        (422, '{"detail": [{"loc": 1}]}', Problem.REFUSED, '[{"loc": 1}]'),
        (401, '{"error": "Unauthorized"}', Problem.WRONG_KEY, "Unauthorized"),
        (403, "", Problem.WRONG_KEY, ""),
        (404, '{"error": {"message": "gone"}}', Problem.NO_MODEL, "gone"),
        (429, "{}", Problem.BUSY, "{}"),
        (503, "busy\n", Problem.BUSY, "busy"),
        (500, "x" * 999, Problem.FAILED, "x" * DETAIL_MAX),
    ],
)
def test_an_error_of_the_engine_is_understood(status, body, problem, detail):
    """Status and text of vLLM's errors lead to what a person can do."""
    found = problem_of(status, body)

    assert (found.problem, found.detail) == (problem, detail)
