"""Tests for showing a model's answer safely."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_pkg.portal.chat.markup import MARKDOWN_MAX, render_answer

ALLOWED = {
    *("p", "br", "em", "strong", "s", "code", "pre", "blockquote", "hr", "a"),
    *("ul", "ol", "li", "h3", "h4", "h5", "h6"),
    *("div", "table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"href", "class", "title", "start", "style"}
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](  \tjavascript:alert(1))",
    "[a](java&#10;script:alert(1))",
    "[a](data:text/html,<script>alert(1)</script>)",
    "[a](vbscript:x)",
    "[a](//evil.example)",
    "[a](/keys)",
    "[a](file:///etc/passwd)",
    "![a](http://evil.example/a.png)",
    "![a][r]\n\n[r]: http://evil.example/y.png",
    '![" onerror=alert(1)](http://evil.example/x)',
    "<http://a.example/\"onmouseover='alert(1)'>",
    "`<img src=x>`",
    "```html\n<script>alert(1)</script>\n```",
    '[a](http://x "\\" onclick=alert(1)")',
    "<svg/onload=alert(1)>",
    "| <script> |\n|---|\n| <b> |",
]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        """Look at one element."""
        if tag not in ALLOWED:
            self.problems.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES:
                self.problems.append(f"{tag} {name}")
            if name == "style" and not str(value).startswith("text-align:"):
                self.problems.append(f"{tag} style={value}")
            if name == "href":
                self.links.append(str(value))


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.problems += [
        link
        for link in reader.links
        if not link.lower().startswith(("http://", "https://", "mailto:"))
    ]
    return reader


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_an_answer_runs_or_loads(text):
    """No element, attribute or link but the harmless ones comes out of hostile text."""
    assert _read(render_answer(text)).problems == []


def test_what_would_be_harmful_is_found():
    """The check of the other tests finds an element, an attribute and a link."""
    html = "<img><p onclick=x></p><a href='javascript:x'>a</a><td style='x'>"

    assert _read(html).problems == ["img", "p onclick", "td style=x", "javascript:x"]


@settings(deadline=None)
@given(st.lists(st.sampled_from([*HOSTILE, "\n", "`", "*", "[", "](", "<"])))
def test_no_mixture_of_hostile_text_gets_through(pieces):
    """Hostile pieces do not become harmful by standing beside each other."""
    assert _read(render_answer("".join(pieces))).problems == []


def test_a_picture_becomes_a_link():
    """The name of a picture leads to it; a picture without a name shows its address."""
    assert render_answer("![cat](https://a.example/c.png)") == (
        '<p><a href="https://a.example/c.png">cat</a></p>\n'
    )
    assert ">https://a.example/c.png</a>" in render_answer(
        "![](https://a.example/c.png)"
    )


def test_what_models_write_is_shown():
    """Headings stand below those of the page; lists, tables, code and breaks work."""
    html = render_answer(
        "# One\n###### Six\na\nb\n\n1. x\n\n|a|\n|-|\n|b|\n\n```py\n1 < 2\n```"
    )

    assert "<h3>One</h3>" in html
    assert "<h6>Six</h6>" in html
    assert "a<br>" in html
    assert "<ol>" in html
    assert '<div class="chat-table"><table>' in html
    assert "1 &lt; 2" in html


def test_a_very_long_answer_is_shown_as_written():
    """Beyond a length nothing is rendered, and still nothing gets through."""
    html = render_answer("<script>" + "x" * MARKDOWN_MAX)

    assert html.startswith("<pre>&lt;script&gt;xxx")


@pytest.mark.parametrize("piece", ["[a](", "![](", "*", "_a", "`", "> ", "|a|b|\n"])
def test_a_model_that_repeats_itself_costs_little(piece):
    """Text that makes other renderers slow is rendered in a moment."""
    began = time.process_time()
    render_answer(piece * 3000)

    assert time.process_time() - began < 2
