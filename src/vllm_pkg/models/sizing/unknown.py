"""What an estimate says instead of guessing."""

from __future__ import annotations


class NotKnown(Exception):
    """
    Something that an estimate needs is not known.

    It never leaves `assess`, which makes the answer "unknown" of it.

    Args:
        reason: What is not known and why, one sentence without a final full stop.
        hint: What to do about it, if anything can be done.
    """

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
