"""What the program says below the portal, and what the portal knows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import vllm_pkg
from support.engine_logs import load_logs
from support.portal_texts import problems
from support.produced_words import all_produced
from support.program_words import literal_shapes, unknown, unsaid, words_for_people
from vllm_pkg.engine.exit_report import report_exit
from vllm_pkg.portal.said import SAID, english_phrases, say
from vllm_pkg.portal.texts.catalogue import LANGUAGES, Texts, load_texts
from vllm_pkg.portal.texts.phrases import Phrasebook

ROOT = Path(vllm_pkg.__file__).parent
HERE = Path(__file__).parent
OTHERS = [language for language in LANGUAGES if language != "en"]
# Their English is not repeated in the catalogue.
TABLES = tuple(f"{SAID}{table}." for table in ("causes", "tasks", "actions"))
# Whoever writes a sentence there writes it in five languages.
COVERED = (
    "actions/*.py",
    "engine/acceptor.py",
    "engine/arguments.py",
    "engine/exit_report.py",
    "engine/fit_check.py",
    "engine/option_checks.py",
    "engine/reserved.py",
    "errors.py",
    "models/deletion*.py",
    "models/download/disk_plan.py",
    "models/download/errors.py",
    "models/download/explain.py",
    "models/fit.py",
    "models/hub_account.py",
    "models/misfit.py",
    "models/sizing/wording.py",
    "state/keys.py",
)
# Sentences of which a Hub, a GPU or the like would have to be asked.
ASKED_FOR = (
    "org/m has no config.json, so it is no model as such",
    "org/m is not complete in the cache, and HF_HUB_OFFLINE is set",
    (
        "Card has compute capability 7.5; 8.0 is the least that the presets "
        "need, so it is not used."
    ),
    (
        "Selected Qwen3 (org/m) with a context of 32768 tokens, spread over 2 "
        "GPUs (tensor parallel)."
    ),
    "Deleted revision 0123456789ab of org/m and freed 1.0 GiB.",
    "Qwen3 - needs 24 GiB, this machine has 8 GiB",
    (
        "A token is stored. Left empty, the stored one is removed; with the "
        "test below, the stored one is tested."
    ),
    "Left empty, none is set; with the test below, the stored one is tested.",
    (
        "Clients send this key as bearer token. Their base URL is "
        "http://<address of this machine>:8000/v1."
    ),
    (
        "Clients send this key as bearer token. Their base URL is the address "
        "of the vLLM API with /v1 appended."
    ),
)


def listed(name):
    """Return the lines of a list beside this file."""
    return set((HERE / name).read_text("utf-8").splitlines())


def source_shapes(patterns):
    """Return the texts of the program below the portal in some of its modules."""
    paths = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return {
        shape
        for path in paths
        if path.relative_to(ROOT).parts[0] != "portal"
        for shape in literal_shapes(path.read_text("utf-8"))
    }


def recognised(told):
    """Return the keys of the phrases by which some sentences are known."""
    phrases = english_phrases()
    seen = set()

    class Watched(Texts):
        def __call__(self, key, /, **values):
            seen.add(key)
            return super().__call__(key, **values)

    book = Phrasebook(phrases, Watched("en", dict(phrases)))
    for sentence in told:
        book.say(sentence)
    return seen


@pytest.mark.parametrize("language", OTHERS)
def test_each_language_has_every_phrase(language):
    """No phrase of the program is missing, superfluous or left in English."""
    translated = load_texts(language).entries
    phrases = {key: text for key, text in translated.items() if key.startswith(SAID)}
    same = (HERE / "same-in-all.txt").read_text("utf-8").split()

    assert problems(language, phrases, english_phrases(), same) == []


def test_the_program_says_every_phrase():
    """Each English template stands in the code below, or is one that code puts together
    when it is run here."""
    phrases = {
        key: text
        for key, text in english_phrases().items()
        if not key.startswith(TABLES)
    }
    shapes = source_shapes(["**/*.py"])

    assert unsaid(phrases, shapes) - recognised([*all_produced(), *ASKED_FOR]) == set()


def test_the_portal_knows_what_actions_checks_and_errors_say():
    """Each text of two words or more in these modules is a phrase, or is listed as one
    that no page shows or that is part of a phrase."""
    found = unknown(english_phrases(), source_shapes(COVERED))

    assert found == listed("not-said-alone.txt")


@pytest.mark.parametrize("language", OTHERS)
def test_what_the_program_puts_together_is_known(language):
    """Sentences with values in them come out whole in each language."""
    texts = load_texts(language)
    told = [*all_produced(), *ASKED_FOR]

    left = {item for item in told if any(part.is_foreign for part in say(texts, item))}

    assert left == set()


@pytest.mark.parametrize("language", OTHERS)
def test_the_report_of_each_named_failure_is_known(language):
    """Summary, explanation and hint of each recorded log come out whole."""
    texts = load_texts(language)
    reports = [report_exit(log.exit_code, log.lines) for log in load_logs()]

    left = {
        (report.cause, text)
        for report in reports
        for text in (report.summary, report.explanation or "", report.hint)
        if any(part.is_foreign for part in say(texts, text))
    }

    assert len(reports) > 50
    assert left == set()


def test_what_is_not_known_is_found():
    """Each detector names what it looks for, so that an empty answer means much."""
    source = '''
"""A docstring of the module."""
def f(name, count):
    """A docstring."""
    raise Error(f"{name} is gone; look for it", hint="look there")
    raise Error(f"The {name} is old. Make a new one.")
    raise Error("{a} of {b} are left".format(a=1, b=2))
    return "one-word"
'''
    shapes = literal_shapes(source)
    phrases = {
        "gone": "{what} is gone; look for it",
        "new": "Make a new one.",
        "never": "Nobody says this.",
    }

    assert words_for_people(shapes) == {
        "{} is gone; look for it",
        "look there",
        "The {} is old. Make a new one.",
        "{} of {} are left",
    }
    assert unsaid(phrases, shapes) == {"never"}
    assert unknown(phrases, shapes) == {
        "look there",
        "The {} is old. Make a new one.",
        "{} of {} are left",
    }
    assert recognised(["must not be empty"]) == {"said.problems.empty"}
