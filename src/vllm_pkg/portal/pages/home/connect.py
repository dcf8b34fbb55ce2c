"""How the API is used: address, key, and programs to copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nicegui import ui

from vllm_pkg.portal.components.copy_field import copy_field, secret_field
from vllm_pkg.portal.components.copying import copy_button
from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.served import is_embedding
from vllm_pkg.portal.snippets import OPEN_WEBUI_PORT, PLACEHOLDER, snippets
from vllm_pkg.state.credentials import ensure_key

if TYPE_CHECKING:
    from vllm_pkg.portal.components.watching import Watch
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.texts.catalogue import Texts

_TABS: Final = ("curl", "python", "javascript", "open-webui", "environment")


@dataclass(frozen=True)
class _Target:
    """What the programs are made for."""

    base_url: str = ""
    model: str = ""
    is_embedding: bool = False


class ConnectPart:
    """
    Base URL, key, and programs in tabs.

    Args:
        portal: The running portal.
        texts: The language.
    """

    def __init__(self, portal: Portal, texts: Texts) -> None:
        self._portal = portal
        self._texts = texts
        self._target = _Target()
        with section(texts("home.connect")):
            Text("p", texts("home.connect_help")).classes("vp-muted")
            self._base_url = copy_field(texts, texts("home.base_url"), "", has_qr=True)
            secret_field(texts, texts("home.key"), self._key)
            self._model_box = ui.element("div")
            with self._model_box:
                self._model = copy_field(texts, texts("home.model"), "")
            self._examples = ui.element("div").classes("vp-stack")
            with self._examples:
                self._codes = self._draw_examples()
            self._later = Text("p", texts("home.examples_later")).classes("vp-muted")

    def update(self, watch: Watch) -> None:
        """Take over where the API is and what it serves."""
        if watch.look.state is None:
            return
        name = watch.look.state["model"]["servedName"] or ""
        details = watch.details
        target = _Target(
            base_url=watch.look.state["api"]["baseUrl"],
            model=name,
            is_embedding=is_embedding(
                details.get("selection"), details.get("serveArgs", ())
            ),
        )
        if target == self._target:
            return
        self._target = target
        self._base_url.say(target.base_url)
        self._model.say(name)
        self._model_box.set_visibility(bool(name))
        self._examples.set_visibility(bool(name))
        self._later.set_visibility(not name)
        for tab, code in self._codes.items():
            code.say(self._program(tab))

    def _draw_examples(self) -> dict[str, Text]:
        texts = self._texts
        codes: dict[str, Text] = {}
        Text("h3", texts("home.examples")).classes("vp-copy-label")
        note = texts("home.examples_key", placeholder=PLACEHOLDER)
        with ui.tabs().classes("vp-tabs").props("no-caps dense align=left") as tabs:
            for tab in _TABS:
                ui.tab(tab, label=_tab_name(texts, tab))
        tabs.props["aria-label"] = texts("home.examples")
        with ui.tab_panels(tabs, value=_TABS[0], animated=False).classes("vp-panels"):
            for tab in _TABS:
                with ui.tab_panel(tab), ui.element("div").classes("vp-stack"):
                    Text("p", _tab_help(texts, tab)).classes("vp-muted")
                    codes[tab] = Text("pre").classes("vp-code").props("tabindex=0")
                    codes[tab].props["aria-label"] = _tab_name(texts, tab)
                    codes[tab].props["role"] = "group"
                    with ui.element("div").classes("vp-row"):
                        self._copy_button(tab)
                        Text("span", note).classes("vp-muted vp-small")
        return codes

    def _copy_button(self, tab: str) -> None:
        copy_button(
            self._texts,
            _tab_name(self._texts, tab),
            lambda: self._program(tab, self._key()),
            text=self._texts("home.copy_example"),
        )

    def _program(self, tab: str, key: str = PLACEHOLDER) -> str:
        target = self._target
        made = snippets(
            target.base_url, target.model, key=key, is_embedding=target.is_embedding
        )
        return next(snippet.text for snippet in made if snippet.id == tab)

    def _key(self) -> str:
        return ensure_key(self._portal.settings)


def _tab_name(texts: Texts, tab: str) -> str:
    names = {
        "curl": texts("home.curl"),
        "python": texts("home.python"),
        "javascript": texts("home.javascript"),
        "open-webui": texts("home.open_webui"),
        "environment": texts("home.environment"),
    }
    return names[tab]


def _tab_help(texts: Texts, tab: str) -> str:
    helps = {
        "curl": texts("home.curl_help"),
        "python": texts("home.python_help"),
        "javascript": texts("home.javascript_help"),
        "open-webui": texts("home.open_webui_help", port=str(OPEN_WEBUI_PORT)),
        "environment": texts("home.environment_help"),
    }
    return helps[tab]
