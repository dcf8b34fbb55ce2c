"""Reading data files: what the errors say."""

from __future__ import annotations

import pytest

from vllm_pkg.errors import PackageDataInvalid
from vllm_pkg.package.loading import Localised, PackageModel, load_data, parse_data


class Page(PackageModel):
    """A small model, because the errors are what is tested."""

    page_size: int
    title: Localised
    lines: dict[str, list[str]] | None = None


LOCALES = "expected a text, or a map from locale to text with en_US"
NO_NUMBER = "page.yaml: pageSize: expected a valid integer, got 'x'"
GOOD = "pageSize: 3\ntitle: Start\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: Start\n", "page.yaml: pageSize: is missing"),
        (GOOD + "colour: red\n", "page.yaml: colour: is not a known key"),
        (
            "pageSize: three\ntitle: Start\n",
            "page.yaml: pageSize: expected a valid integer, got 'three'",
        ),
        (
            "pageSize: 3\ntitle: {de_DE: Anfang}\n",
            f"page.yaml: title: {LOCALES}",
        ),
        (
            GOOD + "lines: {a: [x, 1]}\n",
            "page.yaml: lines.a.1: expected a valid string, got 1",
        ),
        (
            "- 1\n",
            "page.yaml: expected a valid dictionary or instance of Page, got [1]",
        ),
        (
            "pageSize: x\n",
            f"{NO_NUMBER}; page.yaml: title: is missing",
        ),
    ],
)
def test_errors_name_the_key_and_what_was_expected(text, message):
    """Each kind of mistake is told with the file, the key and what was expected."""
    with pytest.raises(PackageDataInvalid) as caught:
        parse_data(Page, "page.yaml", text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("pageSize: [\n", "page.yaml: is not YAML: while parsing"),
        (GOOD + "pageSize: 4\n", "the key pageSize stands twice"),
    ],
)
def test_text_that_is_no_yaml_is_refused(text, part):
    """Broken YAML, and a key that stands twice, are told with their place."""
    with pytest.raises(PackageDataInvalid) as caught:
        parse_data(Page, "page.yaml", text)
    assert part in caught.value.message
    assert "line" in caught.value.message


def test_plain_text_is_english_and_placeholders_are_filled():
    """A plain text is its own en_US, and {name} is filled at any depth."""
    page = parse_data(
        Page,
        "page.yaml",
        "pageSize: 3\ntitle: About {who}\nlines: {a: ['{who}!', b]}\n",
        who="vLLM",
    )
    assert page.title == {"en_US": "About vLLM"}
    assert page.lines == {"a": ["vLLM!", "b"]}


def test_a_file_that_is_missing_is_told():
    """A data file that is not in the package is an error with its name."""
    with pytest.raises(PackageDataInvalid) as caught:
        load_data(Page, "variants", "page.yaml")
    assert caught.value.message == (
        "variants/page.yaml: cannot be read: No such file or directory"
    )
    assert caught.value.hint == "reinstall the package"
