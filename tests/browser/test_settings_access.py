"""Settings: who gets into the portal, and what an open page does when that ends."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from vllm_pkg.state import locks
from vllm_pkg.state.portal_token import ensure_portal_token

LOGIN = re.compile("/login$")
CONNECTED = "window.did_handshake === true"


def _access(page):
    return page.get_by_role("region", name="Access to this portal", exact=True)


def _rotate(page):
    _access(page).get_by_role("button", name="Change the token").click()
    dialog = page.get_by_role("dialog", name="Change the token of this portal?")
    expect(dialog).to_contain_text("Every login ends")
    return dialog


def test_a_changed_token_ends_every_other_login(visit, settings):
    """Here one stays logged in; another browser is sent to the login page by itself,
    and the new link lets it in again, which the old one does not."""
    old = ensure_portal_token(settings)
    other = visit("/machine")
    other.wait_for_function(CONNECTED)
    page = visit("/settings")
    _rotate(page).get_by_role("button", name="Change the token").click()

    expect(_access(page)).to_contain_text("The token is changed")
    new = ensure_portal_token(settings)
    assert new != old
    other.wait_for_url(LOGIN)
    _access(page).get_by_role("button", name="Show: Login link").click()
    link = _access(page).locator(".vp-copy-value")
    expect(link).to_have_text(re.compile(f"/login\\?token={new}$"))
    assert other.request.get(link.inner_text().replace(new, old)).status == 401
    other.goto(link.inner_text())
    expect(other.locator("main h1")).to_have_text("Home")
    page.reload()
    expect(_access(page)).to_be_visible()


def test_going_back_keeps_the_token(visit, settings):
    """Nothing is changed before somebody has confirmed it."""
    old = ensure_portal_token(settings)
    page = visit("/settings")
    _rotate(page).get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("dialog")).to_be_hidden()
    assert ensure_portal_token(settings) == old


def test_a_token_that_cannot_be_changed_is_told(visit, settings):
    """The old one stays in force, and the page says so."""
    page = visit("/settings")
    dialog = _rotate(page)
    old = ensure_portal_token(settings)
    with locks.locked(settings.lock_file):
        dialog.get_by_role("button", name="Change the token").click()
        expect(_access(page)).to_contain_text("The token could not be changed")

    assert ensure_portal_token(settings) == old


def test_logging_out_ends_the_login_in_every_tab(visit):
    """The tab that logs out is led to the login page, and so is another one."""
    other = visit("/logs")
    other.wait_for_function(CONNECTED)
    page = other.context.new_page()
    page.goto("/settings")
    _access(page).get_by_role("button", name="Log out").click()

    page.wait_for_url(LOGIN)
    other.wait_for_url(LOGIN)
    page.goto("/settings")
    page.wait_for_url(LOGIN)


def test_a_page_that_is_only_cut_off_stays_where_it_is(visit, portal):
    """Whoever is still let in goes on when the connection is there again."""
    page = visit("/machine")
    page.wait_for_function(CONNECTED)
    with page.expect_request("**/login"):
        page.evaluate("window.socket.io.engine.close()")
    page.wait_for_function(
        "window.socket.connected && document.getElementById('popup').ariaHidden"
        " === 'true'"
    )

    assert page.url == f"{portal.base_url}/machine"
