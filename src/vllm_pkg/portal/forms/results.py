"""The result of an action: a message, and values to see, to copy and to scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from vllm_pkg.portal.components.copy_field import copy_field, secret_field
from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.texts.catalogue import Texts

# What a QR code of medium correction holds at most.
QR_BYTES_MAX: Final = 2331
_LEVEL_MAX: Final = 6


def draw_result(
    result: dict[str, Any], texts: Texts, on_seen: Callable[[], None] = lambda: None
) -> None:
    """
    Draw a result of version 1 below its title.

    Args:
        result: As `ActionResult.as_json` gives it.
        texts: The language of the page.
        on_seen: Called when somebody has a hidden value shown or copied.
    """
    if result["message"]:
        Text("p", result["message"]).classes("vp-lead")
    if result["result"] is not None:
        _draw(result["result"], texts, result["title"], on_seen, level=3)


def _draw(
    content: dict[str, Any],
    texts: Texts,
    name: str,
    on_seen: Callable[[], None],
    *,
    level: int,
) -> None:
    if content["type"] == "single":
        _draw_value(content, texts, name, on_seen)
        return
    for member in content["value"]:
        with ui.element("section").classes("form-result"):
            if member["type"] == "single":
                _draw_value(member, texts, member["name"], on_seen)
                _draw_description(member)
                continue
            Text(f"h{min(level, _LEVEL_MAX)}", member["name"]).classes("form-label")
            _draw_description(member)
            with ui.element("div").classes("form-nested"):
                _draw(member, texts, member["name"], on_seen, level=level + 1)


def _draw_value(
    content: dict[str, Any], texts: Texts, name: str, on_seen: Callable[[], None]
) -> None:
    value = content["value"]
    flags = {
        "is_copyable": content["copyable"],
        "has_qr": content["qr"] and len(value.encode()) <= QR_BYTES_MAX,
    }
    if content["masked"]:

        def give() -> str:
            on_seen()
            return str(value)

        secret_field(texts, name, give, **flags)
    else:
        copy_field(texts, name, value, **flags)


def _draw_description(member: dict[str, Any]) -> None:
    if member["description"]:
        Text("div", member["description"]).classes("form-help")
