"""Tests for what a model can be asked for, and how."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_pkg.portal.chat.kinds import (
    COMPLETION_TOKENS,
    AnswerSettings,
    Kind,
    Served,
    cosine,
    kind_of,
    question,
)

CHAT = Served("m", Kind.CHAT, 512)
TURNS = (("user", "a"), ("assistant", "b"), ("user", "c"))


@pytest.mark.parametrize(
    ("paths", "has_template", "kind"),
    [
        ({"/v1/chat/completions", "/v1/completions"}, True, Kind.CHAT),
        ({"/v1/chat/completions", "/v1/completions"}, False, Kind.COMPLETION),
        ({"/v1/embeddings", "/pooling"}, False, Kind.EMBEDDING),
        ({"/classify"}, True, Kind.OTHER),
    ],
)
def test_the_paths_tell_what_a_model_does(paths, has_template, kind):
    """VLLM offers the paths of the tasks that its model can do."""
    assert kind_of(paths, has_template=has_template) is kind


def test_a_conversation_is_sent_whole():
    """The system prompt comes first; what is left empty is left to the model."""
    path, body = question(CHAT, AnswerSettings("be brief", 0.0, 7), TURNS)

    assert path == "/v1/chat/completions"
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert (body["temperature"], body["max_tokens"]) == (0.0, 7)

    _, body = question(CHAT, AnswerSettings(), TURNS)
    assert "temperature" not in body
    assert "max_tokens" not in body
    assert len(body["messages"]) == 3


def test_a_completion_goes_on_with_the_last_text():
    """Without a chat template only the last text counts, and the length is given."""
    served = Served("m", Kind.COMPLETION)

    path, body = question(served, AnswerSettings("unused"), TURNS)

    assert path == "/v1/completions"
    assert body["prompt"] == "c"
    assert body["max_tokens"] == COMPLETION_TOKENS
    assert question(served, AnswerSettings(max_tokens=3), TURNS)[1]["max_tokens"] == 3


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        ([1, 0], [2, 0], 1.0),
        ([1, 0], [0, 3], 0.0),
        ([1, 1], [-1, -1], -1.0),
        ([0, 0], [1, 1], 0.0),
        ([3, 4], [4, 3], 0.96),
    ],
)
def test_the_cosine_is_that_of_the_angle(a, b, value):
    """Length says nothing; a vector without length is near to nothing."""
    assert cosine(a, b) == pytest.approx(value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_a_cosine_stays_in_its_range(vector):
    """Rounding never leads out of -1 to 1."""
    assert -1 <= cosine(vector, vector) <= 1
