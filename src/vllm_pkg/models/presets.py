"""
The presets: which models are offered, and what `vllm serve` gets for each.

They are data, in presets.yaml; this module checks that file and gives it types.
"""

from __future__ import annotations

import difflib
import functools
import itertools
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from vllm_pkg.errors import PackageDataInvalid, PresetUnknown
from vllm_pkg.hardware.facts import Tier  # noqa: TC001  # pydantic reads it
from vllm_pkg.models.local import LocalModel
from vllm_pkg.state.store import EnvironmentVariable  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Mapping

PRESETS_FILE: Final = Path(__file__).with_name("presets.yaml")
# Stand for folders of this machine until a preset is selected.
LOCAL: Final = "{local}"
TEMPLATES: Final = "{templates}"
# Options that the fit computes; a preset that sets one itself would set it twice.
COMPUTED_OPTIONS: Final = (
    "--max-model-len",
    "--tensor-parallel-size",
    "--kv-cache-memory-bytes",
)

Count = Annotated[int, Field(strict=True, gt=0)]
Text = Annotated[str, Field(strict=True, min_length=1)]


class Task(StrEnum):
    """What a model is for."""

    CHAT = "chat"
    EMBEDDING = "embedding"


class ContextStep(NamedTuple):
    """
    From how much memory on which context length is served.

    Args:
        memory_gib: Memory of the cards in use, in GiB, from which the step applies.
        context_tokens: Value of ``--max-model-len``.
        kv_cache_mib: Size of the key-value cache in MiB; None leaves it to vLLM.
    """

    memory_gib: Count
    context_tokens: Count
    kv_cache_mib: Count | None = None


class _Checked(BaseModel):
    """Data of presets.yaml: no unknown keys, no change after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Configuration(_Checked):
    """
    What one tier serves for a preset.

    Args:
        args: Arguments after ``vllm serve``, the model first.
        min_gib: Smallest memory in GiB with which it is offered.
        context: Steps of context length, by ascending memory.
        env: Environment variables of the engine.
        requires_fp8: Whether every card must compute in FP8.
    """

    args: Annotated[tuple[Text, ...], Field(min_length=1)]
    min_gib: Count
    context: Annotated[tuple[ContextStep, ...], Field(min_length=1)]
    env: tuple[EnvironmentVariable, ...] = ()
    requires_fp8: Annotated[bool, Field(strict=True)] = False

    @property
    def model(self) -> str:
        """The repository that is served, or ``{local}/<id>``."""
        return self.args[0]

    @property
    def local_model(self) -> LocalModel | None:
        """The model of the package itself that is served, or None."""
        prefix, _, name = self.model.partition("/")
        return LocalModel(name) if prefix == LOCAL else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_args(self.args)
        _check_context(self.context, self.min_gib)
        return self


class Preset(_Checked):
    """
    One entry of the Set Model form.

    Args:
        id: What ``modelSelection`` stores.
        name: What people read.
        task: What the model is for.
        attention_heads: Query heads; the number of cards must divide them.
        kv_heads: Key-value heads, one number per kind of attention layer; they are
            split over the cards, or every card gets a copy of one.
        other_heads: Heads of linear attention and groups of state-space layers; the
            number of cards must divide each.
        is_never_default: Whether the form must not choose it by itself.
        tiers: What is served per tier; a tier that is missing does not offer it.
    """

    id: Text
    name: Text
    task: Task
    attention_heads: Count
    kv_heads: Annotated[tuple[Count, ...], Field(min_length=1)]
    other_heads: tuple[Count, ...] = ()
    is_never_default: Annotated[bool, Field(strict=True)] = False
    tiers: Annotated[dict[Tier, Configuration], Field(min_length=1)]


@functools.cache
def load_presets() -> tuple[Preset, ...]:
    """
    Read the presets of the package, in order of preference.

    Raises:
        PackageDataInvalid: presets.yaml is not what it should be.
    """
    try:
        document = yaml.safe_load(PRESETS_FILE.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PackageDataInvalid(f"cannot read {PRESETS_FILE.name}: {error}") from error
    return parse_presets(document)


def parse_presets(document: Any) -> tuple[Preset, ...]:
    """
    Understand the content of presets.yaml.

    Args:
        document: A mapping from preset ids to presets.
    Returns:
        The presets, in the order of the document.
    Raises:
        PackageDataInvalid: it is something else; the message names the key, with dots
            between its parts, and what was expected there.
    """
    if not isinstance(document, dict) or not document:
        raise PackageDataInvalid(
            f"{PRESETS_FILE.name} does not map ids of presets to presets"
        )
    return tuple(_preset(key, value) for key, value in document.items())


def find_preset(preset_id: str) -> Preset:
    """
    Return the preset with that id.

    Raises:
        PresetUnknown: there is none; the hint names the most similar id.
    """
    presets = {preset.id: preset for preset in load_presets()}
    if preset_id in presets:
        return presets[preset_id]
    similar = difflib.get_close_matches(preset_id, presets, n=1)
    hint = f"did you mean {similar[0]}?" if similar else None
    raise PresetUnknown(f"there is no preset {preset_id!r}", hint=hint)


def _preset(key: Any, value: Any) -> Preset:
    if not isinstance(value, dict):
        raise PackageDataInvalid(f"{PRESETS_FILE.name}: {key} is not a preset")
    document: Mapping[str, Any] = {"id": key, **value}
    try:
        return TypeAdapter(Preset).validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in (key, *first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise PackageDataInvalid(
            f"{PRESETS_FILE.name}: {path}: {message[:1].lower()}{message[1:]}"
        ) from error


def _check_args(args: tuple[str, ...]) -> None:
    if args[0].startswith("-"):
        message = f"args must begin with a model, not with {args[0]}"
        raise ValueError(message)
    for option in (arg for arg in args if arg.startswith("--")):
        # One spelling, so that a search for an option finds every use of it.
        if "_" in option or "=" in option:
            message = f"args must spell {option} with hyphens and without a value"
            raise ValueError(message)
        if option in COMPUTED_OPTIONS:
            message = f"args must not hold {option}: the fit computes it"
            raise ValueError(message)
    prefix, _, name = args[0].partition("/")
    if prefix == LOCAL and name not in tuple(LocalModel):
        message = f"args must name a local model of {', '.join(LocalModel)}"
        raise ValueError(message)


def _check_context(context: tuple[ContextStep, ...], min_gib: int) -> None:
    if context[0].memory_gib > min_gib:
        message = f"context must have a step for min_gib, which is {min_gib} GiB"
        raise ValueError(message)
    for before, after in itertools.pairwise(context):
        if (
            after.memory_gib <= before.memory_gib
            or after.context_tokens < before.context_tokens
        ):
            message = "context must ascend in memory, and not fall in length"
            raise ValueError(message)
