"""What the service is doing, in one word, out of what the status tells."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.phases import Phase
from vllm_pkg.health import checker
from vllm_pkg.portal.feed import Look
from vllm_pkg.portal.situation import SIGNS, Situation, situation_of, word
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts


def _look(result, message="", phase=None):
    start = None if phase is None else {"phase": phase}
    health = {"result": result, "message": message}
    return Look(1, {"health": health, "start": start})


@pytest.mark.parametrize(
    ("look", "situation"),
    [
        (Look(), Situation.UNKNOWN),
        (Look(1, None, {"message": "It broke"}), Situation.UNKNOWN),
        (_look("success"), Situation.READY),
        (_look("disabled"), Situation.NO_MODEL),
        (_look("starting"), Situation.STARTING),
        (_look("loading", phase=Phase.PREPARE), Situation.STARTING),
        (_look("loading", phase=Phase.STARTING), Situation.STARTING),
        (_look("loading", phase=Phase.DOWNLOAD), Situation.DOWNLOADING),
        (_look("loading", phase=Phase.LOAD), Situation.LOADING),
        (_look("failure", checker.NOT_RUNNING), Situation.STOPPED),
        (_look("failure", checker.STOPPING), Situation.STOPPING),
        (_look("failure", f"{checker.TIMED_OUT} Now: loading."), Situation.LATE),
        (_look("failure", f"Stuck. {checker.STUCK_HINT}"), Situation.STUCK),
        (_look("failure", "It broke."), Situation.FAILED),
    ],
)
def test_each_health_result_is_a_situation(look, situation):
    """Results and messages of the health check each become one situation."""
    assert situation_of(look) is situation


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_situation_has_a_word_and_an_icon(language):
    """No two situations have the same word, and none is shown by colour alone."""
    words = [word(load_texts(language), situation) for situation in Situation]

    assert len(set(words)) == len(words)
    assert all(SIGNS[situation].icon for situation in Situation)
