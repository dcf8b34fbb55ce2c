"""
What the program says, in the reader's language.

Actions, checks, errors and causes speak English: on the command line, in the API and
in records that another process or an older version has written. The portal knows
their phrases; what it does not know is shown in English and marked so.
"""

from __future__ import annotations

from functools import cache, lru_cache
from string import Formatter
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.diagnosis.rules import load_causes
from vllm_pkg.errors import as_sentence
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.portal.texts.catalogue import DEFAULT, load_texts
from vllm_pkg.portal.texts.phrases import PHRASES, SENTENCES, Phrasebook, Said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.portal.texts.catalogue import Entry, Texts

SAID: Final = "said."
_REMEMBERED: Final = 1024


@cache
def english_phrases() -> Mapping[str, Entry]:
    """
    Return every English template by its key.

    Those of actions and causes come out of their own tables, which are not repeated.

    Raises:
        PackageDataInvalid: one of the tables is wrong.
    """
    phrases: dict[str, Entry] = {
        key: entry
        for key, entry in load_texts(DEFAULT).entries.items()
        if key.startswith(SAID)
    }
    for id_, rule in load_causes().causes.items():
        phrases[f"{SAID}causes.{id_}.explanation"] = rule.explanation
        phrases[f"{SAID}causes.{id_}.fix"] = rule.fix
    for action in load_manifest().actions:
        phrases[f"{SAID}actions.{action.id}.name"] = action.name
        phrases[f"{SAID}actions.{action.id}.description"] = action.description
        if action.warning is not None:
            phrases[f"{SAID}actions.{action.id}.warning"] = action.warning
    for task in load_manifest().tasks:
        phrases[f"{SAID}tasks.{task.action_id}"] = task.reason
    return {key: entry for key, entry in phrases.items() if _says_something(entry)}


def say(texts: Texts, told: str) -> tuple[Said, ...]:
    """
    Return what the program says in the reader's language.

    Args:
        texts: The language.
        told: In English; a phrase, a sentence or several.
    """
    if texts.language == DEFAULT or not told:
        return (Said(told),)
    return _say(texts.language, told)


def say_plainly(texts: Texts, told: str) -> str:
    """Return the same as one text, for where English cannot be marked."""
    return " ".join(part.text for part in say(texts, told))


def say_error(texts: Texts, message: str, hint: str) -> str:
    """Return message and hint of an error as sentences; see `say_plainly`."""
    return say_plainly(texts, f"{as_sentence(message)} {as_sentence(hint)}")


def _says_something(entry: Entry) -> bool:
    """Whether a template can be told from any other text."""
    if not isinstance(entry, str):
        return True
    parts = [(part, name or "") for part, name, *_ in Formatter().parse(entry)]
    has_words = any(letter.isalpha() for part, _ in parts for letter in part)
    # Those have to be known themselves.
    return has_words or any(name.endswith((SENTENCES, PHRASES)) for _, name in parts)


@cache
def _phrasebook(language: str) -> Phrasebook:
    return Phrasebook(english_phrases(), load_texts(language))


@lru_cache(maxsize=_REMEMBERED)
def _say(language: str, told: str) -> tuple[Said, ...]:
    return _phrasebook(language).say(told)
