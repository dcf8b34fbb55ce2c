"""
Builders of StartOS form fields: plain dictionaries, with every key present.

The shapes are those of start-sdk 2.0.9 (its ``inputSpecTypes``), so that the StartOS
UI, the portal and the command line show one definition. Options keep StartOS's names.
An input spec is a dictionary from key to field, shown in its order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Field = dict[str, Any]
InputSpec = dict[str, Field]


class Pattern(TypedDict):
    """A rule for a text: a JavaScript regex, and what it means to a person."""

    regex: str
    description: str


class Noted(TypedDict, total=False):
    """Options of every field that is shown."""

    description: str | None
    warning: str | None


class Scalar(Noted, total=False):
    """Options of fields with one value; *disabled* is the reason, or False."""

    footnote: str | None
    disabled: str | bool
    immutable: bool


class TextRules(TypedDict, total=False):
    """Options of everything that is typed."""

    patterns: list[Pattern]
    minLength: int | None
    maxLength: int | None
    placeholder: str | None


class TextItems(TextRules, total=False):
    """Options of the items of a list of texts."""

    masked: bool
    inputmode: str
    generate: dict[str, Any] | None


class Text(Scalar, TextItems, total=False):
    """Options of one line of text."""


class Textarea(Scalar, TextRules, total=False):
    """Options of several lines of text."""

    minRows: int
    maxRows: int


class Number(Scalar, total=False):
    """Options of a number."""

    min: float | None
    max: float | None
    step: float | None
    units: str | None
    placeholder: str | None


class Datetime(Scalar, total=False):
    """Options of a date, a time, or both, as *inputmode* says."""

    inputmode: str
    min: str | None
    max: str | None


class Choice(Noted, total=False):
    """Options of a union; *disabled* may name single variants."""

    disabled: str | bool | list[str]
    immutable: bool


class Select(Choice, total=False):
    """Options of a choice of one; *disabled* may name single keys."""

    footnote: str | None


class Multiselect(Select, total=False):
    """Options of a choice of several; *disabled* may name single keys."""

    minLength: int | None
    maxLength: int | None


class List(Noted, total=False):
    """Options of a list."""

    minLength: int | None
    maxLength: int | None
    disabled: str | bool


_NOTED: Final[Noted] = {"description": None, "warning": None}
_CHOICE: Final[Choice] = {**_NOTED, "disabled": False, "immutable": False}
_SELECT: Final[Select] = {**_CHOICE, "footnote": None}
_MULTISELECT: Final[Multiselect] = {**_SELECT, "minLength": None, "maxLength": None}
_SCALAR: Final[Scalar] = {
    **_NOTED,
    "footnote": None,
    "disabled": False,
    "immutable": False,
}


def text(
    name: str,
    *,
    required: bool,
    default: str | dict[str, Any] | None = None,
    **options: Unpack[Text],
) -> Field:
    """Return a field for one line of text; its value is null when left empty."""
    defaults = {**_SCALAR, **_text_rules(), **_item_rules()}
    return _field("text", name, defaults, options, required=required, default=default)


def textarea(
    name: str,
    *,
    required: bool,
    default: str | None = None,
    **options: Unpack[Textarea],
) -> Field:
    """Return a field for several lines of text; its value is null when left empty."""
    rows = {"minRows": 3, "maxRows": 6}
    defaults = {**_SCALAR, **_text_rules(), **rows}
    rest = {"required": required, "default": default}
    return _field("textarea", name, defaults, options, **rest)


def number(
    name: str,
    *,
    required: bool,
    integer: bool,
    default: float | None = None,
    **options: Unpack[Number],
) -> Field:
    """Return a field for a number."""
    names = ("min", "max", "step", "units", "placeholder")
    defaults = {**_SCALAR, **dict.fromkeys(names)}
    rest = {"required": required, "integer": integer, "default": default}
    return _field("number", name, defaults, options, **rest)


def color(
    name: str,
    *,
    required: bool,
    default: str | None = None,
    **options: Unpack[Scalar],
) -> Field:
    """Return a field for a colour, such as ``#ff8800``."""
    rest = {"required": required, "default": default}
    return _field("color", name, _SCALAR, options, **rest)


