"""
What the program below the portal says, in another language. Pure.

A phrase is known by its English template; the values in it are taken out and put into
the template of the other language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from string import Formatter
from typing import TYPE_CHECKING, Any, Final

from babel.lists import format_list
from babel.numbers import format_decimal

from vllm_pkg.portal.texts.catalogue import OTHER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.portal.texts.catalogue import Entry, Texts

# What a place holds is told by the end of its name: one or more sentences of this
# program, phrases with commas between, or something without a space.
SENTENCES: Final = "_text"
PHRASES: Final = "_list"
WORD: Final = "_word"
# Amounts, written as the language does. Ports, statuses and versions are none.
AMOUNTS: Final = frozenset(
    {
        *("amount", "asked", "batch", "budget", "cache", "capacity", "context"),
        *("estimate", "free", "heads", "limit", "memory", "needed", "parts"),
        *("present", "requests", "reserve", "times", "tokens", "total", "wanted"),
        *("weights",),
    }
)
# Words of somebody else, which may be several sentences.
_FOREIGN: Final = frozenset({"detail", "reason", "what"})
_COUNT: Final = "count"
_NUMBERS: Final = "numbers"
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_BORDER: Final = re.compile(r"(?<=[.?!]) (?=\S)")
_NEXT_SENTENCE: Final = re.compile(r"[.?!] [A-Z]")
# More than this program ever says at once.
CHARACTERS_MAX: Final = 4000


@dataclass(frozen=True)
class Said:
    """
    A part of what the program says, as it is shown.

    Args:
        text: One or several sentences.
        is_foreign: Whether it stayed English on a page in another language.
    """

    text: str
    is_foreign: bool = False


@dataclass(frozen=True)
class _Template:
    """
    One English template with places.

    Args:
        key: Key of the phrase.
        pattern: Finds the values.
        literal: The longest part that is no place; quick to look for.
        weight: How much of it is no place.
    """

    key: str
    pattern: re.Pattern[str]
    literal: str
    weight: int


@dataclass(frozen=True)
class _Found:
    """
    A phrase with its values.

    Args:
        key: Key of the phrase.
        places: The values, as the language writes them.
    """

    key: str
    places: Mapping[str, Any]


class Phrasebook:
    """
    The phrases of one language.

    Args:
        english: Key to English template.
        texts: The other language, with the same keys.
    """

    def __init__(self, english: Mapping[str, Entry], texts: Texts) -> None:
        self._english, self._texts = english, texts
        self._exact: dict[str, str] = {}
        templates = []
        for key, entry in english.items():
            for text in (entry,) if isinstance(entry, str) else entry.values():
                if "{" in text:
                    templates.append(_template(key, text))
                else:
                    self._exact.setdefault(text, key)
        # What says the most by itself is what was meant.
        self._templates = sorted(templates, key=lambda template: -template.weight)

    def say(self, told: str) -> tuple[Said, ...]:
        """
        Return some sentences in the language; those that are not known stay English.

        Args:
            told: In English; a phrase, a sentence or several.
        """
        if len(told) > CHARACTERS_MAX:
            return (Said(told, is_foreign=True),)
        whole = self._sentences(told)
        if whole is not None:
            return (Said(whole),)
        parts: list[Said] = []
        for sentence in _BORDER.split(told):
            found = self._sentence(sentence)
            part = Said(sentence if found is None else found, found is None)
            if parts and parts[-1].is_foreign is part.is_foreign:
                part = Said(f"{parts.pop().text} {part.text}", part.is_foreign)
            parts.append(part)
        return tuple(parts)

    def _sentences(self, told: str) -> str | None:
        for border in _BORDER.finditer(told):
            head = self._sentence(told[: border.start()])
            tail = None if head is None else self._sentences(told[border.end() :])
            if tail is not None:
                return f"{head} {tail}"
        return self._sentence(told)

    def _sentence(self, told: str) -> str | None:
        found = self._find(told)
        if found is not None or not told.endswith((".", "?")):
            return None if found is None else self._texts(found.key, **found.places)
        # The words of an error, made into a sentence.
        bare = told.removesuffix(".")
        found = self._find(bare) or self._find(f"{bare[:1].lower()}{bare[1:]}")
        return None if found is None else self._as_sentence(found, told)

    def _as_sentence(self, found: _Found, told: str) -> str:
        text = self._texts(found.key, **found.places)
        # What stands in a place, such as a repository, stays as it is, and so does what
        # follows a colon.
        is_inside = told[:1].islower() and not self._begins_with_place(
            self._english[found.key]
        )
        is_place = self._begins_with_place(self._texts.entries[found.key])
        if not is_inside and not is_place:
            text = f"{text[:1].upper()}{text[1:]}"
        return text if text.endswith("?") else f"{text}."

    @staticmethod
    def _begins_with_place(entry: Entry) -> bool:
        return (entry if isinstance(entry, str) else entry[OTHER]).startswith("{")

    def _find(self, told: str) -> _Found | None:
        if told in self._exact:
            return _Found(self._exact[told], {})
        for template in self._templates:
            if template.literal not in told:
                continue
            found = template.pattern.fullmatch(told)
            places = None if found is None else self._places(found.groupdict())
            if places is not None:
                return _Found(template.key, {_COUNT: 1, **places})
        return None

    def _places(self, values: Mapping[str, str]) -> dict[str, Any] | None:
        places = {name: self._place(name, value) for name, value in values.items()}
        return None if None in places.values() else places

    def _place(self, name: str, value: str) -> str | int | None:
        if name.endswith(SENTENCES):
            return self._sentences(value)
        if name.endswith(PHRASES):
            said = [self._sentence(part) for part in value.split(", ")]
            return None if None in said else ", ".join(filter(None, said))
        if name == _COUNT:
            return int(value) if value.isdecimal() else None
        if name == _NUMBERS:
            numbers = value.split(" or ")
            return format_list(numbers, style="or", locale=self._texts.locale)
        if name in AMOUNTS:
            return self._amount(value)
        # Else one place would swallow what other templates know.
        is_more = name not in _FOREIGN and _NEXT_SENTENCE.search(value)
        return None if is_more else value

    def _amount(self, value: str) -> str | None:
        plain = value.replace(",", "")
        if not _NUMBER.fullmatch(plain):
            # Some cause may have a word there.
            return None if " " in value else value
        # As many decimals as there are.
        pattern = "#,##0." + "0" * len(plain.partition(".")[2])
        return format_decimal(Decimal(plain), pattern, locale=self._texts.locale)


def _template(key: str, text: str) -> _Template:
    pattern, literals, named = "", [], set[str]()
    for literal, name, _, _ in Formatter().parse(text):
        literals.append(literal)
        pattern += re.escape(literal)
        if name in named:
            pattern += f"(?P={name})"
        elif name is not None:
            named.add(name)
            value = r"\S+" if name.endswith(WORD) else ".+?"
            pattern += f"(?P<{name}>{value})"
    compiled = re.compile(pattern, re.DOTALL)
    weight = sum(map(len, literals))
    return _Template(key, compiled, max(literals, key=len), weight)
