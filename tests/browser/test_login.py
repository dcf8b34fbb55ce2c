"""Logging in with a real browser: Debian's Chromium against the real portal."""

from __future__ import annotations

import http.server
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from support.portal_fixture import portal_fixture
from vllm_pkg.state.portal_token import rotate_portal_token

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.portal_server import PortalServer

__all__ = ["portal_fixture"]

IS_CONNECTED = "window.did_handshake === true"
TIMEOUT_MS = 60_000


@dataclass
class Visit:
    """One browser without a past, and what it has seen."""

    portal: PortalServer
    page: Page
    messages: list[str] = field(default_factory=list)
    websockets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to listen."""
        self.page.set_default_timeout(TIMEOUT_MS)
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("websocket", lambda one: self.websockets.append(one.url))

    @property
    def link(self) -> str:
        """The link that ``vllm-pkg run`` prints."""
        return f"{self.portal.origin}/login?token={self.portal.token}"

    @property
    def violations(self) -> list[str]:
        """What the browser has refused to load or to run."""
        return [text for text in self.messages if "Content Security Policy" in text]

    def wait_home(self) -> None:
        """Wait until the page is there and connected."""
        self.page.wait_for_url(f"{self.portal.origin}/")
        self.page.wait_for_function(IS_CONNECTED)


@pytest.fixture(name="visit")
def visit_fixture(chromium, portal):
    """A browser that has never been here."""
    context = chromium.new_context(locale="en-US")
    yield Visit(portal, context.new_page())
    context.close()


@pytest.fixture(name="elsewhere")
def elsewhere_fixture(portal):
    """A page of another site that leads to the portal, and tries more."""
    link = f"{portal.origin}/login?token={portal.token}"
    html = f"""<!doctype html>
        <a id="login" href="{link}">log in</a>
        <a id="home" href="{portal.origin}/">go</a>
        <form method="post" action="{portal.origin}/logout"><button>out</button></form>
        """.encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # The same machine by another name is another site.
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def test_the_link_leads_home_and_the_page_works(visit):
    """The page connects and nothing of it is refused; the cookie is for this site."""
    visit.page.goto(visit.link)
    visit.wait_home()
    (cookie,) = visit.page.context.cookies()

    assert visit.messages == []
    assert len(visit.websockets) == 1
    assert visit.page.title() == "Home · vLLM"
    assert cookie["httpOnly"] is True
    assert cookie["sameSite"] == "Strict"
    assert cookie["path"] == "/"
    assert visit.portal.token not in cookie["value"]


def test_the_token_is_not_left_behind(visit):
    """It is in no address, no page, no referrer, and not behind the back button."""
    visit.page.goto("about:blank")
    visit.page.goto(visit.link)
    visit.wait_home()
    token = visit.portal.token
    seen = visit.page.evaluate(
        "[location.href, document.referrer, document.documentElement.outerHTML,"
        " document.cookie, JSON.stringify(performance.getEntries())]"
    )
    visit.page.go_back()

    assert [text for text in seen if token in text] == []
    assert visit.page.url == "about:blank"


def test_a_link_elsewhere_logs_in_and_leads_home_again(visit, elsewhere):
    """From a page of another site the strict cookie is held back, and yet it works."""
    visit.page.goto(elsewhere)
    visit.page.click("#login")
    visit.wait_home()
    visit.page.goto(elsewhere)
    visit.page.click("#home")
    visit.wait_home()

    assert visit.violations == []


def test_a_form_elsewhere_does_not_log_out(visit, elsewhere):
    """The form of another site comes without the cookie; the session goes on."""
    visit.page.goto(visit.link)
    visit.wait_home()
    visit.page.goto(elsewhere)
    visit.page.click("button")
    visit.page.wait_for_load_state()
    visit.page.goto(f"{visit.portal.origin}/")

    visit.wait_home()


def test_the_token_can_be_typed(visit):
    """Without a session the login comes; a wrong token is told, a right one works."""
    visit.page.goto(f"{visit.portal.origin}/logs")
    assert visit.page.url == f"{visit.portal.origin}/login"
    visit.page.get_by_label("Token").fill("wrong")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_role("alert").wait_for()
    visit.page.get_by_label("Token").fill(visit.portal.token)
    visit.page.get_by_role("button", name="Sign in").click()
    visit.wait_home()

    assert visit.violations == []


def test_an_inline_script_that_came_in_does_not_run(visit):
    """The policy refuses a handler in markup: that is what it is there for."""
    visit.page.goto(visit.link)
    visit.wait_home()
    has_run = visit.page.evaluate(
        """async () => {
            const refused = new Promise((resolve) =>
                document.addEventListener("securitypolicyviolation", resolve));
            const place = document.createElement("div");
            place.innerHTML = "<img src='/none.png' onerror='window.hasRun = true'>";
            document.body.append(place);
            const violation = await refused;
            return [window.hasRun === true, violation.effectiveDirective];
        }"""
    )

    assert has_run == [False, "script-src-attr"]


def test_rotating_the_token_ends_an_open_page(visit):
    """The websocket of a page that is open is cut, and the page goes to the login."""
    visit.page.goto(visit.link)
    with visit.page.expect_websocket() as opened:
        visit.page.reload()
    visit.wait_home()

    with opened.value.expect_event("close"):
        rotate_portal_token(visit.portal.settings)

    visit.page.wait_for_url(f"{visit.portal.origin}/login")


def test_the_login_is_accessible(visit):
    """The checker axe finds nothing on the page of the login, in neither theme."""
    for theme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=theme)
        visit.page.goto(f"{visit.portal.origin}/login?token=wrong")
        # axe runs as a script of the page, which this page has none of.
        found = Axe().run(visit.page)
        assert found.violations_count == 0, found.generate_report()
