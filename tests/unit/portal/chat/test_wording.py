"""Tests for what the page Try it says."""

from __future__ import annotations

import pytest

from vllm_pkg.portal.chat import wording
from vllm_pkg.portal.chat.answer import Answer
from vllm_pkg.portal.chat.kinds import Kind, Served
from vllm_pkg.portal.chat.problems import EngineProblem, Problem
from vllm_pkg.portal.situation import Situation
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts

ENGLISH = load_texts("en")
SERVED = Served("Qwen", Kind.CHAT, 4096)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("situation", Situation)
def test_each_situation_has_a_sentence_and_a_way_out(language, situation):
    """Whatever the service does, the page says it and leads on."""
    texts = load_texts(language)

    assert wording.headline(texts, situation, None)
    assert (situation in wording.WAYS_OUT) == (situation is not Situation.READY)


@pytest.mark.parametrize("kind", Kind)
def test_a_ready_model_is_named(kind):
    """The first line says what the model can do, and whether it can be asked."""
    served = Served("Qwen", kind)

    assert "Qwen" in wording.headline(ENGLISH, Situation.READY, served)
    assert wording.can_ask(Situation.READY, served) == (kind is not Kind.OTHER)
    assert not wording.can_ask(Situation.LOADING, served)
    assert not wording.can_ask(Situation.READY, None)


def test_measures_are_told_as_far_as_they_are_known():
    """Nothing is told of an answer that has not begun, and no rate of one token."""
    answer = Answer(0.0)
    assert wording.measures(ENGLISH, answer) == ""

    answer.first_s = answer.last_s = 0.5
    answer.tokens = 1
    assert wording.measures(ENGLISH, answer) == "First token after 0.50 s; 1 token."

    answer.last_s, answer.tokens = 2.5, 2001
    assert wording.measures(ENGLISH, answer) == (
        "First token after 0.50 s, then 1,000.0 tokens per second; 2,001 tokens."
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("problem", Problem)
def test_each_problem_has_a_sentence(language, problem):
    """Whatever goes wrong is told in words, with what the engine says of it."""
    assert wording.problem(load_texts(language), EngineProblem(problem), None)


def test_a_conversation_that_is_too_long_is_told_with_the_limit():
    """How much the model can read is told where it is known."""
    found = EngineProblem(Problem.TOO_LONG, "detail")

    assert "4,096 tokens" in wording.problem(ENGLISH, found, SERVED)
    assert "detail" in wording.problem(ENGLISH, found, None)


def test_a_similarity_is_written_as_the_language_does():
    """Two decimals, with the comma of the language."""
    told = wording.similarity(load_texts("de"), 2, 0.8349)

    assert told == "Text 2 verglichen mit dem ersten: 0,83"
