"""The portal with one more page: buttons that open actions as dialogs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from vllm_pkg.portal import program
from vllm_pkg.portal.components.buttons import button
from vllm_pkg.portal.components.following import the_portal
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.action import open_action
from vllm_pkg.portal.forms.results import draw_result
from vllm_pkg.portal.frame import page_frame
from vllm_pkg.portal.texts.catalogue import load_texts

if TYPE_CHECKING:
    from collections.abc import Callable

# Every kind of content that a result can have.
RESULT: dict[str, Any] = {
    "version": "1",
    "title": "Everything",
    "message": "What came of it.",
    "result": {
        "type": "group",
        "value": [
            {
                "name": "Address",
                "description": "Where it is",
                "type": "single",
                "value": "http://127.0.0.1:8000/v1",
                "copyable": True,
                "qr": True,
                "masked": False,
            },
            {
                "name": "Inner",
                "description": "More of it",
                "type": "group",
                "value": [
                    {
                        "name": "Secret",
                        "description": None,
                        "type": "single",
                        "value": "hunter2-canary",
                        "copyable": False,
                        "qr": False,
                        "masked": True,
                    }
                ],
            },
        ],
    },
}


@ui.page("/dialogs")
def dialogs() -> None:
    """Draw buttons that open actions, and what came of them."""
    texts = load_texts("en")
    with page_frame(texts, "/dialogs", title="Dialogs"):
        done = Text("p")

        def opener(
            action_id: str, prefill: dict[str, Any] | None = None
        ) -> Callable[[], None]:
            return lambda: open_action(
                the_portal(),
                texts,
                action_id,
                prefill,
                lambda result: done.say(f"Done: {result['title']}"),
            )

        button("Add a key", opener("add-api-key", {"name": "laptop"}))
        button("Revoke a key", opener("revoke-api-key"))
        button("Set a model", opener("set-model"))
        draw_result(RESULT, texts)


if __name__ == "__main__":
    program.main()
