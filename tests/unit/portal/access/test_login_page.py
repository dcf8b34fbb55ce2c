"""The page of the login, and its texts."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from vllm_pkg.portal.access.login_page import COMMAND, login_page
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts


class Page(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: dict[str, list[dict[str, str | None]]] = {}
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Keep an element."""
        self.elements.setdefault(tag, []).append(dict(attrs))

    def handle_data(self, data):
        """Keep a text."""
        self.text += data


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_speaks_every_language(language):
    """Title, label, note and button are there, and the command stands as code."""
    texts = load_texts(language)
    page = Page(login_page(texts))

    assert page.elements["html"] == [{"lang": language}]
    for key in ("title", "label", "note", "button"):
        assert texts(f"access.{key}") in page.text
    assert COMMAND in page.text
    assert "script" not in page.elements
    assert page.elements["form"] == [{"method": "post", "action": "/login"}]
    assert page.elements["label"] == [{"for": "token"}]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [1, 2, 5, 60])
def test_a_problem_is_told_at_the_field(language, count):
    """It stands in the place of the note, and screen readers read it out."""
    problem = load_texts(language)("access.limited", count=count)
    page = Page(login_page(load_texts(language), problem))
    field = next(one for one in page.elements["input"] if one["name"] == "token")

    assert str(count) in problem
    assert problem in page.text
    assert field["aria-invalid"] == "true"
    assert field["aria-describedby"] == "note"
    assert any(one.get("role") == "alert" for one in page.elements["p"])


def test_texts_are_escaped():
    """Markup in a text is text."""
    page = login_page(load_texts("en"), "<script>alert(1)</script>")

    assert "<script" not in page
    assert "&lt;script&gt;" in page
