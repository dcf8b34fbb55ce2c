"""Tests for an answer that comes in pieces."""

from __future__ import annotations

import json

import pytest

from vllm_pkg.portal.chat.answer import Answer
from vllm_pkg.portal.chat.problems import EngineProblem, Problem


def _line(content=None, tokens=None, **more):
    choice = {"delta": {"content": content}, "finish_reason": None} | more
    usage = {"usage": {"completion_tokens": tokens}} if tokens is not None else {}
    return "data: " + json.dumps({"choices": [choice]} | usage)


def test_a_chat_answer_is_put_together_and_measured():
    """Time to the first token and the rate after it come from the stream itself."""
    answer = Answer(10.0)

    answer.take(": a comment", 10.1)
    answer.take(_line("", 0), 10.2)
    answer.take(_line("Hel", 1), 10.5)
    answer.take(_line("lo", 3), 11.0)
    answer.take(_line("", 4, finish_reason="stop"), 11.5)
    answer.take('data: {"choices": [], "usage": {"completion_tokens": 5}}', 12)
    answer.take("data: [DONE]", 12)

    assert answer.text == "Hello"
    assert answer.finish_reason == "stop"
    assert not answer.is_cut
    assert answer.tokens == 5
    assert answer.first_token_s == pytest.approx(0.5)
    assert answer.tokens_per_s == pytest.approx(4 / 0.5)


def test_reasoning_is_kept_apart():
    """What a model thinks first is no part of its answer, and counts as first token."""
    answer = Answer(0.0)

    answer.take(_line(delta={"reasoning": "hm"}), 1)
    answer.take(_line(delta={"reasoning_content": "m"}), 2)
    answer.take(_line("yes", finish_reason="length"), 3)

    assert (answer.reasoning, answer.text) == ("hmm", "yes")
    assert answer.first_token_s == 1
    assert answer.is_cut


def test_a_completion_has_its_text_elsewhere():
    """The pieces of a completion have no delta."""
    answer = Answer(0.0)

    answer.take('data: {"choices": [{"text": "on"}], "usage": null}', 1)

    assert answer.text == "on"


@pytest.mark.parametrize(
    ("tokens", "times"), [(None, (1, 2)), (1, (1, 1)), (2, (1, 1)), (None, ())]
)
def test_where_there_is_nothing_to_measure_no_rate_is_told(tokens, times):
    """A rate of one token, or in no time, would be made up."""
    answer = Answer(0.0, tokens=tokens)
    for time in times:
        answer.take(_line("x"), time)

    assert answer.tokens_per_s is None
    assert answer.first_token_s == (1 if times else None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('data: {"error": {"message": "boom", "code": 500}}', Problem.FAILED),
        ('data: {"error": {"message": "m", "code": "x"}}', Problem.FAILED),
        ('data: {"error": "busy"}', Problem.FAILED),
        ('data: {"error": {"message": "no", "code": 400}}', Problem.REFUSED),
        ('data: {"choices', Problem.BROKEN_OFF),
        ("data: 7", Problem.BROKEN_OFF),
    ],
)
def test_an_error_in_the_stream_is_one(line, problem):
    """An engine that fails in the middle says so in the stream."""
    with pytest.raises(EngineProblem) as caught:
        Answer(0.0).take(line, 1.0)

    assert caught.value.problem is problem
