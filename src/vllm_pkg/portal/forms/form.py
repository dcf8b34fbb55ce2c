"""A form as it is drawn: its fields, what is wrong with them, and what is asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms import choices, files, groups, lists, typed
from vllm_pkg.portal.forms.confirm import Question, ask
from vllm_pkg.portal.forms.hints import label_of
from vllm_pkg.portal.forms.native import (
    element,
    focus_unless_typing,
    note_typing,
    set_attributes,
)
from vllm_pkg.portal.forms.problems import check_form, place_problems, summary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from nicegui import ui

    from vllm_pkg.errors import FieldProblem
    from vllm_pkg.portal.forms.field import Drawn
    from vllm_pkg.portal.forms.model import Group, Node
    from vllm_pkg.portal.texts.catalogue import Texts

    Submit = Callable[[dict[str, Any]], Awaitable[None]]

_DRAW: Final[dict[str, Callable[[FormView, Node], Drawn]]] = {
    "text": typed.draw_text,
    "textarea": typed.draw_textarea,
    "number": typed.draw_number,
    "color": typed.draw_color,
    "datetime": typed.draw_datetime,
    "toggle": choices.draw_toggle,
    "triState": choices.draw_tri_state,
    "select": choices.draw_select,
    "multiselect": choices.draw_multiselect,
    "file": files.draw_file,
    "list": lists.draw_list,
    "object": groups.draw_object,
    "union": groups.draw_union,
}
# The browser keeps half a date to itself; that there is one it tells.
_SUBMITTED: Final = """(event) => emit(
  [...event.target.elements]
    .filter((item) => item.validity?.badInput)
    .map((item) => item.id)
)"""


class FormView:
    """
    A form as it is drawn.

    Args:
        form: The form.
        texts: The language of the page.
        submit: Called with the value once it is right and everything is confirmed.
    """

    def __init__(self, form: Group, texts: Texts, submit: Submit) -> None:
        self.form, self.texts, self._submit = form, texts, submit
        self.drawn: dict[Node, Drawn] = {}
        # What follows from what was typed in an entry of a list: its title.
        self.titles: dict[Node, Callable[[], None]] = {}
        # What is wrong, and whether the check would find it again.
        self._wrong: dict[Node, bool] = {}
        self._asking = asyncio.Lock()
        self._declined = 0
        self.element = element("form", novalidate=True, autocomplete="off")
        self.element.classes("forms")
        self.element.on("submit.prevent", self._submitted, js_handler=_SUBMITTED)
        note_typing(self.element)
        with self.element:
            self.alert = element("div", role="alert").classes("form-alert")
            with element("div").classes("forms") as self._fields:
                self.draw_children(form)
            self._said = element("div", role="status").classes("vp-visually-hidden")

    def draw(self, node: Node) -> None:
        """Draw one field; a hidden one is not drawn."""
        if node.kind in _DRAW:
            self.drawn[node] = _DRAW[node.kind](self, node)

    def draw_children(self, node: Node) -> None:
        """Draw what stands in a place."""
        for child in node.children():
            self.draw(child)

    def first_controls(self, node: Node) -> list[ui.element]:
        """Return the controls of the first field in a place that has any."""
        drawn = (self.drawn[item] for item in node.walk() if item in self.drawn)
        return next((item.controls for item in drawn if item.controls), [])

    def set_busy(self, *, is_busy: bool) -> None:
        """Keep what was typed readable, but unchanged, while something runs with it."""
        set_attributes(self._fields, inert=True if is_busy else None)

    def relabel(self, node: Node) -> None:
        """Write the label of a field anew."""
        label = self.drawn[node].label
        if isinstance(label, Text):
            label.set_text(label_of(node, self.texts))

    def forget(self, node: Node) -> None:
        """Forget what is drawn of a place that is gone."""
        for item in node.walk():
            self.drawn.pop(item, None)
            self.titles.pop(item, None)
            self._wrong.pop(item, None)

    def say(self, text: str) -> None:
        """Tell it to those who do not see what changed."""
        self._said.clear()
        with self._said:
            Text("span", text)

    def changed(self, node: Node) -> None:
        """Bring up to date what follows from a change: titles, and known problems."""
        place: Node | None = node
        while place is not None:
            if place in self.titles:
                self.titles[place]()
            place = place.parent
        if self._wrong:
            self._check_again(node)

    def _check_again(self, node: Node) -> None:
        found = self._place(check_form(self.form))
        for wrong, is_checked in list(self._wrong.items()):
            # What an action found is not found by the check: it goes when it is edited.
            if is_checked or wrong in _around(node):
                self._show_problem(wrong, found.get(wrong))

    def _place(
        self, problems: Iterable[FieldProblem], unreadable: Iterable[Node] = ()
    ) -> dict[Node, str]:
        """Return what is wrong by where it is drawn, in the order of the form."""
        found: dict[Node, str] = {}
        for placed in place_problems(self.form, problems, self.texts, unreadable):
            node = self._nearest(placed.node)
            found[node] = " ".join(filter(None, (found.get(node), placed.text)))
        return found

    def refuse(self, node: Node, text: str) -> None:
        """Show that something was not even taken into a field."""
        self._show_problem(node, text)
        self._wrong[node] = False
        self.say(text)

    def _show_problem(self, node: Node, text: str | None) -> None:
        if node in self.drawn:
            self.drawn[node].show_problem(text)
        if text is None:
            self._wrong.pop(node, None)

    async def settle(self, node: Node) -> None:
        """Ask for what a change needs; without a yes the change is taken back."""
        async with self._asking:
            if node.must_ask and not await self._confirmed(node):
                self._declined += 1
                restore = getattr(node, "restore", None)
                if restore is not None:
                    restore()
                    self.drawn[node].restore()
                    self.changed(node)

    async def allow(self, node: Node) -> bool:
        """Return whether a place may be changed now; asks, if that is to be asked."""
        async with self._asking:
            must_ask = node.field.get("warning") and not node.is_confirmed
            return not must_ask or await self._confirmed(node)

    async def _confirmed(self, node: Node) -> bool:
        question = Question(
            title=self.texts("forms.warning.title", name=node.name),
            text=node.field["warning"],
            yes=self.texts("forms.warning.yes"),
            no=self.texts("forms.warning.no"),
        )
        with self.element:
            node.is_confirmed = await ask(question)
        return node.is_confirmed

    async def _submitted(self, event: Any) -> None:
        before = self._declined
        async with self._asking:
            pass
        if self._declined != before:
            return
        unreadable = [
            node for node in self.form.walk() if self._is_in(node, event.args)
        ]
        problems = check_form(self.form)
        self.show_problems(problems, unreadable)
        if problems or unreadable or not await self._all_confirmed():
            return
        await self._submit(self.form.collect())

    async def _all_confirmed(self) -> bool:
        async with self._asking:
            for node in list(self.form.walk()):
                if node.must_ask and not await self._confirmed(node):
                    return False
        return True

    def _is_in(self, node: Node, html_ids: list[str]) -> bool:
        drawn = self.drawn.get(node)
        ids = {item.html_id for item in drawn.controls} if drawn else set()
        # An object or an entry has the controls of its first field.
        return not ids.isdisjoint(html_ids) and not any(node.children())

    def show_problems(
        self, problems: Iterable[FieldProblem], unreadable: Iterable[Node] = ()
    ) -> None:
        """
        Show every problem at its place; the first one gets the focus.

        Args:
            problems: Each with its path.
            unreadable: Fields that hold something the browser does not hand out.
        """
        for node in list(self._wrong):
            self._show_problem(node, None)
        self.alert.clear()
        found = self._place(problems, unreadable)
        checked = self._place(check_form(self.form))
        for node, text in found.items():
            self._show_problem(node, text)
            self._wrong[node] = node in checked
            for around in _around(node):
                if around in self.drawn:
                    self.drawn[around].reveal()
        if found:
            self._announce(found)

    def _announce(self, found: dict[Node, str]) -> None:
        with self.alert:
            Text("p", summary(list(found), self.texts))
            if self.form in found:
                # What stands at no field stands here.
                Text("p", found[self.form])
        first = next((node for node in found if node in self.drawn), None)
        if first is not None:
            focus_unless_typing(self.drawn[first].focus_id, self.element)

    def _nearest(self, node: Node) -> Node:
        """Return the place itself, or the next one around it that is drawn."""
        place = node
        while place not in self.drawn and place.parent is not None:
            place = place.parent
        return place


def _around(node: Node) -> list[Node]:
    """Return a place and all it stands in."""
    places = [node]
    while places[-1].parent is not None:
        places.append(places[-1].parent)
    return places
