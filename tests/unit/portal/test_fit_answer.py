"""The answer whether a model runs here, in sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.sizing_cases import FULL, architecture, cpu_machine, gpu_machine
from vllm_pkg.engine.options import load_options
from vllm_pkg.models.sizing.arguments import read_arguments
from vllm_pkg.models.sizing.assess import Assessment
from vllm_pkg.models.sizing.estimate import Correction, Problem, Situation
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.models.sizing.verdict import Verdict, decide
from vllm_pkg.portal.pages.models.fit_answer import (
    custom_prefill,
    describe_answer,
    is_repository,
    preset_prefill,
)
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts

EN = load_texts("en")
MODEL = "acme/model"


def _assess(weights_gib, machine, *, layers=64, values=None, notes=(), **more):
    model = architecture(*[FULL] * layers)
    situation = Situation(model, round(weights_gib * GIB), machine, **more)
    decision = decide(situation, read_arguments(values or {}))
    return Assessment(
        MODEL,
        decision.verdict,
        decision=decision,
        situation=situation,
        notes=notes,
    )


def _answer(assessment, *arguments, texts=EN):
    return describe_answer(texts, assessment, (MODEL, *arguments), load_options())


def test_a_model_that_runs_can_be_used_as_it_is():
    """The memory and the context are told; there is one thing to take over."""
    answer = _answer(_assess(2, gpu_machine(24), layers=8, notes=("Noted.",)))

    assert answer.verdict is Verdict.RUNS
    assert answer.title == "acme/model runs here."
    assert answer.details[0].endswith("on A GPU.")
    assert answer.details[1].startswith("Context of 32,768 tokens;")
    assert answer.foreign == ("Noted.",)
    assert [choice.change for choice in answer.choices] == [""]
    assert answer.choices[0].prefill == custom_prefill((MODEL,))


def test_a_change_that_helps_is_named_and_can_be_taken_over():
    """Flag and value stand in the title, and in what the form begins with."""
    assessment = _assess(14, gpu_machine(24), values={"--max-model-len": "32768"})
    answer = _answer(assessment, "--max-model-len", "32768")

    assert answer.verdict is Verdict.RUNS_WITH_CHANGE
    first = answer.choices[0]
    assert first.change in answer.title
    option, _, value = first.change.partition(" ")
    typed = first.prefill["config"]["value"]["args"].split()
    assert typed[typed.index(option) + 1] == value
    assert typed.count("--max-model-len") == 1
    assert first.prefill["config"]["selection"] == "custom"


def test_a_model_that_is_too_large_says_what_is_missing():
    """On one GPU and on several; nothing can be taken over."""
    one = _answer(_assess(60, gpu_machine(24)))
    several = _answer(_assess(200, gpu_machine(24, 24)))

    assert one.verdict is several.verdict is Verdict.DOES_NOT_RUN
    assert "of memory are missing, even with a short context." in one.title
    assert "missing on each of 2 GPUs" in several.title
    assert one.choices == several.choices == ()
    assert len(one.details) == 1


def test_a_model_that_no_change_helps_says_so():
    """There is no number of missing bytes then."""
    assessment = _assess(60, gpu_machine(24))
    decision = replace(assessment.decision, shortfall_bytes=0)

    answer = _answer(replace(assessment, decision=decision))

    assert (
        answer.title == "acme/model does not run here, and no two changes are enough."
    )


def test_an_unknown_answer_says_why_in_the_words_of_who_knows():
    """Reason and hint are told as they are; it can be tried all the same."""
    told = Assessment(MODEL, Verdict.UNKNOWN, "the Hub did not answer", "ask again")
    bare = Assessment(MODEL, Verdict.UNKNOWN, "nobody knows")

    answer = _answer(told)

    assert answer.title == "Whether acme/model runs here is not known."
    assert answer.foreign == ("The Hub did not answer.", "Ask again.")
    assert [choice.change for choice in answer.choices] == [""]
    assert _answer(bare).foreign == ("Nobody knows.",)


def test_the_answer_says_where_the_memory_is():
    """In main memory, or on each of several GPUs; what was learned is told."""
    learned = Correction(is_learned=True)
    cpu = _answer(_assess(2, cpu_machine(), layers=8, cpu_cache_bytes=4 * GIB))
    two = _answer(
        _assess(
            30,
            gpu_machine(24, 24),
            layers=8,
            values={"--tensor-parallel-size": "2"},
            correction=learned,
        ),
        "--tensor-parallel-size",
        "2",
    )

    assert cpu.details[0].endswith("in the main memory.")
    assert two.details[0].endswith("on each of 2 GPUs.")
    assert two.details[-1].startswith("Earlier starts on this machine")


def test_a_model_without_a_cache_says_so():
    """Its context takes no memory."""
    assessment = _assess(2, gpu_machine(24), layers=8)
    estimate = replace(assessment.decision.estimate, capacity_tokens=None)
    decision = replace(assessment.decision, estimate=estimate)

    answer = _answer(replace(assessment, decision=decision))

    assert answer.details[1].endswith("the model keeps no cache for it.")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("problem", list(Problem))
def test_each_problem_is_a_sentence_in_each_language(language, problem):
    """None of them is left without words."""
    assessment = _assess(60, gpu_machine(24))
    estimate = replace(assessment.decision.estimate, problem=problem)
    decision = replace(assessment.decision, estimate=estimate)

    answer = _answer(replace(assessment, decision=decision), texts=load_texts(language))

    assert answer.details[0].endswith(".")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("org/name", True),
        ("Org-1/na.me_2", True),
        ("name", False),
        ("org/name/more", False),
        ("org/na me", False),
        ("/org", False),
        ("", False),
    ],
)
def test_a_repository_has_an_owner_and_a_name(text, is_one):
    """Folders, presets and sentences are none."""
    assert is_repository(text) is is_one


def test_a_preset_is_taken_over_by_its_id():
    """The form of Set Model understands it."""
    assert preset_prefill("tiny") == {"config": {"selection": "tiny", "value": {}}}
