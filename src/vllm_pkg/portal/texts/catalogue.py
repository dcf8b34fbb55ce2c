"""Looking up texts, and writing numbers as the language does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml
from babel import Locale, negotiate_locale
from babel.numbers import format_decimal

from vllm_pkg.errors import PackageDataInvalid

LANGUAGES: Final = ("en", "es", "de", "pl", "fr")
DEFAULT: Final = "en"
OTHER: Final = "other"

Entry = str | dict[str, str]


@dataclass(frozen=True)
class Texts:
    """
    The texts of one language.

    Args:
        language: Its code, one of `LANGUAGES`.
        entries: The catalogue, flat: key to text, or to texts by plural category.
    """

    language: str
    entries: dict[str, Entry]

    @property
    def locale(self) -> Locale:
        """The rules for numbers and times."""
        return Locale.parse(self.language)

    def __call__(self, key: str, /, **places: Any) -> str:
        """
        Return a text with its places filled.

        Args:
            key: Such as ``home.serving``.
            places: Values by name; whole numbers are written as the language does, and
                ``count`` decides the plural category.
        Raises:
            KeyError: there is no such text, or a place is missing.
        """
        entry = self.entries[key]
        if isinstance(entry, dict):
            category = str(self.locale.plural_form(places["count"]))
            entry = entry.get(category, entry[OTHER])
        return entry.format_map(
            {
                name: format_decimal(value, locale=self.locale)
                if isinstance(value, int)
                else value
                for name, value in places.items()
            }
        )


@cache
def load_texts(language: str) -> Texts:
    """
    Return the texts of a language, out of all files of its folder.

    Args:
        language: One of `LANGUAGES`.
    Raises:
        PackageDataInvalid: a file is no mapping of texts, or two have the same key.
    """
    folder = files("vllm_pkg.portal.texts").joinpath(language)
    entries: dict[str, Entry] = {}
    for path in folder.iterdir():
        found: dict[str, Entry] = {}
        _flatten(yaml.safe_load(path.read_text("utf-8")), (), found)
        twice = entries.keys() & found.keys()
        if twice:
            raise PackageDataInvalid(f"portal texts: {min(twice)} stands there twice")
        entries |= found
    return Texts(language, entries)


def choose_language(chosen: str | None, accepted: str) -> str:
    """
    Return which language to speak.

    Args:
        chosen: What the person has chosen before, if anything.
        accepted: The header Accept-Language.
    """
    if chosen in LANGUAGES:
        return str(chosen)
    wanted = [item.split(";")[0].strip() for item in accepted.split(",")]
    found = negotiate_locale(wanted, LANGUAGES, sep="-")
    return found or DEFAULT


def _flatten(node: Any, path: tuple[str, ...], entries: dict[str, Entry]) -> None:
    if isinstance(node, str):
        entries[".".join(path)] = node
    elif isinstance(node, dict) and OTHER in node:
        entries[".".join(path)] = {str(k): str(v) for k, v in node.items()}
    elif isinstance(node, dict):
        for key, value in node.items():
            _flatten(value, (*path, str(key)), entries)
    else:
        raise PackageDataInvalid(f"portal texts: {'.'.join(path)} is no text")
