"""
What an action is: the form it shows, what it does, and what it answers.

The JSON forms are exactly StartOS's (result version 1), so that its UI, the portal and
the command line render one definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vllm_pkg.actions.forms import InputSpec
    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.models.sizing.assess import Assessment
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.store import EnvironmentVariable

    Assess = Callable[
        [Settings, Hardware, Sequence[str], Sequence[EnvironmentVariable]], Assessment
    ]


@dataclass(frozen=True)
class Single:
    """
    One value to show.

    Args:
        value: The text.
        copyable: Whether a copy button is shown.
        qr: Whether a QR code is shown.
        masked: Whether it is hidden until asked for.
        is_shown_once: Whether it is stored nowhere, so that nobody can see it again.
            StartOS's shape cannot say so; its message does.
    """

    value: str
    copyable: bool = False
    qr: bool = False
    masked: bool = False
    is_shown_once: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "type": "single",
            "value": self.value,
            "copyable": self.copyable,
            "qr": self.qr,
            "masked": self.masked,
        }


@dataclass(frozen=True)
class Member:
    """One named part of a group: a value, or a group again."""

    name: str
    content: Single | Group
    description: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        named = {"name": self.name, "description": self.description}
        return named | self.content.as_json()


@dataclass(frozen=True)
class Group:
    """Several named values to show."""

    members: tuple[Member, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"type": "group", "value": [item.as_json() for item in self.members]}


@dataclass(frozen=True)
class ActionResult:
    """
    What an action answers.

    Args:
        title: A few words.
        message: Sentences for a person, or None.
        content: Values to show below the message, or None.
    """

    title: str
    message: str | None
    content: Single | Group | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, StartOS's result of version 1."""
        return {
            "version": "1",
            "title": self.title,
            "message": self.message,
            "result": None if self.content is None else self.content.as_json(),
        }


@dataclass(frozen=True)
class ActionInput:
    """
    The form of an action, computed when it opens.

    Args:
        spec: The fields.
        value: What they are prefilled with; valid as an input. None: their defaults.
    """

    spec: InputSpec
    value: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"spec": self.spec, "value": self.value}


@dataclass(frozen=True)
class ActionOutcome:
    """
    What an action did.

    Args:
        result: What to show.
        needs_restart: Whether the engine must be started again for it to take effect.
    """

    result: ActionResult
    needs_restart: bool = False


def _detect(settings: Settings) -> Hardware:
    # Probing takes time and libraries that most actions do not need.
    from vllm_pkg.hardware.detect import detect_hardware  # noqa: PLC0415

    return detect_hardware(settings)


def _assess(
    settings: Settings,
    hardware: Hardware,
    serve_args: Sequence[str],
    serve_env: Sequence[EnvironmentVariable],
) -> Assessment:
    from vllm_pkg.engine.fit_check import assess_serving  # noqa: PLC0415

    return assess_serving(settings, hardware, serve_args, serve_env)


@dataclass(frozen=True)
class ActionContext:
    """
    What an action may know.

    Args:
        settings: Settings in force.
        is_running: Whether the service is running.
        is_immediate: Whether what is served may be ended at once, without preparing
            what follows.
        probe: Finds out what the machine is.
        assess: Finds out whether arguments of ``vllm serve`` run on a machine.
    """

    settings: Settings
    is_running: bool
    is_immediate: bool = False
    probe: Callable[[Settings], Hardware] = _detect
    assess: Assess = _assess

    def hardware(self) -> Hardware:
        """Return what the machine is now; a failed probe may succeed the next time."""
        return self.probe(self.settings)


class Action(Protocol):
    """One action; its name, texts and visibility stand in the manifest."""

    id: ClassVar[str]
    has_input: ClassVar[bool]

    def input(self, context: ActionContext) -> ActionInput:
        """
        Compute the form; an action without one has an empty spec.

        Raises:
            ServiceError: the state that the form shows cannot be read.
        """
        ...

    def run(self, context: ActionContext, value: dict[str, Any]) -> ActionOutcome:
        """
        Do it.

        Args:
            context: What it may know.
            value: Input that is valid against the form.
        Raises:
            ServiceError: it cannot be done; nothing was done, or the error says what.
        """
        ...
