"""Taking a secret out of a stream of bytes, wherever the stream is cut into chunks."""

from __future__ import annotations

from typing import Final

HIDDEN: Final = b"***"
# What is shorter may be a part of ordinary words; keys that we make have 22 characters.
LENGTH_MIN_BYTES: Final = 8


class Hider:
    """
    Puts asterisks in the place of a secret.

    Args:
        secret: What must not pass; when it is too short, everything passes.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret if len(secret) >= LENGTH_MIN_BYTES else b""
        # The longest first: what a chunk may end with when the secret is cut.
        self._beginnings = tuple(
            self._secret[:length] for length in range(len(self._secret) - 1, 0, -1)
        )
        self._held = b""

    def hide(self, chunk: bytes) -> bytes:
        """
        Return what may pass of a chunk.

        An end that could be the beginning of the secret is held back until more comes.
        """
        if not self._secret:
            return chunk
        if self._held:
            chunk, self._held = self._held + chunk, b""
        if self._secret in chunk:
            chunk = chunk.replace(self._secret, HIDDEN)
        if chunk.endswith(self._beginnings):
            self._held = next(s for s in self._beginnings if chunk.endswith(s))
            chunk = chunk[: -len(self._held)]
        return chunk

    def end(self) -> bytes:
        """Return what was held back, as nothing more comes."""
        held, self._held = self._held, b""
        return held
