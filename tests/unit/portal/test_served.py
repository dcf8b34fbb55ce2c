"""How people call what is served, and what it is good for."""

from __future__ import annotations

import pytest

from vllm_pkg.portal.served import is_embedding, model_name


@pytest.mark.parametrize(
    ("selection", "served", "name"),
    [
        ("qwen3-1.7b", "Qwen/Qwen3-1.7B", "Qwen3 1.7B"),
        ("custom", "org/model", "org/model"),
        (None, None, ""),
    ],
)
def test_a_preset_has_its_name(selection, served, name):
    """A preset is called as in the form, anything else as its clients call it."""
    assert model_name({"selection": selection, "servedName": served}) == name


@pytest.mark.parametrize(
    ("selection", "arguments", "expected"),
    [
        ("minilm", (), True),
        ("qwen3-1.7b", ("--runner", "pooling"), False),
        ("custom", ("org/model", "--runner", "pooling"), True),
        ("custom", ("org/model", "--runner=pooling"), True),
        ("custom", ("org/model", "--runner", "generate"), False),
        (None, (), False),
    ],
)
def test_embeddings_are_known(selection, arguments, expected):
    """A preset knows what it is for; of other models the arguments tell."""
    assert is_embedding(selection, arguments) is expected
