"""What a person copies to use the API, in a real browser."""

from __future__ import annotations

import segno
from playwright.sync_api import expect

from support.portal_states import MODEL, small_api
from support.waiting import wait_until
from vllm_pkg.portal.snippets import PLACEHOLDER, snippets
from vllm_pkg.state.credentials import ensure_key

CLIPBOARD = "navigator.clipboard.readText()"
COPY_TIMEOUT_S = 20


def _headline(page):
    return page.locator(".vp-headline")


def _state(page):
    return page.get_by_role("status")


def _wait_copied(page, text):
    """Wait until the clipboard holds a text."""
    wait_until(
        lambda: page.evaluate(CLIPBOARD) == text, COPY_TIMEOUT_S, "the clipboard"
    )


def _sent(page):
    """All that a page gets from the server from now on, as a growing list."""
    received = []

    def listen(socket):
        socket.on("framereceived", lambda frame: received.append(str(frame)))

    page.on("websocket", listen)
    page.on("response", lambda response: received.append(response.url))
    return received


def test_the_key_is_sent_only_when_it_is_asked_for(scene, settings, visit):
    """Neither the page nor its messages hold the key before a person wants it."""
    key = ensure_key(settings)
    with small_api() as (port, _):
        scene.serve(port)
        page = visit()
        received = _sent(page)
        page.reload()
        expect(_headline(page)).to_contain_text("No request yet")
        html = page.content()
        source = page.request.get("/").text()
        assert received
        assert not any(key in text for text in [html, source, *received])

        page.get_by_role("button", name="Show: API key").click()
        expect(page.get_by_text(key, exact=True)).to_be_visible()
        # The positive control: what is searched for would have been found.
        assert any(key in text for text in received)

        page.get_by_role("button", name="Hide: API key").click()
        expect(page.get_by_text(key, exact=True)).to_have_count(0)
        assert key not in page.content()


def test_the_key_can_be_scanned(settings, visit):
    """The QR code is the key's, and is gone with its dialog."""
    page = visit()
    page.get_by_role("button", name="QR code: API key").click()
    dialog = page.get_by_role("dialog", name="QR code: API key")
    expect(dialog).to_be_visible()

    drawn = dialog.locator("svg path").last.get_attribute("d")
    expected = segno.make(ensure_key(settings), error="m", micro=False)
    assert drawn in expected.svg_inline(scale=4, border=2, light="#fff")

    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)


def test_what_is_copied_has_the_key_in_it(scene, settings, visit):
    """The page shows a placeholder, and the clipboard gets the program that runs."""
    key = ensure_key(settings)
    with small_api() as (port, _):
        scene.serve(port)
        page = visit(permissions=["clipboard-read", "clipboard-write"])
        expect(_state(page)).to_contain_text("Ready")
        made = snippets(f"http://127.0.0.1:{port}/v1", MODEL, key=key)
        for tab, snippet in zip(
            ("curl", "Python", "JavaScript", "Open WebUI", "Environment variables"),
            made,
            strict=True,
        ):
            page.get_by_role("tab", name=tab).click()
            panel = page.get_by_role("tabpanel").filter(visible=True)
            expect(panel.locator("pre")).to_have_text(
                snippet.text.replace(key, PLACEHOLDER), use_inner_text=True
            )
            page.evaluate("navigator.clipboard.writeText('')")
            panel.get_by_role("button", name="Copy with the key").click()
            _wait_copied(page, snippet.text)

        page.get_by_role("button", name="Copy: API key").click()
        _wait_copied(page, key)


def test_copying_works_without_a_secure_page(settings, visit):
    """A page of plain HTTP on another machine has no clipboard API, and copies."""
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    reader = page.context.new_page()
    reader.goto("/")
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: null})")
    page.reload()
    page.bring_to_front()

    page.get_by_role("button", name="Copy: API key").click()

    expect(page.get_by_role("alert")).to_contain_text("Copied")
    reader.bring_to_front()
    assert reader.evaluate(CLIPBOARD) == ensure_key(settings)


def test_a_refused_copy_is_told(visit):
    """A browser that does not let the page copy is not said to have copied."""
    page = visit()
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: null});"
        "document.execCommand = () => false;"
    )
    page.reload()

    page.get_by_role("button", name="Copy: API key").click()

    expect(page.get_by_role("alert")).to_contain_text("does not let this page copy")
