"""What was asked for cannot be understood, or not be done."""

from __future__ import annotations

from dataclasses import dataclass

from vllm_pkg.errors.base import ServiceError


class UsageError(ServiceError):
    """The caller asked for something that cannot be understood."""

    code = "usage"
    exit_code = 2
    http_status = 400
    default_hint = "see vllm-pkg --help"


@dataclass(frozen=True)
class FieldProblem:
    """
    One thing wrong with one field of a form.

    Args:
        path: Keys from the form's root to the field, such as ``("config", "args")``.
        message: What is wrong and what was expected.
    """

    path: tuple[str, ...]
    message: str


class InvalidArgument(UsageError):
    """A value was refused; ``fields`` says which and why."""

    code = "invalid-argument"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        fields: tuple[FieldProblem, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.fields = fields

    def as_json(self) -> dict[str, dict[str, object]]:
        """Return the error shape with the fields that are wrong."""
        document = super().as_json()
        if self.fields:
            document["error"]["fields"] = [
                {"path": list(field.path), "message": field.message}
                for field in self.fields
            ]
        return document


class UnknownAction(UsageError):
    """There is no action with that id."""

    code = "unknown-action"
    http_status = 404
    default_hint = "see vllm-pkg action list"


class NotFound(UsageError):
    """What was named does not exist, or not any more."""

    code = "not-found"
    http_status = 404
    default_hint = "list what there is"


class NotPermitted(UsageError):
    """It exists, and nobody may do that with it."""

    code = "not-permitted"
    http_status = 403


class NotAllowedInState(UsageError):
    """The action exists but may not run while the service is in this state."""

    code = "not-allowed-in-state"
    http_status = 409