def datetime(
    name: str,
    *,
    required: bool,
    default: str | None = None,
    **options: Unpack[Datetime],
) -> Field:
    """Return a field for a date, a time or both."""
    own = {"inputmode": "datetime-local", "min": None, "max": None}
    rest = {"required": required, "default": default}
    return _field("datetime", name, {**_SCALAR, **own}, options, **rest)


def toggle(name: str, *, default: bool | None, **options: Unpack[Scalar]) -> Field:
    """Return a switch."""
    return _field("toggle", name, _SCALAR, options, default=default)


def tri_state(name: str, *, default: bool | None, **options: Unpack[Scalar]) -> Field:
    """Return a switch with a third position, null."""
    return _field("triState", name, _SCALAR, options, default=default)


def select(
    name: str,
    values: Mapping[str, str],
    *,
    default: str | None,
    **options: Unpack[Select],
) -> Field:
    """Return a choice of one key of *values*, which maps keys to labels."""
    rest = {"values": dict(values), "default": default}
    return _field("select", name, _SELECT, options, **rest)


def multiselect(
    name: str,
    values: Mapping[str, str],
    *,
    default: Sequence[str] = (),
    **options: Unpack[Multiselect],
) -> Field:
    """Return a choice of several keys of *values*, which maps keys to labels."""
    rest = {"values": dict(values), "default": list(default)}
    return _field("multiselect", name, _MULTISELECT, options, **rest)


def text_items(**options: Unpack[TextItems]) -> Field:
    """Return what the items of a list of texts are."""
    return {"type": "text", **_text_rules(), **_item_rules(), **options}


def object_items(
    spec: InputSpec,
    *,
    unique_by: str | dict[str, Any] | None = None,
    display_as: str | None = None,
) -> Field:
    """Return what the items of a list of objects are, and what must differ."""
    own = {"spec": spec, "uniqueBy": unique_by, "displayAs": display_as}
    return {"type": "object", **own}


def list_of(
    name: str, items: Field, *, default: Sequence[Any] = (), **options: Unpack[List]
) -> Field:
    """Return a list of what `text_items` or `object_items` describes."""
    own = {"minLength": None, "maxLength": None, "disabled": False}
    rest = {"spec": items, "default": list(default)}
    return _field("list", name, {**_NOTED, **own}, options, **rest)


def object_of(name: str, spec: InputSpec, **options: Unpack[Noted]) -> Field:
    """Return a group of fields with a value of its own."""
    return _field("object", name, _NOTED, options, spec=spec)


def variant(name: str, spec: InputSpec) -> dict[str, Any]:
    """Return one variant of a union: its label and the fields it shows."""
    return {"name": name, "spec": spec}


def union(
    name: str,
    variants: Mapping[str, dict[str, Any]],
    *,
    default: str | None,
    **options: Unpack[Choice],
) -> Field:
    """Return a choice of one variant, whose fields are then shown."""
    rest = {"variants": dict(variants), "default": default}
    return _field("union", name, _CHOICE, options, **rest)


def file(
    name: str, *, required: bool, extensions: Sequence[str], **options: Unpack[Noted]
) -> Field:
    """Return a field for an uploaded file; extensions are such as ``.pem``."""
    rest = {"required": required, "extensions": list(extensions)}
    return _field("file", name, _NOTED, options, **rest)


def hidden() -> Field:
    """Return a field that is not shown and may hold anything."""
    return {"type": "hidden"}


def _field(
    kind: str,
    name: str,
    defaults: Mapping[str, Any],
    options: Mapping[str, Any],
    **rest: Any,
) -> Field:
    return {"type": kind, "name": name, **defaults, **options, **rest}


def _text_rules() -> dict[str, Any]:
    names = ("placeholder", "minLength", "maxLength")
    return {**dict.fromkeys(names), "patterns": []}


def _item_rules() -> dict[str, Any]:
    return {"masked": False, "inputmode": "text", "generate": None}
