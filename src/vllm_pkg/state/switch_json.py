"""The JSON form of switch.json: what is selected stands there as in store.json."""

from __future__ import annotations

from typing import Any

from vllm_pkg.state.documents import Malformed
from vllm_pkg.state.store import Store, parse_store
from vllm_pkg.state.switch import (
    Instant,
    Selected,
    Switch,
    Switches,
    SwitchPhase,
    Waiting,
)


def switches_as_json(switches: Switches) -> dict[str, Any]:
    """Return the JSON form."""
    return {
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
        )
    except Malformed:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"it describes no switch ({error!r})") from None


def _switch_json(switch: Switch) -> dict[str, Any]:
    tried = switch.tried
    return {
        "id": switch.id,
        "phase": switch.phase.value,
        "target": _selected_json(switch.target),
        "previous": _selected_json(switch.previous),
        "requestedAt": switch.requested_at,
        "changedAt": switch.changed_at,
        "tried": tried and {"atS": tried.at_s, "bootId": tried.boot_id},
        "reason": switch.reason,
        "returnReason": switch.return_reason,
    }


def _waiting_json(waiting: Waiting) -> dict[str, Any]:
    return {
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
    )


def _parse_waiting(document: dict[str, Any]) -> Waiting:
    return Waiting(
        id=str(document["id"]),
        target=Selected.of(parse_store(document["target"])),
        requested_at=str(document["requestedAt"]),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
