"""
Which repositories arguments of ``vllm serve`` name. Pure: folders are asked for.

Source: vLLM 0.32, ``engine/arg_utils.py``, ``config/model.py``,
``config/speculative.py`` and ``lora/utils.py``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAIN: Final = "main"
AUTO: Final = "auto"
IGNORED_BY_DEFAULT: Final = ("original/**/*",)
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_][\w.-]*(/[\w.-]+)?")
# What --generation-config takes besides a folder or a repository.
_NO_GENERATION: Final = frozenset({"", AUTO, "vllm"})
_SPECULATIVE: Final = ("--speculative-config", "-sc")
# The method whose model is a class of a program.
_CUSTOM: Final = "custom_class"
# What stands for a model of speculative decoding and is none.
_NO_MODELS: Final = frozenset(
    {"", "ngram", "[ngram]", "ngram_gpu", "suffix", "mtp", "extract_hidden_states"}
)


class Role(StrEnum):
    """What of a repository is needed."""

    MODEL = "model"
    TOKENIZER = "tokenizer"
    CONFIG = "config"
    ADAPTER = "adapter"
    CODE = "code"
    GENERATION = "generation"


@dataclass(frozen=True)
class Need:
    """
    One repository that the engine reads.

    Args:
        repo_id: Such as ``org/name``.
        revision: Branch, tag or commit.
        role: What of it is needed.
        load_format: Value of ``--load-format``.
        ignore_patterns: Weights that are not wanted, as patterns.
        is_code_trusted: Whether the repository's Python code runs.
    """

    repo_id: str
    revision: str = MAIN
    role: Role = Role.MODEL
    load_format: str = AUTO
    ignore_patterns: tuple[str, ...] = IGNORED_BY_DEFAULT
    is_code_trusted: bool = False


@dataclass(frozen=True)
class Needs:
    """
    Everything that arguments name.

    Args:
        repositories: The repositories of the Hub, each once, the model first.
        is_all: Whether the engine fetches nothing else from the network.
    """

    repositories: tuple[Need, ...]
    is_all: bool


def read_needs(serve_args: tuple[str, ...], is_folder: Callable[[str], bool]) -> Needs:
    """
    Read out of arguments which repositories they name.

    Args:
        serve_args: What stands after ``vllm serve``.
        is_folder: Whether a name is a folder on this machine.
    Returns:
        The repositories; what is a local folder or a file is not among them.
    """
    options = read_options(serve_args)
    base = read_model_need(serve_args)
    named = [base, *_second_repositories(base, options)]
    found = [need for need in named if _is_repository(need.repo_id, is_folder)]
    is_all = not any(
        "://" in need.repo_id
        or not (_is_repository(need.repo_id, is_folder) or is_folder(need.repo_id))
        for need in named
    )
    return Needs(_without_repeats(found), is_all)


def read_model_need(serve_args: tuple[str, ...]) -> Need:
    """Return what arguments need of the model itself, be it a repository or not."""
    options = read_options(serve_args)
    return Need(
        repo_id=_last(options, "--model") or _first(serve_args),
        revision=_last(options, "--revision") or MAIN,
        load_format=_last(options, "--load-format") or AUTO,
        ignore_patterns=tuple(options.get("--ignore-patterns", ()))
        or IGNORED_BY_DEFAULT,
        is_code_trusted="--trust-remote-code" in options,
    )


def read_options(serve_args: tuple[str, ...]) -> dict[str, list[str]]:
    """
    Return every option's values; of equal options the last one counts.

    Names have ``-`` for ``_``; the keys of a dotted name stay as they are.
    """
    options: dict[str, list[str]] = {}
    values: list[str] = []
    for argument in serve_args:
        if not re.match(r"--?[A-Za-z]", argument):
            values.append(argument)
            continue
        name, has_value, value = argument.partition("=")
        head, dot, keys = name.partition(".")
        values = [value] if has_value else []
        options[head.replace("_", "-") + dot + keys] = values
    return options


def needs_of_config(need: Need, config: Mapping[str, Any]) -> tuple[Need, ...]:
    """
    Return what a model's config.json names in turn.

    That is the model that a file of speculators was made for, and the repositories of
    code that is run from elsewhere.

    Args:
        need: The model.
        config: Its config.json.
    """
    found = []
    verifier = _at(config, "speculators_config", "verifier", "name_or_path")
    if isinstance(verifier, str) and _REPOSITORY.fullmatch(verifier):
        found.append(replace(need, repo_id=verifier, revision=MAIN))
    code = config.get("auto_map")
    if need.is_code_trusted and isinstance(code, dict):
        # Such as "org/code--modeling.Model"; without "--" it is the model's own code.
        elsewhere = {
            place.partition("--")[0]: None
            for place in code.values()
            if isinstance(place, str) and "--" in place
        }
        found += [
            Need(repo_id=repo_id, role=Role.CODE, is_code_trusted=True)
            for repo_id in elsewhere
        ]
    return tuple(item for item in found if item.repo_id != need.repo_id)


def _second_repositories(
    base: Need, options: Mapping[str, list[str]]
) -> Iterable[Need]:
    tokenizer = _last(options, "--tokenizer") or base.repo_id
    yield replace(
        base,
        repo_id=tokenizer,
        revision=_last(options, "--tokenizer-revision") or base.revision,
        role=Role.TOKENIZER,
    )
    config = _last(options, "--hf-config-path")
    if config:
        yield replace(base, repo_id=config, role=Role.CONFIG)
    generation = _last(options, "--generation-config")
    if generation not in _NO_GENERATION:
        yield Need(repo_id=generation, role=Role.GENERATION)
    code = _last(options, "--code-revision")
    if code and base.is_code_trusted:
        yield replace(base, revision=code, role=Role.CODE)
    yield from _draft(base, _speculative(options))
    for place in _adapters(options):
        yield Need(repo_id=place, role=Role.ADAPTER)


def _draft(base: Need, speculative: Mapping[str, str]) -> Iterable[Need]:
    """Return the model of speculative decoding, and its code of another revision."""
    model = speculative.get("model", "")
    if model in _NO_MODELS or _is_program(model, speculative.get("method", "")):
        return
    revision = speculative.get("revision") or MAIN
    draft = replace(base, repo_id=model, revision=revision)
    yield draft
    code = speculative.get("code_revision")
    if code and base.is_code_trusted:
        yield replace(draft, revision=code, role=Role.CODE)


def _is_program(model: str, method: str) -> bool:
    """Whether a model of speculative decoding is a class, as ``module.Proposer``."""
    if method:
        return method == _CUSTOM
    parts = model.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def _speculative(options: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the texts among the settings of speculative decoding."""
    found: dict[str, str] = {}
    for name in _SPECULATIVE:
        found |= _texts(_json(_last(options, name)))
        for key in ("method", "model", "revision", "code_revision"):
            value = _last(options, f"{name}.{key}")
            if value:
                found[key] = value
    model = _last(options, "--spec-model")
    return found | ({"model": model} if model else {})


