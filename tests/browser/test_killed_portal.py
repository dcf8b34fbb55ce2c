"""What becomes of an answer when the portal is killed under it."""

from __future__ import annotations

from playwright.sync_api import expect

from support.openai_server import OpenAIServer, serve
from support.own_portal import portal_fixture, settings_fixture

__all__ = ["portal_fixture", "settings_fixture"]


def test_leaving_the_page_ends_the_answer(settings, portal, visit):
    """Nobody waits for an answer of a page that is gone: a killed portal ends it."""
    with OpenAIServer() as server:
        serve(settings, server)
        page = visit("/try")
        expect(page.get_by_role("button", name="Send")).to_be_enabled()
        page.get_by_label("Your message").fill("say one PAUSE two")
        page.get_by_label("Your message").press("Enter")
        expect(page.locator(".chat-answer")).to_contain_text("one")

        portal.process.kill()

        assert server.given_up.wait(10)
