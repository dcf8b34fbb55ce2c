"""
A form with what is typed in it: from a spec and values to fields, and back to JSON.

Pure. A value that has the form's shape comes back as it was given, right or wrong, so
that the check decides about it and nobody else. What has another shape (text where an
object belongs) is as if it were not given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.portal.forms.random_text import random_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vllm_pkg.actions.forms import Field, InputSpec

Path = tuple[str, ...]


class _Missing:
    """No value at all, where null would be one."""


MISSING: Final = _Missing()


@dataclass(eq=False, kw_only=True)
class Node(ABC):
    """
    One place of the form.

    Args:
        field: What it is, from the spec.
        key: Its key in the object around it.
        parent: What it stands in; None for the whole form.
        is_locked: Whether it may not be changed any more, because it was saved.
        is_confirmed: Whether its warning was confirmed.
        opened: Its value when the form opened.
    """

    field: Field
    key: str = ""
    parent: Node | None = None
    is_locked: bool = False
    is_confirmed: bool = False
    opened: Any = None

    @abstractmethod
    def collect(self) -> Any:
        """Return its value as JSON; `MISSING` where it has none."""

    def children(self) -> Iterator[Node]:
        """Yield what stands in it now, in the order of the form."""
        yield from ()

    def path_of(self, child: Node) -> Path:
        """Return the path of one of its children."""
        return (*self.path, child.key)

    @property
    def path(self) -> Path:
        """Where it stands, as the check names it."""
        return () if self.parent is None else self.parent.path_of(self)

    @property
    def kind(self) -> str:
        """The type of its field."""
        return str(self.field["type"])

    @property
    def name(self) -> str:
        """What it is called; empty for entries of lists and for the form."""
        return str(self.field.get("name", ""))

    @property
    def is_off(self) -> bool:
        """Whether the field as a whole may not be changed now."""
        if self.is_locked or isinstance(self.field.get("disabled"), str):
            return True
        # Of a union that is off, only the choice is fixed; of a list, everything.
        if self.parent is None or self.parent.kind == "union":
            return False
        return self.parent.is_off

    @property
    def is_changed(self) -> bool:
        """Whether its value is another one than when the form opened."""
        return bool(self.collect() != self.opened)

    @property
    def must_ask(self) -> bool:
        """Whether its warning is still to be confirmed."""
        has_warning = bool(self.field.get("warning"))
        return has_warning and not self.is_confirmed and self.is_changed

    def walk(self) -> Iterator[Node]:
        """Yield it and everything in it, in the order of the form."""
        yield self
        for child in self.children():
            yield from child.walk()

    def remember(self) -> None:
        """Take the values as they are now for those that the form opened with."""
        for node in self.walk():
            node.opened = node.collect()


@dataclass(eq=False, kw_only=True)
class Leaf(Node):
    """A place with one value; *value* is as JSON, or what was typed and is wrong."""

    value: Any = None

    def collect(self) -> Any:
        """Return the value."""
        return self.value

    def type_text(self, text: str) -> None:
        """Take what was typed; nothing is null where the field may be left empty."""
        is_null = not text and not self.field.get("required", True)
        self.value = None if is_null else text

    def restore(self) -> None:
        """Go back to the value that the form opened with."""
        self.value = self.opened

    @property
    def is_empty(self) -> bool:
        """Whether nothing was entered."""
        return self.value is None or self.value == ""


@dataclass(eq=False, kw_only=True)
class Group(Node):
    """Named places: the form, an object, a variant, an entry of a list."""

    parts: dict[str, Node] = field(default_factory=dict)

    def collect(self) -> dict[str, Any]:
        """Return the values by key."""
        values = {key: part.collect() for key, part in self.parts.items()}
        return {key: value for key, value in values.items() if value is not MISSING}

    def children(self) -> Iterator[Node]:
        """Yield the parts."""
        yield from self.parts.values()


@dataclass(eq=False, kw_only=True)
class Union(Node):
    """A choice of one variant; the others keep what was typed in them."""

    selection: Any = None
    variants: dict[str, Group] = field(default_factory=dict)
    is_given: bool = False

    def collect(self) -> dict[str, Any] | None:
        """Return selection and value; null where it is off and nothing is chosen."""
        if self.selection is None and self.is_off and not self.is_given:
            return None
        shown = self.shown
        value = {} if shown is None else shown.collect()
        return {"selection": self.selection, "value": value}

    def children(self) -> Iterator[Node]:
        """Yield the chosen variant."""
        if self.shown is not None:
            yield self.shown

    def path_of(self, child: Node) -> Path:  # noqa: ARG002  # one variant is shown
        """Return the path of the chosen variant."""
        return (*self.path, "value")

    @property
    def shown(self) -> Group | None:
        """The chosen variant, if there is one of that name."""
        return self.variants.get(str(self.selection))

    def choose(self, key: Any) -> None:
        """Choose a variant; the first time it opens with its defaults."""
        self.selection = key
        if key in self.field["variants"] and key not in self.variants:
            group = _variant(self, key, MISSING, MISSING)
            self.variants[key] = group
            group.remember()

    def restore(self) -> None:
        """Go back to the variant that the form opened with."""
        self.choose((self.opened or {}).get("selection"))


@dataclass(eq=False, kw_only=True)
class Entries(Node):
    """A list."""

    items: list[Node] = field(default_factory=list)

    def collect(self) -> list[Any]:
        """Return the values of the entries."""
        return [item.collect() for item in self.items]

    def children(self) -> Iterator[Node]:
        """Yield the entries."""
        yield from self.items

    def path_of(self, child: Node) -> Path:
        """Return the path of an entry: its position now."""
        return (*self.path, str(self.items.index(child)))

    def add(self) -> Node:
        """Append an entry with its defaults, and return it."""
        item = _item(self, MISSING)
        self.items.append(item)
        item.remember()
        return item

    def move(self, item: Node, by: int) -> int:
        """Move an entry up (-1) or down (1); return its position then."""
        before = self.items.index(item)
        after = min(max(before + by, 0), len(self.items) - 1)
        self.items.insert(after, self.items.pop(before))
        return after


def build_form(
    spec: InputSpec,
    saved: dict[str, Any] | None = None,
    prefill: dict[str, Any] | None = None,
) -> Group:
    """
    Return a form.

    Args:
        spec: Its fields.
        saved: The value it stands for, or None where nothing was saved yet.
        prefill: What it begins with instead; may be partial.
    """
    given = _merge(saved or {}, prefill or {})
    form = Group(field={"type": "object", "spec": spec})
    form.parts = _parts(form, spec, given, saved or {})
    form.remember()
    return form


def find(form: Node, path: Path) -> Node:
    """Return the place that a path leads to, or the last one on the way there."""
    node = form
    for length in range(1, len(path) + 1):
        found = [child for child in node.children() if child.path == path[:length]]
        node = found[0] if found else node
    return node


def _merge(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    keys = dict.fromkeys((*below, *above))
    return {
        key: _merge(below.get(key, MISSING), above[key]) if key in above else below[key]
        for key in keys
    }


def _parts(parent: Node, spec: InputSpec, given: Any, saved: Any) -> dict[str, Node]:
    return {
        key: _node(parent, key, field, _get(given, key), _get(saved, key))
        for key, field in spec.items()
    }


def _get(value: Any, key: str) -> Any:
    return value.get(key, MISSING) if isinstance(value, dict) else MISSING


def _node(parent: Node, key: str, field: Field, given: Any, saved: Any) -> Node:
    node = _BUILDERS.get(field["type"], _leaf)(field, given, saved)
    node.key, node.parent = key, parent
    node.is_locked = bool(field.get("immutable")) and saved not in (MISSING, None, "")
    return node


def _leaf(field: Field, given: Any, saved: Any) -> Leaf:  # noqa: ARG001  # as builders
    value = _default(field) if given is MISSING else given
    return Leaf(field=field, value=value)


def _default(field: Field) -> Any:
    default = field.get("default", MISSING if field["type"] == "hidden" else None)
    if field["type"] == "text" and isinstance(default, dict):
        return random_text(default)
    if field["type"] == "multiselect":
        return list(default or ())
    if field["type"] == "toggle" and default is None and not field["disabled"]:
        # A switch has two positions.
        return False
    return default


def _group(field: Field, given: Any, saved: Any) -> Group:
    group = Group(field=field)
    group.parts = _parts(group, field["spec"], given, saved)
    return group


def _union(field: Field, given: Any, saved: Any) -> Union:
    is_given = isinstance(given, dict) and "selection" in given
    selection = given["selection"] if is_given else field["default"]
    union = Union(field=field, selection=selection, is_given=is_given)
    inner = _get(given, "value") if is_given else MISSING
    values = {str(selection): inner}
    others = _get(given, "other")
    if isinstance(others, dict):
        values = others | values
    for key, value in values.items():
        if key in field["variants"]:
            is_saved = _get(saved, "selection") == key
            before = _get(saved, "value") if is_saved else MISSING
            union.variants[key] = _variant(union, key, value, before)
    return union


def _variant(union: Union, key: str, given: Any, saved: Any) -> Group:
    spec = union.field["variants"][key]["spec"]
    group = _group({"type": "object", "spec": spec}, given, saved)
    group.parent = union
    return group


def _entries(field: Field, given: Any, saved: Any) -> Entries:  # noqa: ARG001
    entries = Entries(field=field)
    values = given if isinstance(given, list) else field["default"]
    entries.items = [_item(entries, value) for value in values]
    return entries


def _item(entries: Entries, given: Any) -> Node:
    spec = entries.field["spec"]
    if spec["type"] == "object":
        item: Node = _group(spec, given, MISSING)
    else:
        item = Leaf(field=spec, value="" if given is MISSING else given)
    item.parent = entries
    return item


_BUILDERS: Final[dict[str, Callable[[Field, Any, Any], Node]]] = {
    "object": _group,
    "union": _union,
    "list": _entries,
}
