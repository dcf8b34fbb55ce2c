"""Lists: entries are added, removed and moved, all of it by keyboard too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from nicegui import ui

from vllm_pkg.portal.components.buttons import button
from vllm_pkg.portal.forms.field import Drawn, draw_messages, field_frame
from vllm_pkg.portal.forms.hints import label_of
from vllm_pkg.portal.forms.model import Group
from vllm_pkg.portal.forms.native import element, focus_on, icon_button, set_attributes
from vllm_pkg.portal.forms.templates import fill_template

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from vllm_pkg.portal.forms.form import FormView
    from vllm_pkg.portal.forms.model import Entries, Node

# Button of an entry, its icon, and by how much it moves the entry.
_MOVES: Final = (("up", "arrow_upward", -1), ("down", "arrow_downward", 1))


def draw_list(form: FormView, node: Node) -> Drawn:
    """Draw a list of texts or of objects."""
    return ListView(form, cast("Entries", node)).drawn


class ListView:
    """
    A list as it is drawn.

    Args:
        form: The form it is in.
        node: The list.
    """

    def __init__(self, form: FormView, node: Entries) -> None:
        self.form, self.node = form, node
        self._entries: dict[Node, EntryView] = {}
        with field_frame(node, form.texts, is_group=True) as self.drawn:
            labels = {"aria_labelledby": self.drawn.label.html_id}
            self._place = element("ol", **labels).classes("form-entries")
            self._add = button(
                form.texts("forms.list.add"),
                self._append,
                icon="add",
                name=form.texts("forms.list.add_to", name=node.name),
            )
        set_attributes(self._add, aria_describedby=self.drawn.described_by)
        self.drawn.controls.append(self._add)
        for item in node.items:
            self._draw_entry(item, is_open=not _title(item))
        self._refresh()

    def _draw_entry(self, item: Node, *, is_open: bool) -> None:
        with self._place:
            self._entries[item] = EntryView(self, item, is_open=is_open)

    def _refresh(self) -> None:
        """Bring names, numbers and buttons up to date."""
        count, most = len(self.node.items), self.node.field["maxLength"]
        is_full = most is not None and count >= most
        self._add.set_enabled(not (is_full or self.node.is_off))
        self._place.set_visibility(count > 0)
        for position, item in enumerate(self.node.items):
            self._entries[item].refresh(position, count)

    async def _append(self) -> None:
        if not await self.form.allow(self.node):
            return
        item = self.node.add()
        self._draw_entry(item, is_open=True)
        self._changed()
        focus_on(self.form.drawn[item].focus_id)

    async def remove(self, item: Node) -> None:
        """Take an entry out; the focus goes to the one that takes its place."""
        if not await self.form.allow(self.node):
            return
        position = self.node.items.index(item)
        self.node.items.remove(item)
        self.form.forget(item)
        self._entries.pop(item).box.delete()
        self._changed()
        self.form.say(self.form.texts("forms.list.removed", number=position + 1))
        after = self.node.items[position : position + 1] or self.node.items[-1:]
        focus_on(self._entries[after[0]].remove_id if after else self._add.html_id)

    async def move(self, item: Node, by: int, pressed: ui.button) -> None:
        """Move an entry up or down; the focus stays on the button that did it."""
        if not await self.form.allow(self.node):
            return
        position = self.node.move(item, by)
        self._entries[item].box.move(target_index=position)
        self._changed()
        self.form.say(self.form.texts("forms.list.moved", number=position + 1))
        focus_on(pressed.html_id)

    def _changed(self) -> None:
        self._refresh()
        self.form.changed(self.node)


class EntryView:
    """
    One entry of a list as it is drawn.

    Args:
        entries: The list.
        item: The entry.
        is_open: Whether an object is shown unfolded.
    """

    def __init__(self, entries: ListView, item: Node, *, is_open: bool) -> None:
        self._entries, self._item, self._form = entries, item, entries.form
        self._is_open = is_open
        self._buttons: dict[str, ui.button] = {}
        with ui.element("li").classes("form-entry") as self.box:
            if isinstance(item, Group):
                self._draw_object(item)
            else:
                self._draw_text()

    @property
    def remove_id(self) -> str:
        """Id of the button that removes it."""
        return self._buttons["remove"].html_id

    def refresh(self, position: int, count: int) -> None:
        """Bring its number, its title and the names of its buttons up to date."""
        texts, name = self._form.texts, self._name()
        for key, made in self._buttons.items():
            set_attributes(made, aria_label=texts(f"forms.list.{key}", name=name))
        if self._buttons:
            # Kept in place, and focusable: what was just pressed does not vanish.
            set_attributes(self._buttons["up"], aria_disabled=_flag(position == 0))
            is_last = position == count - 1
            set_attributes(self._buttons["down"], aria_disabled=_flag(is_last))
        if isinstance(self._item, Group):
            self._title.set_text(name)
        else:
            self._form.relabel(self._item)

    def retitle(self) -> None:
        """Show the title that follows from what was typed."""
        count = len(self._entries.node.items)
        self.refresh(self._entries.node.items.index(self._item), count)

    def _name(self) -> str:
        return _title(self._item) or label_of(self._item, self._form.texts)

    def _draw_text(self) -> None:
        with ui.element("div").classes("form-entry-line"):
            with ui.element("div").classes("form-entry-main"):
                self._form.draw(self._item)
            self._draw_buttons()

    def _draw_object(self, item: Group) -> None:
        with ui.element("div").classes("form-entry-line"):
            self._title = ui.button(color=None, on_click=self._turn)
            self._title.props("flat no-caps align=left").classes("form-entry-main")
            self._draw_buttons()
        self._body = element("div", role="group", aria_labelledby=self._title.html_id)
        with self._body.classes("form-nested"):
            self._form.draw_children(item)
        drawn = draw_messages(item, self._form.texts, self._title)
        drawn.controls.extend(self._form.first_controls(item))
        drawn.reveal = lambda: self._show(is_open=True)
        self._form.drawn[item] = drawn
        self._form.titles[item] = self.retitle
        set_attributes(self._title, aria_controls=self._body.html_id)
        self._show(is_open=self._is_open)

    def _turn(self) -> None:
        self._show(is_open=not self._is_open)

    def _show(self, *, is_open: bool) -> None:
        self._is_open = is_open
        self._body.set_visibility(is_open)
        self._title.set_icon("expand_less" if is_open else "expand_more")
        set_attributes(self._title, aria_expanded=_flag(is_open))

    def _draw_buttons(self) -> None:
        if self._item.is_off:
            return
        for key, icon, by in _MOVES:
            self._buttons[key] = icon_button(icon, key, self._mover(key, by))
        self._buttons["remove"] = icon_button(
            "close", "remove", lambda: self._entries.remove(self._item)
        )

    def _mover(self, key: str, by: int) -> Callable[[], Coroutine[Any, Any, None]]:
        return lambda: self._entries.move(self._item, by, self._buttons[key])


def _title(item: Node) -> str:
    """Return what the template calls an entry; empty for one that has no name yet."""
    if not isinstance(item, Group) or item.parent is None:
        return ""
    rules = item.parent.field["spec"]
    return fill_template(rules["displayAs"], rules["spec"], item.collect())


def _flag(is_true: bool) -> str:  # noqa: FBT001  # an attribute's value
    return "true" if is_true else "false"
