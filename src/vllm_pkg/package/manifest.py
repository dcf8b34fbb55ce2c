"""The manifest: what the package is, read from manifest.yaml."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from vllm_pkg.errors import UnknownAction
from vllm_pkg.package.loading import (
    ENGLISH,
    Localised,
    PackageModel,
    Tuple,
    load_data,
)

MANIFEST_FILE: Final = "manifest.yaml"
# StartOS refuses a longer one.
_SHORT_MAX_CHARACTERS: Final = 160
_PORT_MAX: Final = 65535

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]


class Description(PackageModel):
    """What the package is, in one line and in a paragraph."""

    short: Localised
    long: Localised

    @model_validator(mode="after")
    def _short_is_short(self) -> Self:
        for locale, text in self.short.items():
            if len(text) > _SHORT_MAX_CHARACTERS:
                message = (
                    f"short ({locale}) has {len(text)} characters, "
                    f"expected at most {_SHORT_MAX_CHARACTERS}"
                )
                raise ValueError(message)
        return self


class EngineEntry(PackageModel):
    """The engine inside the package."""

    vllm: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    license: str


class Links(PackageModel):
    """Pages about the engine."""

    upstream: Annotated[str, Field(pattern=r"^https://")]
    marketing: Annotated[str, Field(pattern=r"^https://")]
    documentation: Annotated[str, Field(pattern=r"^https://")]


class HeldFile(PackageModel):
    """A file or folder (with a final slash) that a volume holds."""

    path: str
    description: Localised


class VolumeEntry(PackageModel):
    """
    A volume.

    Args:
        id: Its id.
        mount: Where the host mounts it into the service; None: nowhere of its own.
        description: What it is for.
        holds: What lies in it.
    """

    id: Identifier
    mount: Annotated[str, Field(pattern=r"^/")] | None
    description: Localised
    holds: Tuple[HeldFile]


class InterfaceEntry(PackageModel):
    """A network interface that people and dependent services use."""

    id: Identifier
    name: Localised
    description: Localised
    type: Literal["api", "ui", "p2p"]
    host_id: Identifier
    port: Annotated[int, Field(ge=1, le=_PORT_MAX)]
    protocol: Literal["http", "https"]
    path: str
    masked: bool


class ActionEntry(PackageModel):
    """
    The metadata of one action, but for whether it has an input.

    ``name``, ``description`` and ``warning`` are the English texts; the ones of other
    locales stand in ``names``, ``descriptions`` and ``warnings``.
    """

    id: Identifier
    names: Annotated[Localised, Field(alias="name")]
    descriptions: Annotated[Localised, Field(alias="description")]
    warnings: Annotated[Localised | None, Field(alias="warning")]
    visibility: Literal["enabled", "hidden"]
    allowed_statuses: Literal["only-running", "only-stopped", "any"]
    group: str | None

    @property
    def name(self) -> str:
        """The name people see."""
        return self.names[ENGLISH]

    @property
    def description(self) -> str:
        """What the action does, one sentence."""
        return self.descriptions[ENGLISH]

    @property
    def warning(self) -> str | None:
        """What to consider before running it."""
        return None if self.warnings is None else self.warnings[ENGLISH]


class TaskEntry(PackageModel):
    """Something the owner has to do, and when."""

    action_id: Identifier
    severity: Literal["critical", "important", "optional"]
    reasons: Annotated[Localised, Field(alias="reason")]
    condition: Literal["no-model-selected"]

    @property
    def reason(self) -> str:
        """Why it has to be done, in English."""
        return self.reasons[ENGLISH]


class HealthMessages(PackageModel):
    """
    What a health check says, word for word; the code repeats it (see the tests).

    A check says what it computes instead of what is None.
    """

    success: Localised | None = None
    no_model: Localised | None = None
    loading: Localised | None = None
    failure: Localised | None = None
    disabled: Localised | None = None


class HealthCheckEntry(PackageModel):
    """
    A health check.

    Args:
        id: Its id.
        name: The name people see.
        window_seconds: How long "not listening" counts as loading, in seconds from the
            start of the daemon; None: the check knows no such time.
        messages: What it says.
    """

    id: Identifier
    name: Localised
    window_seconds: Annotated[int, Field(gt=0)] | None = None
    messages: HealthMessages


class OneshotEntry(PackageModel):
    """A program that runs once before what requires it."""

    id: Identifier
    command: Annotated[Tuple[str], Field(min_length=1)]
    required_by: Tuple[Identifier]
    description: Localised


class Backups(PackageModel):
    """What a backup holds."""

    volumes: Tuple[Identifier]


class Dependency(PackageModel):
    """Another package that this one uses."""

    description: Localised | None
    optional: bool


class Manifest(PackageModel):
    """The whole manifest."""

    id: Identifier
    title: str
    license: str
    description: Description
    engine: EngineEntry
    revision: Annotated[int, Field(ge=0)]
    links: Links
    volumes: Tuple[VolumeEntry]
    interfaces: Tuple[InterfaceEntry]
    actions: Tuple[ActionEntry]
    tasks: Tuple[TaskEntry]
    health_checks: Tuple[HealthCheckEntry]
    oneshots: Tuple[OneshotEntry]
    backups: Backups
    dependencies: dict[Identifier, Dependency]

    @property
    def engine_version(self) -> str:
        """The pinned version of vLLM, such as ``1.2.3``."""
        return self.engine.vllm

    @property
    def version(self) -> str:
        """The version of the package, in StartOS's form ``<upstream>:<revision>``."""
        return f"{self.engine.vllm}:{self.revision}"

    def action(self, action_id: str) -> ActionEntry:
        """
        Return the action with that id.

        Raises:
            UnknownAction: there is none.
        """
        for entry in self.actions:
            if entry.id == action_id:
                return entry
        raise UnknownAction(f"there is no action {action_id!r}")

    @model_validator(mode="after")
    def _names_exist_once(self) -> Self:
        groups = {
            "volumes": [item.id for item in self.volumes],
            "interfaces": [item.id for item in self.interfaces],
            "actions": [item.id for item in self.actions],
            "healthChecks": [item.id for item in self.health_checks],
            "oneshots": [item.id for item in self.oneshots],
        }
        for key, ids in groups.items():
            _refuse_twice(key, ids)
        _refuse_unknown("backups.volumes", self.backups.volumes, groups["volumes"])
        acted = [item.action_id for item in self.tasks]
        _refuse_unknown("tasks", acted, groups["actions"])
        for item in self.oneshots:
            key = f"oneshots.{item.id}.requiredBy"
            _refuse_unknown(key, item.required_by, groups["healthChecks"])
        return self


def _refuse_twice(key: str, ids: list[str]) -> None:
    for item in ids:
        if ids.count(item) > 1:
            message = f"{key}: the id {item!r} stands twice"
            raise ValueError(message)


def _refuse_unknown(
    key: str, ids: tuple[str, ...] | list[str], known: list[str]
) -> None:
    for item in ids:
        if item not in known:
            message = f"{key}: expected one of {', '.join(known)}, got {item!r}"
            raise ValueError(message)


@cache
def load_manifest() -> Manifest:
    """
    Read the package's manifest.

    Raises:
        PackageDataInvalid: it is missing or wrong; the message names the key.
    """
    return load_data(Manifest, MANIFEST_FILE)