def _adapters(options: Mapping[str, list[str]]) -> Iterable[str]:
    for text in options.get("--lora-modules", ()):
        document = _json(text)
        if document:
            yield str(document.get("path", ""))
        elif "=" in text:
            yield text.partition("=")[2]
    for paths in _json(_last(options, "--default-mm-loras")).values():
        yield from paths if isinstance(paths, list) else [str(paths)]


def _without_repeats(needs: list[Need]) -> tuple[Need, ...]:
    """Drop what is part of another: a whole model has its tokenizer and its config."""
    whole = {
        (need.repo_id, need.revision)
        for need in needs
        if need.role in {Role.MODEL, Role.ADAPTER}
    }
    parts = {Role.TOKENIZER, Role.CONFIG, Role.CODE, Role.GENERATION}
    return tuple(
        dict.fromkeys(
            need
            for need in needs
            if need.role not in parts or (need.repo_id, need.revision) not in whole
        )
    )


def _is_repository(name: str, is_folder: Callable[[str], bool]) -> bool:
    return bool(_REPOSITORY.fullmatch(name)) and not is_folder(name)


def _first(serve_args: tuple[str, ...]) -> str:
    first = next(iter(serve_args), "")
    return "" if first.startswith("-") else first


def _last(options: Mapping[str, list[str]], name: str) -> str:
    return next(iter(options.get(name, ())), "")


def _json(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if text else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _texts(document: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in document.items() if isinstance(value, str)}


def _at(document: Mapping[str, Any], *keys: str) -> object:
    found: object = document
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found
