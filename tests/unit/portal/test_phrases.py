"""Phrases of the program in another language: finding them, and filling them in."""

from __future__ import annotations

import pytest

from vllm_pkg.portal.said import say, say_error, say_plainly
from vllm_pkg.portal.texts.catalogue import Entry, Texts, load_texts
from vllm_pkg.portal.texts.phrases import CHARACTERS_MAX, Phrasebook, Said

EN, ES, DE, FR = (load_texts(language) for language in ("en", "es", "de", "fr"))
ENGLISH: dict[str, Entry] = {
    "gone": "{name} is gone",
    "why": "{name} is gone: {why_text}",
    "reason": "it was old",
    "sizes": "{needed} GiB are missing",
    "items": {"one": "{count} item", "other": "{count} items"},
    "named": "{name} ({facts_list})",
    "set": "set {name_word} to {value_word}",
    "numbers": "over {numbers} cards",
    "broken": "it broke: {detail}",
    "twice": "write {name}={name}",
    "do": "look there",
    "ended": "{name} has ended",
    "asked": "did you mean {name}?",
}
GERMAN: dict[str, Entry] = {
    "gone": "{name} ist weg",
    "why": "{name} ist weg: {why_text}",
    "reason": "es war alt",
    "sizes": "es fehlen {needed} GiB",
    "items": {"one": "{count} Stück", "other": "{count} Stücke"},
    "named": "{name} ({facts_list})",
    "set": "{name_word} auf {value_word} setzen",
    "numbers": "auf {numbers} Karten",
    "broken": "es ging kaputt: {detail}",
    "twice": "{name}={name} schreiben",
    "do": "sehen Sie nach",
    "ended": "schluss ist mit {name}",
    "asked": "meinten Sie {name}?",
}
BOOK = Phrasebook(ENGLISH, Texts("de", GERMAN))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("look there", "sehen Sie nach"),
        ("org/m is gone", "org/m ist weg"),
        ("org/m is gone: it was old", "org/m ist weg: es war alt"),
        ("1234.50 GiB are missing", "es fehlen 1.234,50 GiB"),
        ("12,345 GiB are missing", "es fehlen 12.345 GiB"),
        ("many GiB are missing", "es fehlen many GiB"),
        ("1 item", "1 Stück"),
        ("5 items", "5 Stücke"),
        ("org/m (5 items, look there)", "org/m (5 Stücke, sehen Sie nach)"),
        ("set --a to 5", "--a auf 5 setzen"),
        ("over 2, 3 or 4 cards", "auf 2, 3 oder 4 Karten"),
        ("over 2 or 4 cards", "auf 2 oder 4 Karten"),
        ("it broke: No. It did not.", "es ging kaputt: No. It did not."),
        ("write -x=-x", "-x=-x schreiben"),
    ],
)
def test_a_phrase_is_known_by_its_template(told, said):
    """Values are taken over; amounts, counts and phrases in them are written anew."""
    assert BOOK.say(told) == (Said(said),)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("Look there.", "Sehen Sie nach."),
        ("org/m is gone.", "org/m ist weg."),
        ("Did you mean x?", "Meinten Sie x?"),
        ("5 items.", "5 Stücke."),
        ("org/m is gone: it was old.", "org/m ist weg: es war alt."),
        ("org/m has ended.", "Schluss ist mit org/m."),
        ("org/m is gone. Look there.", "org/m ist weg. Sehen Sie nach."),
    ],
)
def test_the_words_of_an_error_are_known_as_sentences_too(told, said):
    """A capital letter and a full stop do not hide what is said, one by one."""
    assert BOOK.say(told) == (Said(said),)


@pytest.mark.parametrize(
    "told",
    [
        "nobody knows this",
        "org/m is gone: nobody knows why",
        "very many GiB are missing",
        "many items",
        "org/m (5 items, unknown)",
        "set --a b to 5",
        "write -x=-y",
        "x" * (CHARACTERS_MAX + 1),
    ],
)
def test_what_is_not_known_whole_stays_english(told):
    """Nothing is half translated: one unknown part keeps the sentence as it is."""
    assert BOOK.say(told) == (Said(told, is_foreign=True),)


def test_what_is_known_is_said_between_what_is_not():
    """Of several sentences each counts; neighbours of one kind stay together."""
    told = "One. Two. Look there. 1 item. Three."

    assert BOOK.say(told) == (
        Said("One. Two.", is_foreign=True),
        Said("Sehen Sie nach. 1 Stück."),
        Said("Three.", is_foreign=True),
    )


def test_a_place_holds_no_further_sentence():
    """Else the first template would hide that the rest is not known."""
    assert BOOK.say("a. B is gone") == (
        Said("a.", is_foreign=True),
        Said("B ist weg"),
    )


def test_english_pages_say_what_the_program_says():
    """Nothing is looked up, and nothing counts as foreign."""
    assert say(EN, "Anything at all.") == (Said("Anything at all."),)
    assert say(ES, "") == (Said(""),)


def test_causes_actions_and_errors_are_in_the_book():
    """A cause with its numbers, an action's name and an error with its hint."""
    cause = (
        "One request of 32768 tokens needs 4.0 GiB of memory beside the model, and 1.5"
        " GiB are left. At most 12000 tokens fit."
    )

    assert say(DE, cause) == (
        Said(
            "Eine Anfrage von 32.768 Token braucht 4,0 GiB Speicher neben dem Modell,"
            " und 1,5 GiB bleiben übrig. Höchstens 12.000 Token passen hinein."
        ),
    )
    assert say_plainly(FR, "Set Model") == "Choisir un modèle"
    assert say_error(ES, "the service is not running", "see the service logs") == (
        "El servicio no está en marcha. Vea los registros del servicio."
    )


def test_a_template_without_words_of_its_own_knows_nothing():
    """A cause that only repeats what it found would else take any sentence for its."""
    assert say(DE, "Whatever it is.")[0].is_foreign
