"""The root of the tree of errors, and what has no branch of its own."""

from __future__ import annotations

from typing import ClassVar


def as_sentence(text: str) -> str:
    """Return the message or hint of an error as a sentence."""
    # The name of a repository stays as it is.
    is_word = text.partition(" ")[0].rstrip(",:;").isalpha()
    first = text[:1].upper() if is_word else text[:1]
    end = "" if text.endswith("?") else "."
    return f"{first}{text[1:].rstrip('.')}{end}"


class ServiceError(Exception):
    """
    Root of all errors of this package.

    Args:
        message: What went wrong, one sentence without a final full stop.
        hint: What to do about it; replaces the class's own hint.
    """

    code: ClassVar[str] = "service-error"
    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500
    default_hint: ClassVar[str] = "see the service logs"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    def as_json(self) -> dict[str, dict[str, object]]:
        """Return the one JSON shape of an error: ``{"error": {...}}``."""
        return {
            "error": {"code": self.code, "message": self.message, "hint": self.hint}
        }


class OutputFailed(ServiceError):
    """What the command prints could not be written to where it was sent."""

    code = "output-failed"
    exit_code = 74
    default_hint = "free some disk space, or send the output elsewhere"
