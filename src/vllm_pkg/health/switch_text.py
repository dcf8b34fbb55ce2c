"""What a switch of models is doing, in sentences for people: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine.command import model_argument, served_name
from vllm_pkg.state.switch import SwitchPhase
from vllm_pkg.state.switch_json import changes_as_json

if TYPE_CHECKING:
    from vllm_pkg.state.switch import Selected, Switch, Switches
    from vllm_pkg.state.switch_file import SwitchProgress

NOTHING: Final = "nothing"
_P = SwitchPhase
_GIB: Final = 1024**3
_MIB: Final = 1024**2
_PERCENT: Final = 100.0
_MINUTE_S: Final = 60


def describe_switch(switch: Switch, progress: SwitchProgress | None) -> str:
    """
    Return what a switch is doing, or what came of it.

    Args:
        switch: The switch.
        progress: How far its preparation is; None: not known.
    """
    new, old = _name(switch.target), _name(switch.previous)
    # Both end with a full stop, and are a sentence or two.
    why = " ".join(filter(None, (switch.reason, switch.hint)))
    texts = {
        _P.PREPARING: f"Preparing the switch to {new}, while {old} serves."
        f"{_describe_progress(progress)}",
        _P.PREPARED: f"Switching to {new}.",
        _P.PROVING: f"Switched to {new}, which has to prove itself; {old} comes back if"
        " it does not.",
        _P.RETURNING: f"Going back to {old}, because the switch to {new} failed: {why}",
        _P.SETTLING: f"Going back to {old}, because the switch to {new} failed: {why}",
        _P.DONE: f"The switch to {new} is done.",
        _P.FAILED: f"The switch to {new} was given up, and {old} has served all the"
        f" time: {why}",
        _P.RETURNED: f"The switch to {new} was taken back: {why}",
        _P.CANCELLED: f"The switch to {new} was ended: {switch.reason}",
    }
    text = texts[switch.phase]
    if switch.return_reason is not None:
        text += f" {old} does not run again either: {switch.return_reason}"
    return text


def switch_note(switches: Switches) -> str | None:
    """Return what has to be known of the last switch, or of the present one."""
    current = switches.current
    if current is None or current.phase in {_P.DONE, _P.CANCELLED}:
        return None
    return describe_switch(current, None)


def switches_json(
    switches: Switches, progress: SwitchProgress | None
) -> dict[str, Any]:
    """
    Return what programs are told: no arguments, since a token may stand among them.

    Args:
        switches: The content of switch.json.
        progress: How far the preparation of the present one is.
    """
    current, waiting = switches.current, switches.waiting
    return {
        "current": None if current is None else _switch_json(current, progress),
        "waiting": None
        if waiting is None
        else {
            "id": waiting.id,
            "target": _selected_json(waiting.target),
            "requestedAt": waiting.requested_at,
        },
    }


def _switch_json(switch: Switch, progress: SwitchProgress | None) -> dict[str, Any]:
    is_preparing = switch.phase is _P.PREPARING
    return {
        "id": switch.id,
        "phase": switch.phase.value,
        "isOver": switch.is_over,
        "target": _selected_json(switch.target),
        "previous": _selected_json(switch.previous),
        "requestedAt": switch.requested_at,
        "changedAt": switch.changed_at,
        "reason": switch.reason,
        "returnReason": switch.return_reason,
        "hint": switch.hint,
        "changes": changes_as_json(switch.changes),
        "progress": progress.as_json() if progress and is_preparing else None,
        "text": describe_switch(switch, progress),
    }


def _selected_json(selected: Selected) -> dict[str, Any]:
    return {
        "selection": selected.selection.selection if selected.selection else None,
        "source": model_argument(selected.serve_args) or None,
        "servedName": served_name(selected.serve_args) or None,
    }


def _name(selected: Selected) -> str:
    return served_name(selected.serve_args) or NOTHING


def _describe_progress(progress: SwitchProgress | None) -> str:
    if progress is None:
        return ""
    if not progress.bytes_total:
        return f" Finding out what {progress.repository} needs."
    share = _PERCENT * progress.bytes_done / progress.bytes_total
    unit, name = (_GIB, "GiB") if progress.bytes_total >= _GIB else (_MIB, "MiB")
    amount = (
        f"{progress.bytes_done / unit:.1f} of {progress.bytes_total / unit:.1f} {name}"
        f" ({share:.0f} %)"
    )
    if progress.is_stalled:
        return f" The download stands still at {amount}; it is tried again by itself."
    return f" Downloaded: {amount}{_left(progress.eta_s)}."


def _left(eta_s: float | None) -> str:
    if eta_s is None:
        return ""
    if eta_s < _MINUTE_S:
        return ", less than a minute left"
    return f", about {eta_s / _MINUTE_S:.0f} min left"
