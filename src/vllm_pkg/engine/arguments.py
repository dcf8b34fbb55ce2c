"""
Arguments of ``vllm serve`` as text: splitting what a person typed, naming its models.

Pure. Arguments are split as a shell would, without expansion. Whether they may be given
is for `acceptor.py` to say.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Final

from vllm_pkg.engine.command import model_argument
from vllm_pkg.errors import FieldProblem, InvalidArgument

QUOTE_SHOWN: Final = 24


def split_arguments(
    text: str, path: tuple[str, ...] = ("config", "value", "args")
) -> tuple[str, ...]:
    """
    Split text into arguments as a shell would, without expansion or comments.

    Args:
        text: What was typed; line breaks separate like spaces.
        path: The field it was typed into, for the error.
    Returns:
        The arguments, at least one.
    Raises:
        InvalidArgument: there is none, a quote stays open, or a control character
            stands in it.
    """
    text = text.replace("\r\n", "\n")
    control = re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
    if control:
        code = ord(control.group())
        raise _refused(path, f"control character 0x{code:02x} must not stand in it")
    typographic = re.search(r"(?:^|\s)[\u2010-\u2015\u2212]|\u00a0", text)
    if typographic:
        # Text that went through a word processor; vLLM would not see an option.
        code = ord(typographic.group()[-1])
        what = f"has the character U+{code:04X}, which only looks like - or a space"
        raise _refused(path, what)
    try:
        arguments = tuple(shlex.split(text))
    except ValueError:
        raise _refused(path, _open_quote(text)) from None
    if not arguments:
        raise _refused(path, "must not be empty; begin with the model, as org/name")
    return arguments


def models_named(serve_args: tuple[str, ...]) -> tuple[str, ...]:
    """
    Return every model that arguments of ``vllm serve`` use, without repetition.

    The first is the served one; a draft model, a tokenizer or a second source of its
    configuration may follow. Adapters of ``--lora-modules`` are not counted.
    """
    named = [model_argument(serve_args)]
    for option in ("--tokenizer", "--hf-config-path"):
        named += _values_of(serve_args, option)
    for option in ("--speculative-config", "-sc"):
        named += [_model_of_json(value) for value in _values_of(serve_args, option)]
    named += _values_of(serve_args, "--speculative-config.model")
    named += _values_of(serve_args, "-sc.model")
    return tuple(dict.fromkeys(name for name in named if name))


def _values_of(serve_args: tuple[str, ...], option: str) -> list[str]:
    values = []
    for position, argument in enumerate(serve_args):
        name, has_value, value = argument.partition("=")
        if name.startswith("--"):
            name = name.replace("_", "-")
        if name != option:
            continue
        values += (
            [value] if has_value else list(serve_args[position + 1 : position + 2])
        )
    return values


def _model_of_json(text: str) -> str:
    try:
        document = json.loads(text)
    except ValueError:
        return ""
    model = document.get("model") if isinstance(document, dict) else None
    return model if isinstance(model, str) else ""


def _open_quote(text: str) -> str:
    """Say what is not closed: a quote, or an escape at the end."""
    opened: int | None = None
    is_escaped = False
    for position, character in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif character == "\\" and (opened is None or text[opened] == '"'):
            is_escaped = True
        elif opened is None and character in "'\"":
            opened = position
        elif opened is not None and character == text[opened]:
            opened = None
    if opened is None:
        return "ends with a backslash that escapes nothing; remove it"
    line = text.count("\n", 0, opened) + 1
    column = opened - text.rfind("\n", 0, opened)
    rest = text[opened : opened + QUOTE_SHOWN].splitlines()[0]
    return f"the quote at line {line}, column {column} is never closed: {rest}"


def _refused(path: tuple[str, ...], problem: str) -> InvalidArgument:
    message = f"{'.'.join(path)}: {problem}"
    fields = (FieldProblem(path, problem),)
    return InvalidArgument(message, hint="correct the arguments", fields=fields)
