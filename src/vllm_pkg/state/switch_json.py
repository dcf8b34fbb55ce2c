"""
The JSON form of switch.json: what is selected stands there as in store.json.

Fields that this version does not know survive a rewrite.
"""

from __future__ import annotations

from typing import Any, Final

from vllm_pkg.state.documents import Malformed
from vllm_pkg.state.records import SettingChange
from vllm_pkg.state.store import Store, parse_store
from vllm_pkg.state.switch import (
    Instant,
    Selected,
    Switch,
    Switches,
    SwitchPhase,
    Waiting,
)

_KNOWN: Final = frozenset({"current", "waiting"})
_KNOWN_OF_WAITING: Final = frozenset({"id", "target", "requestedAt"})
_KNOWN_OF_SWITCH: Final = _KNOWN_OF_WAITING | {
    *("phase", "previous", "changedAt", "tried"),
    *("reason", "returnReason", "hint", "changes"),
}


def switches_as_json(switches: Switches) -> dict[str, Any]:
    """Return the JSON form."""
    return {
        **switches.unknown,
        "current": switches.current and _switch_json(switches.current),
        "waiting": switches.waiting and _waiting_json(switches.waiting),
    }


def parse_switches(document: dict[str, Any]) -> Switches:
    """
    Understand what `switches_as_json` wrote.

    Raises:
        Malformed: it is something else.
    """
    try:
        current, waiting = document["current"], document["waiting"]
        return Switches(
            None if current is None else _parse_switch(current),
            None if waiting is None else _parse_waiting(waiting),
            _unknown(document, _KNOWN),
        )
    except Malformed:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"it describes no switch ({error!r})") from None


def changes_as_json(changes: tuple[SettingChange, ...]) -> list[dict[str, Any]]:
    """Return the JSON form of changes of settings."""
    return [
        {"name": item.name, "value": item.value, "isRemoved": item.is_removed}
        for item in changes
    ]


def _switch_json(switch: Switch) -> dict[str, Any]:
    tried = switch.tried
    return {
        **switch.unknown,
        "id": switch.id,
        "phase": switch.phase.value,
        "target": _selected_json(switch.target),
        "previous": _selected_json(switch.previous),
        "requestedAt": switch.requested_at,
        "changedAt": switch.changed_at,
        "tried": tried and {"atS": tried.at_s, "bootId": tried.boot_id},
        "reason": switch.reason,
        "returnReason": switch.return_reason,
        "hint": switch.hint,
        "changes": changes_as_json(switch.changes),
    }


def _waiting_json(waiting: Waiting) -> dict[str, Any]:
    return {
        **waiting.unknown,
        "id": waiting.id,
        "target": _selected_json(waiting.target),
        "requestedAt": waiting.requested_at,
    }


def _selected_json(selected: Selected) -> dict[str, Any]:
    return selected.put_into(Store()).as_json()


def _parse_switch(document: dict[str, Any]) -> Switch:
    tried = document["tried"]
    return Switch(
        id=str(document["id"]),
        target=Selected.of(parse_store(document["target"])),
        previous=Selected.of(parse_store(document["previous"])),
        requested_at=str(document["requestedAt"]),
        changed_at=str(document["changedAt"]),
        phase=SwitchPhase(document["phase"]),
        tried=tried and Instant(float(tried["atS"]), str(tried["bootId"])),
        reason=_text(document["reason"]),
        return_reason=_text(document["returnReason"]),
        # Older versions kept neither.
        hint=_text(document.get("hint")),
        changes=tuple(_parse_change(item) for item in document.get("changes", ())),
        unknown=_unknown(document, _KNOWN_OF_SWITCH),
    )


def _parse_waiting(document: dict[str, Any]) -> Waiting:
    return Waiting(
        id=str(document["id"]),
        target=Selected.of(parse_store(document["target"])),
        requested_at=str(document["requestedAt"]),
        unknown=_unknown(document, _KNOWN_OF_WAITING),
    )


def _parse_change(document: dict[str, Any]) -> SettingChange:
    return SettingChange(
        name=str(document["name"]),
        value=_text(document["value"]),
        is_removed=document["isRemoved"] is True,
    )


def _unknown(document: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {name: item for name, item in document.items() if name not in known}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
