"""Try it: a chat with the served model, or how near texts are to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import background_tasks, ui

from vllm_pkg.errors import ServiceError
from vllm_pkg.portal.chat import conversation, similarity_box, wording
from vllm_pkg.portal.chat.chat_box import ChatBox
from vllm_pkg.portal.chat.engine_client import EngineClient
from vllm_pkg.portal.chat.kinds import Kind, Served
from vllm_pkg.portal.chat.problems import EngineProblem, Problem
from vllm_pkg.portal.chat.similarity_box import SimilarityBox
from vllm_pkg.portal.components.buttons import link_button
from vllm_pkg.portal.components.following import follow
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.frame import page_frame, request_texts
from vllm_pkg.portal.situation import Situation, situation_of
from vllm_pkg.state.credentials import observe_key

if TYPE_CHECKING:
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.feed import Look
    from vllm_pkg.portal.texts.catalogue import Texts

# An answer goes on coming while the browser finds its way back.
RECONNECT_TIMEOUT_S: Final = 120.0
AGAIN_S: Final = 5.0


def register(portal: Portal) -> None:
    """Add the page."""

    @ui.page("/try", reconnect_timeout=RECONNECT_TIMEOUT_S)
    def try_it(request: Request) -> None:
        texts = request_texts(request)
        with page_frame(texts, "/try"):
            ui.add_css(conversation.STYLE + similarity_box.STYLE)
            page = TryPage(portal, texts)
            page.draw()
        follow(portal, page.update)


class TryPage:
    """
    The page in one browser.

    Args:
        portal: Whose model.
        texts: The language.
    """

    def __init__(self, portal: Portal, texts: Texts) -> None:
        self._portal = portal
        self._texts = texts
        self._served: Served | None = None
        self._engine: object = None
        self._box: ChatBox | SimilarityBox | None = None
        self._situation = Situation.UNKNOWN

    def draw(self) -> None:
        """Draw what is the same whatever is served."""
        self._headline = Text("p").classes("vp-headline")
        self._detail = Text("p").classes("vp-lead")
        self._ways = {
            path: link_button(self._texts(key), path).classes("self-start")
            for path, key in (
                ("/models", "try.to_models"),
                ("/start", "try.to_start"),
                ("/", "try.to_home"),
                ("/logs", "try.to_logs"),
            )
        }
        self._place = ui.element("div").classes("vp-stack full-width")
        self._timer = ui.timer(AGAIN_S, self._ask_again, active=False)

    def update(self, look: Look) -> None:
        """Show what the service does now."""
        self._situation = situation_of(look)
        state = look.state or {}
        engine = _engine(state)
        if self._situation is Situation.READY and engine != self._engine:
            self._engine, self._served = engine, None
            self._find_out()
        self._show()
        is_told = self._situation is not Situation.READY and bool(state)
        self._detail.say(str(state["health"]["message"]) if is_told else "")

    def _show(self) -> None:
        situation, served = self._situation, self._served
        self._headline.say(wording.headline(self._texts, situation, served))
        way = wording.WAYS_OUT.get(situation)
        for path, link in self._ways.items():
            link.visible = path == way
        if self._box is not None:
            self._box.show(served, can_ask=wording.can_ask(situation, served))

    def _find_out(self) -> None:
        background_tasks.create(
            self._ask_what(), name="what is served", context=ui.context.client
        )

    async def _ask_what(self) -> None:
        self._timer.active = False
        try:
            self._served = await self._connect().served()
        except EngineProblem as found:
            self._detail.say(wording.problem(self._texts, found, None))
            self._timer.active = True
            return
        self._detail.say("")
        self._place_box(self._served.kind)
        self._show()

    def _ask_again(self) -> None:
        if self._situation is Situation.READY and self._served is None:
            self._find_out()
        else:
            self._timer.active = False

    def _place_box(self, kind: Kind) -> None:
        wanted = SimilarityBox if kind is Kind.EMBEDDING else ChatBox
        if kind is Kind.OTHER or isinstance(self._box, wanted):
            return
        if isinstance(self._box, ChatBox):
            self._box.stop()
        self._place.clear()
        with self._place:
            self._box = wanted(self._texts, self._connect)

    def _connect(self) -> EngineClient:
        state = self._portal.feed.latest.state
        try:
            key = observe_key(self._portal.settings)
        except ServiceError as error:
            raise EngineProblem(Problem.WRONG_KEY, error.message) from error
        if state is None or key is None:
            raise EngineProblem(Problem.UNREACHABLE)
        return EngineClient(str(state["api"]["baseUrl"]), key)


def _engine(state: dict[str, Any]) -> object:
    """Return what differs between two engines."""
    start = state.get("start") or {}
    return (state.get("api"), state.get("model"), start.get("logFile"))
