"""Typed arguments: splitting them, and the models they name."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.arguments import models_named, split_arguments
from vllm_pkg.errors import FieldProblem, InvalidArgument

PATH = ("config", "value", "args")


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("org/name", ("org/name",)),
        ("a/b  --x\t1\n--y\r\n2 ", ("a/b", "--x", "1", "--y", "2")),
        ("""a/b --c '{"d": "e f"}'""", ("a/b", "--c", '{"d": "e f"}')),
        (r'a/b "{\"d\": 1}"', ("a/b", '{"d": 1}')),
        (r"a/b c\ d", ("a/b", "c d")),
        ("a/b --x=''", ("a/b", "--x=")),
        ("a/b $HOME `id` $(id) ~ *", ("a/b", "$HOME", "`id`", "$(id)", "~", "*")),
        ("a/b #c", ("a/b", "#c")),
        ("a/b 'two\nlines'", ("a/b", "two\nlines")),
        ("a/b --x é-–", ("a/b", "--x", "é-–")),  # noqa: RUF001  # a dash in a value
    ],
)
def test_splitting(text, arguments):
    """Text is split as a shell does, quotes survive, and nothing is expanded."""
    assert split_arguments(text) == arguments


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must not be empty; begin with the model, as org/name"),
        (" \n", "must not be empty; begin with the model, as org/name"),
        (
            'a/b --c \'{"d": 1} and so on and on',
            'the quote at line 1, column 9 is never closed: \'{"d": 1} and so on and ',
        ),
        (
            'a/b\n--c "d\\" e\nf',
            'the quote at line 2, column 5 is never closed: "d\\" e',
        ),
        (
            "a/b 'x' \"y\" it's",
            "the quote at line 1, column 15 is never closed: 's",
        ),
        (
            r"a/b '\' 'x",
            "the quote at line 1, column 9 is never closed: 'x",
        ),
        ("a/b \\", "ends with a backslash that escapes nothing; remove it"),
        ("a/b\0", "control character 0x00 must not stand in it"),
        ("a/b \x1b[0m", "control character 0x1b must not stand in it"),
        ("a/b\rc", "control character 0x0d must not stand in it"),
        (
            "a/b –port",  # noqa: RUF001  # the character that is refused
            "has the character U+2013, which only looks like - or a space",
        ),
        (
            "a/b\u00a0--x",
            "has the character U+00A0, which only looks like - or a space",
        ),
    ],
)
def test_text_that_cannot_be_split(text, problem):
    """What is no command line is refused with the place and what to do."""
    with pytest.raises(InvalidArgument) as caught:
        split_arguments(text)
    assert caught.value.fields == (FieldProblem(PATH, problem),)
    assert caught.value.message == f"config.value.args: {problem}"


@pytest.mark.parametrize(
    ("arguments", "models"),
    [
        ((), ()),
        (("a/b", "--max-model-len", "1"), ("a/b",)),
        (("--x", "--model", "a/b"), ("a/b",)),
        (("a/b", "--speculative-config", '{"model": "c/d"}'), ("a/b", "c/d")),
        (("a/b", "--speculative_config={}"), ("a/b",)),
        (("a/b", "-sc", '{"model": 1}', "--tokenizer=e/f"), ("a/b", "e/f")),
        (("a/b", "--speculative-config.model", "c/d"), ("a/b", "c/d")),
        (("a/b", "-sc", "{"), ("a/b",)),
        (("a/b", "-sc", "[]", "--tokenizer"), ("a/b",)),
        (("a/b", "--hf-config-path", "a/b"), ("a/b",)),
    ],
)
def test_models_named(arguments, models):
    """The served model, a draft model and a tokenizer count as in use."""
    assert models_named(arguments) == models
