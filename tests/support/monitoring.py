"""What an operator's monitoring sees of a service, and what it may see."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from support.service import Service

# What a monitoring that looks once a second may see, results in a row left out once.
# A restart may be over between two looks, but no load is.
_UP = "(starting )?loading success"
ALLOWED = {
    "idle": "disabled",
    "Set Model": _UP,
    "a switch to a broken model, and back": f"((starting|loading|failure) )*{_UP}",
    "a switch to minilm": _UP,
    "a wrong argument, and Ctrl-C": "(starting )?(loading )?failure",
    "another start": _UP,
    "the end": "failure",
}
STEPS = " ".join(ALLOWED.values())


@dataclass
class HealthPoller:
    """
    What an operator's monitoring does: asks for health once a second, all the time.

    Args:
        service: Whose health is asked.
    """

    service: Service
    seen: list[dict[str, str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to poll."""
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End polling."""
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _poll(self) -> None:
        while not self._stop.is_set():
            self.seen.append(self.service.health())
            self._stop.wait(1.0)

    def results(self) -> list[str]:
        """Return the results in the order they came, repetitions left out."""
        results: list[str] = []
        for health in self.seen:
            if results[-1:] != [health["result"]]:
                results.append(health["result"])
        return results
