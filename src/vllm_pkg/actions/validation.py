"""
Checks an input against a form, by the same rules wherever an action is run from.

Pure. The rules are those of StartOS: every key of the form must be there, and a text
that is not required is null. All problems are found at once, each with its path.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.actions.scalars import (
    CHECKS,
    Refused,
    check_count,
    check_key,
    check_text,
    shown,
)
from vllm_pkg.errors import FieldProblem, InvalidArgument, PackageDataInvalid

if TYPE_CHECKING:
    from vllm_pkg.actions.forms import Field, InputSpec

Path = tuple[str, ...]
SHOWN_PROBLEMS_MAX: Final = 5


def validate_input(spec: InputSpec, value: Any) -> dict[str, Any]:
    """
    Check an input against a form.

    Args:
        spec: The form, as computed when it opened.
        value: The input, as parsed from JSON.
    Returns:
        The input to use: keys of the form only, whole numbers as integers. What a
        union keeps of its other variants is left out.
    Raises:
        InvalidArgument: the input is wrong; ``fields`` has every problem.
    """
    checker = _Checker()
    checked = checker.check_object(spec, value, ())
    if checker.problems:
        raise invalid_input(tuple(checker.problems))
    return checked


def invalid_input(problems: tuple[FieldProblem, ...]) -> InvalidArgument:
    """Return the error for an input with problems, at least one."""
    texts = [
        f"{'.'.join(problem.path) or 'the input'}: {problem.message}"
        for problem in problems[:SHOWN_PROBLEMS_MAX]
    ]
    if len(problems) > SHOWN_PROBLEMS_MAX:
        texts.append(f"and {len(problems) - SHOWN_PROBLEMS_MAX} more")
    return InvalidArgument("; ".join(texts), hint="correct the input", fields=problems)


class _Checker:
    """One check of one input; collects what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[FieldProblem] = []

    def check_object(self, spec: InputSpec, value: Any, path: Path) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(path, f"expected an object, got {shown(value)}")
            return {}
        for key in value:
            if key not in spec:
                self._refuse((*path, _printable(key)), _unknown_key(key, spec))
        checked = {}
        for key, field in spec.items():
            if key in value:
                checked[key] = self._check_field(field, value[key], (*path, key))
            elif field["type"] != "hidden":
                self._refuse((*path, key), f"is missing; expected {_expected(field)}")
        return checked

    def _check_field(self, field: Field, value: Any, path: Path) -> Any:
        reason = field.get("disabled")
        if isinstance(reason, str):
            is_default = _is_default(field, value)
            if not is_default:
                self._refuse(path, f"cannot be changed now: {reason}")
            if not is_default or value is None:
                return None
        match field["type"]:
            case "object":
                return self.check_object(field["spec"], value, path)
            case "union":
                return self._check_union(field, value, path)
            case "list":
                return self._check_list(field, value, path)
        return self._check_scalar(field, value, path)

    def _check_scalar(self, field: Field, value: Any, path: Path) -> Any:
        check = CHECKS.get(field["type"])
        if check is None:
            what = f"{'.'.join(path)}: no field is of type {field['type']!r}"
            raise PackageDataInvalid(what)
        try:
            return check(field, value)
        except Refused as error:
            self._refuse(path, str(error))
            return None

    def _check_union(self, field: Field, value: Any, path: Path) -> Any:
        expected = "an object with selection and value"
        if not isinstance(value, dict) or not {"selection", "value"} <= value.keys():
            self._refuse(path, f"expected {expected}, got {shown(value)}")
            return None
        for key in value:
            if key not in {"selection", "value", "other"}:
                place = (*path, _printable(key))
                self._refuse(place, f"unknown key; expected {expected}")
        variants = field["variants"]
        try:
            chosen = check_key(field, tuple(variants), value["selection"])
        except Refused as error:
            self._refuse((*path, "selection"), _with_label(str(error), field, value))
            return None
        spec = variants[chosen]["spec"]
        inner = self.check_object(spec, value["value"], (*path, "value"))
        return {"selection": chosen, "value": inner}

    def _check_list(self, field: Field, value: Any, path: Path) -> Any:
        if not isinstance(value, list):
            self._refuse(path, f"expected a list, got {shown(value)}")
            return None
        try:
            check_count(field, len(value))
        except Refused as error:
            self._refuse(path, str(error))
        items = field["spec"]
        before = len(self.problems)
        checked = [
            self._check_item(items, item, (*path, str(position)))
            for position, item in enumerate(value)
        ]
        if len(self.problems) == before:
            self._check_unique(items, checked, path)
        return checked

    def _check_item(self, items: Field, value: Any, path: Path) -> Any:
        if items["type"] == "object":
            return self.check_object(items["spec"], value, path)
        try:
            return check_text(items, value)
        except Refused as error:
            self._refuse(path, str(error))
            return None

    def _check_unique(self, items: Field, checked: list[Any], path: Path) -> None:
        for later, item in enumerate(checked):
            for earlier, other in enumerate(checked[:later]):
                if _are_equal(items, item, other):
                    place = (*path, str(later))
                    self._refuse(place, f"is the same as entry {earlier}")
                    break

    def _refuse(self, path: Path, message: str) -> None:
        self.problems.append(FieldProblem(path, message))


def _is_default(field: Field, value: Any) -> bool:
    if field["type"] == "union" and isinstance(value, dict):
        return bool(value.get("selection") == field["default"])
    return bool(value == field["default"])


def _are_equal(items: Field, one: Any, other: Any) -> bool:
    if items["type"] == "text":
        return bool(one == other)
    return _match(items["uniqueBy"], one, other)


def _match(unique_by: Any, one: dict[str, Any], other: dict[str, Any]) -> bool:
    if unique_by is None:
        return False
    if isinstance(unique_by, str):
        # As JSON, because in Python true equals 1.
        return json.dumps(one[unique_by]) == json.dumps(other[unique_by])
    if "any" in unique_by:
        return any(_match(rule, one, other) for rule in unique_by["any"])
    return all(_match(rule, one, other) for rule in unique_by["all"])


def _with_label(message: str, field: Field, value: dict[str, Any]) -> str:
    # The label of a variant that cannot be chosen carries the reason.
    chosen = field["variants"].get(str(value["selection"]))
    return message if chosen is None else f"{message}: {chosen['name']}"


def _unknown_key(key: str, spec: InputSpec) -> str:
    similar = difflib.get_close_matches(key, spec, n=1)
    if similar:
        return f"unknown key; did you mean {similar[0]}?"
    known = ", ".join(spec) or "no keys"
    return f"unknown key; expected {known}"


def _printable(key: str) -> str:
    return key if key.isascii() and key.isprintable() and key else shown(key)


def _expected(field: Field) -> str:
    names = {
        "text": "text",
        "textarea": "text",
        "number": "a number",
        "toggle": "true or false",
        "triState": "true, false or null",
        "select": "one of its keys",
        "multiselect": "a list of its keys",
        "list": "a list",
        "object": "an object",
        "union": "an object with selection and value",
        "datetime": "a date or time",
        "color": "a colour",
        "file": "an uploaded file",
    }
    may_be_null = not field.get("required", True)
    return names[field["type"]] + (" or null" if may_be_null else "")
