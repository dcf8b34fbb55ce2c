"""
Checks of fields with a single value: texts, numbers, choices, dates, files.

Pure. Each check takes a field of a form and a value from JSON, and returns the value
to use or raises `Refused` with what was expected.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.actions.forms import Field

SHOWN_MAX: Final = 60
# Of a masked field: what was typed must not stand in an error, nor in a log.
HIDDEN: Final = "got something else"


class Refused(ValueError):
    """A value is not what its field takes; the text says what was expected."""


def shown(value: Any) -> str:
    """Return a value as people can read it in a message: escaped and short."""
    text = ascii(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."


def check_text(field: Field, value: Any) -> str | None:
    """Check one line or several lines of text against its lengths and patterns."""
    if value is None and not field.get("required", True):
        return None
    if field.get("masked") and not isinstance(value, str):
        raise Refused(f"expected text, {HIDDEN}")
    text = _string(value, "text")
    if not text:
        if field.get("required", True):
            raise Refused("must not be empty")
        return text
    _check_length(field, len(text), "character")
    for rule in field["patterns"]:
        if not _javascript_regex(rule["regex"]).search(text):
            got = HIDDEN if field.get("masked") else f"got {shown(text)}"
            raise Refused(f"expected {rule['description']}, {got}")
    return text


def check_number(field: Field, value: Any) -> float | None:
    """Check a number against its limits; an integer comes back as one."""
    if value is None and not field["required"]:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise Refused(f"expected a number, got {shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"expected a finite number, got {value}")
    if field["integer"] and value != int(value):
        raise Refused(f"expected a whole number, got {value}")
    least, most, step = field["min"], field["max"], field["step"]
    if least is not None and value < least:
        raise Refused(f"expected at least {least}, got {shown(value)}")
    if most is not None and value > most:
        raise Refused(f"expected at most {most}, got {shown(value)}")
    # Decimal figures as they are written: in binary, 0.3 is no multiple of 0.1.
    if step and (Fraction(str(value)) % Fraction(str(step))):
        raise Refused(f"expected a multiple of {step}, got {value}")
    return int(value) if field["integer"] else value


def check_toggle(field: Field, value: Any) -> bool | None:
    """Check a switch; one with three positions may be null."""
    has_three = field["type"] == "triState"
    if isinstance(value, bool) or (has_three and value is None):
        return value
    expected = "true, false or null" if has_three else "true or false"
    raise Refused(f"expected {expected}, got {shown(value)}")


def check_select(field: Field, value: Any) -> str:
    """Check a choice of one key."""
    return check_key(field, tuple(field["values"]), value)


def check_multiselect(field: Field, value: Any) -> list[str]:
    """Check a choice of several keys; each may be given once."""
    if not isinstance(value, list):
        raise Refused(f"expected a list, got {shown(value)}")
    _check_length(field, len(value), "choice")
    keys = tuple(field["values"])
    checked = [check_key(field, keys, item) for item in value]
    for key in checked:
        if checked.count(key) > 1:
            raise Refused(f"{shown(key)} is chosen twice")
    return checked


def check_key(field: Field, keys: tuple[str, ...], value: Any) -> str:
    """Check that a value is one of the keys of a choice and may be chosen now."""
    if not isinstance(value, str) or value not in keys:
        expected = ", ".join(keys) or "nothing, as there is nothing to choose"
        raise Refused(f"expected one of {expected}; got {shown(value)}")
    if isinstance(field["disabled"], list) and value in field["disabled"]:
        raise Refused(f"{shown(value)} cannot be chosen now")
    return value


def check_color(field: Field, value: Any) -> str | None:
    """Check a colour."""
    if value is None and not field["required"]:
        return None
    text = _string(value, "a colour")
    if not re.fullmatch("#[0-9A-Fa-f]{6}", text):
        raise Refused(f"expected a colour such as #ff8800, got {shown(text)}")
    return text


def check_datetime(field: Field, value: Any) -> str | None:
    """Check a date, a time or both, and its limits."""
    if value is None and not field["required"]:
        return None
    text = _string(value, "text")
    instant = _parse_instant(field["inputmode"], text)
    least, most = field["min"], field["max"]
    if least is not None and instant < _parse_instant(field["inputmode"], least):
        raise Refused(f"expected {least} or later, got {text}")
    if most is not None and instant > _parse_instant(field["inputmode"], most):
        raise Refused(f"expected {most} or earlier, got {text}")
    return text


def check_file(field: Field, value: Any) -> dict[str, Any] | None:
    """Check an uploaded file: its path, and the hash and size of its content."""
    if value is None and not field["required"]:
        return None
    if not _is_file(value):
        raise Refused(
            "expected an uploaded file: an object with path, and with commitment, "
            f"an object with hash and size; got {shown(value)}"
        )
    endings = tuple(ending.lower() for ending in field["extensions"])
    if endings and not value["path"].lower().endswith(endings):
        raise Refused(f"expected a file that ends in {' or '.join(endings)}")
    commitment = {key: value["commitment"][key] for key in ("hash", "size")}
    return {"path": value["path"], "commitment": commitment}


def check_count(field: Field, count: int) -> None:
    """Check how many items a list has."""
    _check_length(field, count, "item")


CHECKS: Final[dict[str, Callable[[Field, Any], Any]]] = {
    "text": check_text,
    "textarea": check_text,
    "number": check_number,
    "toggle": check_toggle,
    "triState": check_toggle,
    "select": check_select,
    "multiselect": check_multiselect,
    "color": check_color,
    "datetime": check_datetime,
    "file": check_file,
    # StartOS does not check hidden fields either.
    "hidden": lambda _field, value: value,
}

# Per input mode: the texts it allows, their layouts, and words for both.
_INSTANTS: Final = {
    "date": ({r"\d{4}-\d\d-\d\d": "%Y-%m-%d"}, "a date such as 2026-01-31"),
    "time": (
        {r"\d\d:\d\d": "%H:%M", r"\d\d:\d\d:\d\d": "%H:%M:%S"},
        "a time such as 17:45",
    ),
    "datetime-local": (
        {
            r"\d{4}-\d\d-\d\dT\d\d:\d\d": "%Y-%m-%dT%H:%M",
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d": "%Y-%m-%dT%H:%M:%S",
        },
        "a date and time such as 2026-01-31T17:45",
    ),
}


def _string(value: Any, expected: str) -> str:
    if not isinstance(value, str):
        raise Refused(f"expected {expected}, got {shown(value)}")
    if "\0" in value or any("\ud800" <= item <= "\udfff" for item in value):
        # Neither can be an argument, or stand in a file.
        raise Refused("must not contain NUL or half of a surrogate pair")
    return value


def _check_length(field: Field, length: int, unit: str) -> None:
    least, most = field["minLength"], field["maxLength"]
    if least is not None and length < least:
        raise Refused(f"expected at least {_counted(least, unit)}, got {length}")
    if most is not None and length > most:
        raise Refused(f"expected at most {_counted(most, unit)}, got {length}")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _javascript_regex(text: str) -> re.Pattern[str]:
    # Only in Python does "$" also match before a final line break.
    parts = re.split(r"(\\.|\[(?:\\.|[^\]\\])*\])", text, flags=re.DOTALL)
    parts[::2] = [part.replace("$", r"\Z") for part in parts[::2]]
    return re.compile("".join(parts), re.ASCII)


def _parse_instant(mode: str, text: str) -> dt.datetime:
    layouts, expected = _INSTANTS[mode]
    for shape, layout in layouts.items():
        # strptime alone would take 2026-1-1.
        if re.fullmatch(shape, text, re.ASCII):
            with contextlib.suppress(ValueError):
                # The form has no time zone; only instants of one form are compared.
                return dt.datetime.strptime(text, layout)  # noqa: DTZ007
    raise Refused(f"expected {expected}, got {shown(text)}")


def _is_file(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("path"), str):
        return False
    commitment = value.get("commitment")
    if not isinstance(commitment, dict):
        return False
    size = commitment.get("size")
    is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return is_size and isinstance(commitment.get("hash"), str)
