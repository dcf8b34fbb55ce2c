"""
The Custom variant of Set Model: arguments and environment that a person typed.

Pure, but for the question whether a folder holds a model, which is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.actions import forms
from vllm_pkg.actions.validation import invalid_input
from vllm_pkg.engine.acceptor import accept_arguments
from vllm_pkg.engine.arguments import split_arguments
from vllm_pkg.engine.options import load_options
from vllm_pkg.engine.reserved import reserved_environment_problem
from vllm_pkg.errors import FieldProblem, InvalidArgument
from vllm_pkg.state.store import EnvironmentVariable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARGS_PATH: Final = ("config", "value", "args")
ENV_PATH: Final = ("config", "value", "env")
ARGS_CHARACTERS_MAX: Final = 32768
NAME_REGEX: Final = "^[A-Za-z_][A-Za-z0-9_]*$"
_RELATIVE_STARTS: Final = ("./", "../", "~")


def custom_variant() -> dict[str, Any]:
    """Return the variant of the form; its keys are those of the published package."""
    name = forms.text(
        "Name",
        required=True,
        placeholder="HF_TOKEN",
        patterns=[
            forms.Pattern(
                regex=NAME_REGEX,
                description="letters, digits and _, not beginning with a digit",
            )
        ],
    )
    value = forms.text("Value", required=False, masked=True)
    args = forms.textarea(
        "Arguments of vllm serve",
        required=True,
        maxLength=ARGS_CHARACTERS_MAX,
        placeholder="org/name --max-model-len 8192",
        description=(
            "The model first, then options. Quotes work as in a shell, variables do "
            "not. Host, port, download folder and API key are set by the service."
        ),
    )
    env = forms.list_of(
        "Environment variables",
        forms.object_items(
            {"name": name, "value": value}, unique_by="name", display_as="{{name}}"
        ),
        description="For the engine, such as HF_TOKEN for models that need a login",
    )
    return forms.variant("Custom", {"args": args, "env": env})


def parse_custom(
    value: dict[str, Any], is_model_folder: Callable[[str], bool]
) -> tuple[tuple[str, ...], tuple[EnvironmentVariable, ...]]:
    """
    Understand the value of the Custom variant.

    Args:
        value: With ``args`` and ``env``; valid against the form.
        is_model_folder: Whether an absolute path is a folder with a model.
    Returns:
        The arguments after ``vllm serve``, the model first, and the engine's
        environment variables.
    Raises:
        InvalidArgument: something cannot be served; ``fields`` has every problem.
    """
    env = tuple(
        EnvironmentVariable(item["name"], item["value"] or "") for item in value["env"]
    )
    problems = _environment_problems(env)
    arguments: tuple[str, ...] = ()
    try:
        typed = split_arguments(value["args"], ARGS_PATH)
        accepted = accept_arguments(typed, load_options(), ARGS_PATH)
        arguments = accepted.arguments
    except InvalidArgument as error:
        problems = [*error.fields, *problems]
    else:
        problem = _folder_problem(accepted.model, is_model_folder)
        if problem:
            problems = [FieldProblem(ARGS_PATH, problem), *problems]
    if problems:
        raise invalid_input(tuple(problems))
    return arguments, env


def is_folder_name(model: str) -> bool:
    """Whether a model is named by a folder rather than by a repository."""
    return model in {".", ".."} or model.startswith(("/", *_RELATIVE_STARTS))


def has_config(folder: Path) -> bool:
    """Whether a folder holds a model: whether it has a config.json."""
    try:
        return (folder / "config.json").is_file()
    except OSError:
        return False


def _environment_problems(env: tuple[EnvironmentVariable, ...]) -> list[FieldProblem]:
    problems = []
    for position, item in enumerate(env):
        problem = reserved_environment_problem(item.name)
        if problem:
            path = (*ENV_PATH, str(position), "name")
            problems.append(FieldProblem(path, problem))
    return problems


def _folder_problem(model: str, is_model_folder: Callable[[str], bool]) -> str | None:
    if not is_folder_name(model):
        return None
    if not model.startswith("/"):
        return f"{model} depends on where a program runs; give the whole path, from /"
    if not is_model_folder(model):
        return f"{model} is not a folder with a config.json; correct the path"
    return None
