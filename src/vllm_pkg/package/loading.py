"""
Reading the YAML files that the package carries, with errors that name the key.

The files lie in the folder `_data` of the installed package; in the repository that
folder links to the ones at its root, so both kinds of installation read the same.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from vllm_pkg.errors import PackageDataInvalid

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from pydantic_core import ErrorDetails

ENGLISH: Final = "en_US"
_EXPECTED_PREFIX: Final = "Input should be "


class PackageModel(BaseModel):
    """Base of all models of package data: frozen, strict, camelCase in the file."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, strict=True
    )


Model = TypeVar("Model", bound=PackageModel)


def data_file(*names: str) -> Traversable:
    """Return a file of the package's data, such as ``("variants", "cpu", ...)``."""
    return files("vllm_pkg").joinpath("_data", *names)


def load_data(model: type[Model], *names: str, **replaced: str) -> Model:
    """
    Read a data file of the package.

    Args:
        model: What it must be.
        names: Its path inside the folder of data.
        replaced: Text put in place of each ``{name}`` in the values of the file.
    Returns:
        The content.
    Raises:
        PackageDataInvalid: it is missing, no YAML, or not what it must be.
    """
    name = "/".join(names)
    try:
        text = data_file(*names).read_text(encoding="utf-8")
    except OSError as error:
        raise PackageDataInvalid(f"{name}: cannot be read: {error.strerror}") from error
    return parse_data(model, name, text, **replaced)


def parse_data(model: type[Model], name: str, text: str, **replaced: str) -> Model:
    """
    Understand the text of a data file; see `load_data`.

    Raises:
        PackageDataInvalid: it is not what it must be; the message has one sentence
            per problem, each with the path of the key and what was expected.
    """
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        what = " ".join(str(error).split())
        raise PackageDataInvalid(f"{name}: is not YAML: {what}") from error
    try:
        return model.model_validate(_replace(document, replaced))
    except ValidationError as error:
        problems = (_describe(name, problem, document) for problem in error.errors())
        raise PackageDataInvalid("; ".join(problems)) from error


def _describe(name: str, problem: ErrorDetails, document: Any) -> str:
    key = ".".join(_path(problem, document))
    where = f"{name}: {key}" if key else name
    message = problem["msg"]
    if problem["type"] == "missing":
        return f"{where}: is missing"
    if problem["type"] == "extra_forbidden":
        return f"{where}: is not a known key"
    if problem["type"] == "string_pattern_mismatch":
        pattern = problem["ctx"]["pattern"]
        return f"{where}: expected text like {pattern}, got {problem['input']!r}"
    if message.startswith(_EXPECTED_PREFIX):
        expected = message.removeprefix(_EXPECTED_PREFIX)
        return f"{where}: expected {expected}, got {problem['input']!r}"
    return f"{where}: {message.removeprefix('Value error, ')}"


def _path(problem: ErrorDetails, document: Any) -> list[str]:
    path = []
    for part in problem["loc"]:
        if isinstance(document, list):
            document = document[int(part)]
        elif part in document:
            document = document[part]
        elif problem["type"] != "missing":
            # Not a key: pydantic's name for the kind of thing that it took it for.
            continue
        path.append(str(part))
    return path


class _Loader(yaml.SafeLoader):
    """YAML without surprises: a key may not stand twice in one map."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  # the signature of the base class
        """Return a map, or say which key stands twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _replace(value: Any, replaced: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replace(item, replaced) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, replaced) for item in value]
    if isinstance(value, str):
        for name, text in replaced.items():
            value = value.replace(f"{{{name}}}", text)
    return value


def _by_locale(value: Any) -> Any:
    return {ENGLISH: value} if isinstance(value, str) else value


def _has_english(value: dict[str, str]) -> dict[str, str]:
    if ENGLISH not in value:
        message = f"expected a text, or a map from locale to text with {ENGLISH}"
        raise ValueError(message)
    return value


# A text for people: by locale, as StartOS takes it; a plain text counts as English.
Localised = Annotated[
    dict[str, str], BeforeValidator(_by_locale), AfterValidator(_has_english)
]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Item = TypeVar("Item")
# Tuples, because the models are frozen; YAML only has lists.
Tuple = Annotated[tuple[Item, ...], BeforeValidator(_as_tuple)]
