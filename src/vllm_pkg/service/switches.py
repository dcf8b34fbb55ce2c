"""The switch of models that is under way, and how it is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import NotAllowedInState

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.switch import Switches

_NO_NEWS: Final = frozenset({"done", "cancelled"})


def collect(settings: Settings) -> dict[str, Any]:
    """
    Return the present switch or the last one, and the one that waits.

    Raises:
        StateError: switch.json is damaged or cannot be read.
    """
    from vllm_pkg.health.switch_text import switches_json  # noqa: PLC0415
    from vllm_pkg.state.switch_file import (  # noqa: PLC0415
        observe_switches,
        read_progress,
    )

    switches = observe_switches(settings)
    current = switches.current
    progress = None if current is None else read_progress(settings, current.id)
    return switches_json(switches, progress)


def describe(document: dict[str, Any]) -> list[str]:
    """Return what `collect` found as lines for people."""
    current, waiting = document["current"], document["waiting"]
    lines = [] if current is None else [current["text"]]
    if waiting is not None:
        lines.append(f"Then follows the switch to {waiting['target']['servedName']}.")
    return lines


def news(document: dict[str, Any]) -> list[str]:
    """Return the lines of `describe` unless the last switch has simply been done."""
    current = document["current"]
    is_old = current is None or current["phase"] in _NO_NEWS
    return [] if is_old else describe(document)


def cancel(settings: Settings) -> None:
    """
    End the switch; what has been downloaded stays, and the old model serves.

    Raises:
        NotAllowedInState: there is none that can be cancelled.
        StateError: switch.json cannot be read or written.
    """
    from vllm_pkg.state.switch_file import update_switches, utc_now  # noqa: PLC0415

    now = utc_now()

    def change(switches: Switches) -> Switches:
        cancelled = switches.cancelled(now)
        if cancelled is None:
            raise NotAllowedInState(
                "there is no switch that can be cancelled",
                hint="see vllm-pkg switch status",
            )
        return cancelled

    update_switches(settings, change)
