"""The first sentence of Home, its failure and its machine, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.portal_words import plain
from vllm_pkg.health import checker
from vllm_pkg.portal.failure_words import describe_fix, view_failure
from vllm_pkg.portal.feed import Look
from vllm_pkg.portal.headline import headline
from vllm_pkg.portal.machine_words import TokenRate, describe_memory
from vllm_pkg.portal.texts.catalogue import load_texts

EN = load_texts("en")
NOW = datetime(2025, 11, 28, 16, 12, 3, tzinfo=UTC)
NO_SWITCH = {"current": None, "waiting": None}
FAILURE = {
    "summary": "The engine ended.",
    "explanation": "It needs more memory.",
    "hint": "Set it. It is started again.",
    "fix": "Set it.",
    "evidence": "ValueError: no",
    "at": "2025-11-28T16:00:00+00:00",
    "changes": ({"name": "--x", "value": "1", "is_removed": False},),
}
LOADING = {"phase": "load", "etaS": None, "readyAfterS": None}


def _look(result, message="", *, failure=None, switch=NO_SWITCH, start=None):
    model = {"selection": "custom", "servedName": "org/m", "source": "org/m"}
    return Look(
        1,
        {
            "health": {"result": result, "message": message},
            "model": model,
            "start": start,
            "switch": switch,
            "lastFailure": failure,
        },
    )


@pytest.mark.parametrize(
    ("look", "sentence"),
    [
        (Look(), "Looking at the service."),
        (Look(1, None, {}), "The state of the service cannot be read."),
        (_look("success"), "Serving org/m."),
        (
            _look("disabled"),
            "No model is selected. Choose one to start serving.",
        ),
        (_look("starting"), "org/m is starting."),
        (_look("loading", start=LOADING), "Loading the weights."),
        (
            _look("failure", checker.NOT_RUNNING),
            "The service is not running. Start it with: vllm-pkg run",
        ),
        (_look("failure", checker.STOPPING), "The service is stopping."),
        (
            _look("failure", checker.TIMED_OUT),
            "org/m is not ready after 35 minutes.",
        ),
        (
            _look("failure", f"Stuck. {checker.STUCK_HINT}"),
            (
                "org/m is stuck: requests wait and no word comes out. A restart of the"
                " service helps."
            ),
        ),
        (_look("failure", "It broke."), "org/m is not available."),
    ],
)
def test_each_situation_has_its_sentence(look, sentence):
    """Whether it works stands in the first line, and what to do about it."""
    assert headline(EN, look, NOW) == sentence


def test_a_serving_model_tells_of_its_last_request():
    """How it is used is told where that is known, also that nobody has used it."""
    look = _look("success")
    last = NOW - timedelta(seconds=12)

    used = headline(EN, look, NOW, is_usage_known=True, last_request=last)
    unused = headline(EN, look, NOW, is_usage_known=True)

    assert used == "Serving org/m. Last request 12 seconds ago."
    assert unused == "Serving org/m. No request yet."


@pytest.mark.parametrize(
    ("look", "is_recent", "is_shown"),
    [
        (Look(), True, False),
        (_look("success", failure=FAILURE), True, False),
        (_look("disabled", failure=FAILURE), True, False),
        (_look("failure", checker.NOT_RUNNING, failure=FAILURE), True, False),
        (_look("failure", "It broke.", failure=FAILURE), True, True),
        (_look("failure", "It broke.", failure=FAILURE), False, False),
        (_look("loading", start=LOADING, failure=FAILURE), True, True),
        (_look("loading", start=LOADING, failure=FAILURE), False, False),
        (_look("failure", "It broke."), True, False),
    ],
)
def test_a_failure_is_shown_while_it_is_news(look, is_recent, is_shown):
    """It stays while the start is tried again, and goes once the service is ready."""
    view = view_failure(EN, look, is_recent=is_recent)

    assert (view is not None) is is_shown


def test_a_failure_tells_all_that_is_known():
    """What to do is said without what the host does next."""
    view = view_failure(EN, _look("failure", "It broke.", failure=FAILURE))

    assert view is not None
    assert view.title is None
    assert (view.summary, view.explanation, view.hint, view.evidence) == (
        "The engine ended.",
        "It needs more memory.",
        "Set it.",
        "ValueError: no",
    )


def test_a_failure_of_an_older_version_is_told_as_far_as_it_goes():
    """Records without a cause have no explanation, and their hint is all there is."""
    old = FAILURE | {"explanation": None, "evidence": None, "fix": ""}

    view = view_failure(EN, _look("failure", "It broke.", failure=old))

    assert view is not None
    assert (view.explanation, view.hint, view.evidence) == ("", FAILURE["hint"], "")


@pytest.mark.parametrize("reason", ["It ended.", None])
def test_a_failed_switch_is_a_failure_although_the_old_model_serves(reason):
    """What came of the switch is said, and why, with the changes that would help."""
    current = {
        "phase": "failed",
        "target": {"selection": None, "servedName": "new"},
        "previous": {"selection": None, "servedName": "old"},
        "reason": reason,
        "hint": None,
        "changedAt": "2025-11-28T16:00:00+00:00",
        "changes": [{"name": "--x", "value": None, "isRemoved": False}],
    }
    look = _look("success", switch={"current": current, "waiting": None})

    view = view_failure(EN, look)

    assert view is not None
    assert view.title == "The switch to new was given up. old has served all the time."
    assert (view.summary, view.hint) == (reason or "", "")
    assert describe_fix(EN, view.changes) == "Add --x"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "--max-model-len", "value": "24576"}, "Set context to 24,576"),
        ({"name": "--max-model-len", "value": "auto"}, "Set --max-model-len to auto"),
        ({"name": "--dtype", "value": "half"}, "Set --dtype to half"),
        ({"name": "--enforce-eager", "value": None}, "Add --enforce-eager"),
        ({"name": "--x", "value": None, "is_removed": True}, "Remove --x"),
        ({"name": "--x", "value": None, "isRemoved": True}, "Remove --x"),
    ],
)
def test_the_button_says_what_it_changes(change, text):
    """One change is named; of the context people know the number, not the option."""
    assert describe_fix(EN, [change]) == text


def test_several_changes_are_counted():
    """More than one change does not fit on a button."""
    changes = [{"name": "--x", "value": "1"}, {"name": "--y", "value": "2"}]

    assert describe_fix(EN, changes) == "Make 2 changes"


def _measured(weights, cache, *, is_same=True):
    return {"isSame": is_same, "weightsGib": weights, "kvCacheGib": cache}


@pytest.mark.parametrize(
    ("earlier", "text"),
    [
        ([], "24.0 GiB of memory for models"),
        ([_measured(3.4, 9.0, is_same=False)], "24.0 GiB of memory for models"),
        ([_measured(3.4, None)], "24.0 GiB of memory for models"),
        ([_measured(None, 9.0)], "9.0 GiB for the cache of the model"),
        (
            [_measured(3.4, 9.0), _measured(1.0, 1.0)],
            "3.4 GiB for the model, 9.0 GiB for its cache",
        ),
    ],
)
def test_memory_is_told_as_measured(earlier, text):
    """The newest start with the same settings tells; without one, the machine does."""
    assert plain(describe_memory(EN, 24.0, earlier)) == text


def test_tokens_per_second_come_from_two_looks():
    """The first look tells no rate, nor does one after the engine began anew."""
    rate = TokenRate()

    taken = [
        rate.take(at_s, tokens)
        for at_s, tokens in [
            (10.0, 100),
            (12.0, 180),
            (12.0, 190),
            (14.0, 5),
            (15.0, 9),
        ]
    ]

    assert taken == [None, 40.0, None, None, 4.0]
