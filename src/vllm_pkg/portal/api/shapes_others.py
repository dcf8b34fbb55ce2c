"""The answers about actions, logs, processes and keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from vllm_pkg.portal.api.given import Shape
from vllm_pkg.service.processes import Verb
from vllm_pkg.state.secrets import Role

ActionId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
LogId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
ProgramName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ActionShape(Shape):
    """An action, in StartOS's shape; hidden is one that has nothing to do now."""

    id: str
    name: str
    description: str
    warning: str | None
    visibility: Any
    allowed_statuses: str
    group: str | None
    has_input: bool


class InputShape(Shape):
    """A form as it opens now: StartOS's InputSpec, and what it is prefilled with."""

    spec: dict[str, Any]
    value: dict[str, Any] | None


class RunRequest(Shape):
    """The input of an action; null for one without a form."""

    input: Any = None
    immediate: bool = False


class SingleShape(Shape):
    """One value to show."""

    type: Literal["single"]
    value: str
    copyable: bool
    qr: bool
    masked: bool


class NamedSingle(SingleShape):
    """One named value."""

    name: str
    description: str | None


class NamedGroup(Shape):
    """A group within a group."""

    type: Literal["group"]
    name: str
    description: str | None
    value: list[NamedSingle | NamedGroup]


class GroupShape(Shape):
    """Several named values to show."""

    type: Literal["group"]
    value: list[NamedSingle | NamedGroup]


class ResultShape(Shape):
    """What an action answers, in StartOS's shape of version 1."""

    version: Literal["1"]
    title: str
    message: str | None
    result: SingleShape | GroupShape | None


class LogShape(Shape):
    """One log."""

    id: str
    file: str
    size_bytes: int
    changed_at: datetime
    started_at: datetime | None


class LineShape(Shape):
    """One line of a log, as a terminal shows it."""

    text: str
    level: Literal["error", "warning", "info", "debug"] | None
    is_progress: bool


class PageShape(Shape):
    """Lines of a log; `before` leads to older ones, `after` to what follows."""

    lines: list[LineShape]
    before: str | None
    after: str | None
    open: LineShape | None


class ProgramShape(Shape):
    """One program of the host."""

    name: str
    state: str
    pid: int | None
    uptime_s: int | None
    exit_code: int | None
    allowed: list[Verb]
    refusals: dict[Verb, str]


class KeyShape(Shape):
    """A key of the API, without the key."""

    id: str
    name: str
    role: Role
    state: Literal["active", "expired", "revoked"]
    created: datetime | None
    expires: datetime | None
    revoked: datetime | None
    requests: int
    last_used: datetime | None
