"""The texts of the portal: complete in each language, and named rightly by the code."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel import Locale

import vllm_pkg.portal
from support.portal_texts import (
    CATEGORIES,
    all_literals,
    name_prefixes,
    named_texts,
    problems,
)
from vllm_pkg.errors import PackageDataInvalid
from vllm_pkg.portal.said import SAID
from vllm_pkg.portal.texts import catalogue
from vllm_pkg.portal.texts.catalogue import (
    LANGUAGES,
    Entry,
    Texts,
    choose_language,
    load_texts,
)

PORTAL = Path(vllm_pkg.portal.__file__).parent
SAME_IN_ALL = frozenset(
    (Path(__file__).parent / "same-in-all.txt").read_text("utf-8").split()
)


def _own(entries):
    """Return the portal's own texts; phrases of the program have tests of their own."""
    return {key: text for key, text in entries.items() if not key.startswith(SAID)}


def _sources():
    return [path.read_text("utf-8") for path in sorted(PORTAL.rglob("*.py"))]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_every_text(language):
    """No text is missing, superfluous, empty, left in English or has other places."""
    english = _own(load_texts("en").entries)

    found = problems(language, _own(load_texts(language).entries), english, SAME_IN_ALL)

    assert found == []


def test_what_is_wrong_with_texts_is_found():
    """Each kind of fault in a catalogue is named, so that an empty list means much."""
    english: dict[str, Entry] = {
        "a.gone": "Gone",
        "a.place": "At {speed}",
        "a.plural": {"one": "{count} day", "other": "{count} days"},
        "a.flat": {"one": "x", "other": "y"},
        "a.empty": "Empty",
        "a.same": "Same",
        "a.allowed": "GiB",
    }
    polish: dict[str, Entry] = {
        "a.place": "Z {pace}",
        "a.plural": {"one": "{count} dzień", "other": "{count} dni"},
        "a.flat": "z",
        "a.empty": " ",
        "a.same": "Same",
        "a.allowed": "GiB",
        "a.more": "Więcej",
    }

    assert problems("pl", polish, english, {"a.allowed"}) == [
        "pl: a.empty is empty",
        "pl: a.flat differs in having plurals",
        "pl: a.gone is missing",
        "pl: a.more is superfluous",
        "pl: a.place has other places",
        "pl: a.plural has other plural categories",
        "pl: a.same is the English text",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_calls_itself_by_its_name(language):
    """What stands in the choice of languages is the name that Babel knows, too."""
    name = Locale.parse(language).get_display_name(language)

    assert name is not None
    assert load_texts(language)("frame.own_name") == name.capitalize()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_plural_categories_are_those_that_counts_need(language):
    """Every category that a count up to a thousand falls into is asked for."""
    rule = Locale.parse(language).plural_form

    assert {str(rule(number)) for number in range(1001)} <= CATEGORIES[language]


def test_the_code_names_only_texts_that_exist():
    """Each key in a call of texts(...) is in the catalogue, made ones by beginning."""
    entries = load_texts("en").entries
    named = set().union(*map(named_texts, _sources()))
    prefixes = set().union(*map(name_prefixes, _sources()))

    assert named - entries.keys() == set()
    assert {
        prefix
        for prefix in prefixes
        if not any(key.startswith(prefix) for key in entries)
    } == set()


def test_every_text_is_used():
    """Each key of the catalogue stands in the code, or begins as one that is made."""
    literals = set().union(*map(all_literals, _sources()))
    prefixes = tuple(set().union(*map(name_prefixes, _sources())))
    entries = _own(load_texts("en").entries)

    unused = {key for key in entries if not key.startswith(prefixes)} - literals

    assert unused == set()


def test_named_texts_are_found_in_code():
    """The scan sees literal keys, made keys, and calls through an attribute."""
    source = 'texts("a.b"); self._texts("c.d", x=1); texts(f"p.{n}"); other("e.f")'

    assert named_texts(source) == {"a.b", "c.d"}
    assert name_prefixes(source) == {"p."}


def test_places_are_filled_as_the_language_does():
    """Counts decide the plural; whole numbers get the separators of the language."""
    texts = Texts(
        "de", {"a.b": {"one": "{count} Zeile", "other": "{count} Zeilen"}, "a.c": "{x}"}
    )

    assert texts("a.b", count=1) == "1 Zeile"
    assert texts("a.b", count=12345) == "12.345 Zeilen"
    assert texts("a.c", x="12345") == "12345"


def test_polish_counts_have_three_forms():
    """Polish tells 1, 2 and 5 apart, and 22 from 25."""
    texts = load_texts("pl")

    told = [texts("wording.about_minutes", count=n) for n in (1, 2, 5, 22, 25)]

    assert told == [
        "około 1 minuty",
        "około 2 minut",
        "około 5 minut",
        "około 22 minut",
        "około 25 minut",
    ]


def test_a_text_that_is_missing_is_an_error():
    """A key without a text is told at once, not shown to a person."""
    with pytest.raises(KeyError):
        load_texts("en")("no.such.text")


def _load(monkeypatch, tmp_path, **contents):
    folder = tmp_path / "xx"
    folder.mkdir()
    for name, content in contents.items():
        (folder / f"{name}.yaml").write_text(content)
    monkeypatch.setattr(catalogue, "files", lambda _: tmp_path)
    return load_texts.__wrapped__("xx")


def test_all_files_of_a_language_are_merged(monkeypatch, tmp_path):
    """Texts of several areas are one catalogue."""
    texts = _load(monkeypatch, tmp_path, one="a: {b: x}", two="c: {d: y}")

    assert texts.entries == {"a.b": "x", "c.d": "y"}


@pytest.mark.parametrize(
    ("one", "two"), [("a: {b: x}", "a: {b: y}"), ("a: {b: [1]}", "c: {d: y}")]
)
def test_a_damaged_catalogue_is_refused(monkeypatch, tmp_path, one, two):
    """A key that stands twice, and a value that is no text, are errors."""
    with pytest.raises(PackageDataInvalid):
        _load(monkeypatch, tmp_path, one=one, two=two)


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        ("pl", "de", "pl"),
        ("xx", "fr-CA,fr;q=0.8", "fr"),
        (None, "es-MX, en;q=0.5", "es"),
        (None, "ja", "en"),
        (None, "", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(chosen, accepted, language):
    """A choice made before wins; else the browser's first language that there is."""
    assert choose_language(chosen, accepted) == language
