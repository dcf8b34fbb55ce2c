"""
What stands around a field: its label, its help, why it or an option is off.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_decimal

from vllm_pkg.portal.forms.model import Entries, Leaf, Union

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.actions.forms import Field
    from vllm_pkg.portal.forms.model import Node
    from vllm_pkg.portal.texts.catalogue import Texts

# More options than that are folded into a list to choose from.
OPEN_OPTIONS_MAX: Final = 20
FILE_MIB_MAX: Final = 8
FILE_BYTES_MAX: Final = FILE_MIB_MAX * 1024**2


@dataclass(frozen=True)
class Option:
    """
    One thing that can be chosen.

    Args:
        key: Its key.
        label: What it is called; StartOS's actions put the reason here when it is off.
        is_off: Whether it cannot be chosen now.
        is_chosen: Whether it is chosen.
    """

    key: str
    label: str
    is_off: bool
    is_chosen: bool


def options_of(node: Leaf | Union) -> list[Option]:
    """Return what can be chosen in a select, a multiselect or a union."""
    if isinstance(node, Union):
        variants = node.field["variants"].items()
        labels = {key: variant["name"] for key, variant in variants}
        chosen = [node.selection]
    else:
        labels = dict(node.field["values"])
        chosen = node.value if isinstance(node.value, list) else [node.value]
    if node.kind == "multiselect":
        # What is chosen and no longer offered must stay visible, to be taken out.
        labels |= {str(key): str(key) for key in chosen if key not in labels}
    disabled = node.field["disabled"]
    off = disabled if isinstance(disabled, list) else []

    def option(key: str) -> Option:
        is_chosen = key in chosen
        may_leave = is_chosen and node.kind == "multiselect"
        is_off = node.is_off or (key in off and not may_leave)
        return Option(key, labels[key], is_off, is_chosen)

    return [option(key) for key in labels]


def label_of(node: Node, texts: Texts) -> str:
    """Return the label of a field; it says when the field may be left empty."""
    if node.name:
        if node.field.get("required", True):
            return node.name
        return texts("forms.optional", name=node.name)
    if isinstance(node.parent, Entries):
        number = int(node.path[-1]) + 1
        return texts("forms.list.entry_of", name=node.parent.name, number=number)
    return ""


def reason_of(node: Node, texts: Texts) -> str | None:
    """Return why a field as a whole is off, or None."""
    reason = node.field.get("disabled")
    if isinstance(reason, str):
        return reason
    return texts("forms.locked") if node.is_locked else None


def help_of(node: Node, texts: Texts) -> list[str]:
    """Return the sentences below a field: what it is for, and what it takes."""
    lines = [node.field.get("description") or "", *_limits(node, texts)]
    if node.field.get("immutable") and not node.is_locked:
        lines.append(texts("forms.locks"))
    return [line for line in lines if line]


def _limits(node: Node, texts: Texts) -> list[str]:
    match node.kind:
        case "number":
            return _number_limits(node.field, texts)
        case "datetime":
            written = partial(_instant, node.field["inputmode"], texts)
            return _range(node.field, texts, "date", written)
        case "list" | "multiselect":
            return _count_limits(node.field, texts)
        case "file":
            endings = ", ".join(node.field["extensions"])
            if not endings:
                return [texts("forms.limits.file", size=FILE_MIB_MAX)]
            return [texts("forms.limits.file_ends", size=FILE_MIB_MAX, endings=endings)]
    return []


def _number_limits(field: Field, texts: Texts) -> list[str]:
    def written(value: float) -> str:
        return format_decimal(value, locale=texts.locale, decimal_quantization=False)

    limits, step = _range(field, texts, "number", written), field["step"]
    if step and step != 1:
        limits.append(texts("forms.limits.step", step=written(step)))
    return limits


def _instant(mode: str, texts: Texts, value: str) -> str:
    """Return a date, a time or both as the language writes it."""
    if mode == "date":
        return format_date(date.fromisoformat(value), locale=texts.locale)
    if mode == "time":
        return format_time(time.fromisoformat(value), "short", locale=texts.locale)
    return format_datetime(datetime.fromisoformat(value), locale=texts.locale)


def _range(
    field: Field, texts: Texts, kind: str, written: Callable[[Any], str]
) -> list[str]:
    limits = {"least": field["min"], "most": field["max"]}
    given = {
        name: written(value) for name, value in limits.items() if value is not None
    }
    if not given:
        return []
    name = "both" if len(given) > 1 else next(iter(given))
    return [texts(f"forms.limits.{kind}.{name}", **given)]


def _count_limits(field: Field, texts: Texts) -> list[str]:
    least, most = field["minLength"], field["maxLength"]
    if least and most is not None:
        return [texts("forms.limits.count.both", least=least, most=most)]
    if least:
        return [texts("forms.limits.count.least", count=least)]
    if most is not None:
        return [texts("forms.limits.count.most", count=most)]
    return []
