"""The presets as rows, and the sentence above them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.sizing_cases import cpu_hardware, gpu_hardware
from vllm_pkg.hardware.facts import Hardware
from vllm_pkg.models.fit import fit_presets
from vllm_pkg.models.local import Places
from vllm_pkg.models.misfit import Misfit, Obstacle
from vllm_pkg.portal.pages.models.presets import (
    misfit_sentence,
    preset_rows,
    summarize,
)
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts

EN = load_texts("en")
SPACE = "\N{NO-BREAK SPACE}"
GIB = 1024**3
PLACES = Places(Path("/templates"), Path("/data/local-models"))
NOTHING = Hardware(None, 0.0, 16.0, (), "test", ("The driver is broken.",))
HELD = "Qwen/Qwen3-1.7B"


def _rows(hardware, *, selected=None, cached=None):
    fits = fit_presets(hardware, PLACES)
    return preset_rows(EN, fits, hardware.tier, selected, cached or {})


@pytest.mark.parametrize(
    ("hardware", "sentence"),
    [
        (
            gpu_hardware(24.0),
            (
                f"24.0{SPACE}GiB of GPU memory, 210.0{SPACE}GiB of disk free: "
                "6 of 13 presets fit."
            ),
        ),
        (
            cpu_hardware(24.0),
            (
                f"24.0{SPACE}GiB of memory for models on the CPU, 210.0{SPACE}GiB of "
                "disk free: 4 of 13 presets fit."
            ),
        ),
        (
            NOTHING,
            (
                "There is no hardware here that can serve a model, "
                f"210.0{SPACE}GiB of disk free: no preset fits."
            ),
        ),
    ],
)
def test_the_first_line_says_what_could_run(hardware, sentence):
    """Memory, disk and the number of presets that fit."""
    fits = fit_presets(hardware, PLACES)

    assert summarize(EN, hardware, 210 * GIB, fits) == sentence


def test_the_best_preset_comes_first_and_what_does_not_fit_last():
    """In between stands what fits, in the order of preference."""
    rows = _rows(gpu_hardware(24.0))

    assert [row.is_best for row in rows] == [True] + [False] * (len(rows) - 1)
    fitting = [row.is_fitting for row in rows]
    assert fitting == sorted(fitting, reverse=True)
    assert all((row.reason is None) is row.is_fitting for row in rows)


def test_nothing_is_best_where_nothing_fits():
    """Every preset is there all the same, with its reason."""
    rows = _rows(NOTHING)

    assert not any(row.is_best or row.is_fitting for row in rows)
    assert {row.reason for row in rows} == {
        "There is no hardware here that it could run on."
    }


def test_a_preset_says_whether_it_is_on_the_disk():
    """Whole, in part, not yet, or made here; a whole one needs no download."""
    whole = {HELD: {"sizeBytes": 4 * GIB, "isPartial": False}}
    part = {HELD: {"sizeBytes": GIB, "isPartial": True}}

    def told(cached):
        rows = _rows(gpu_hardware(24.0), cached=cached)
        row = next(row for row in rows if row.repository == HELD)
        return row.facts[-1], row.can_download

    assert told(whole) == (f"4.0{SPACE}GiB on the disk", False)
    assert told(part) == (f"1.0{SPACE}GiB on the disk, not complete", True)
    assert told({}) == ("Not downloaded yet", True)
    tiny = next(row for row in _rows(gpu_hardware(24.0)) if row.id == "tiny")
    assert (tiny.repository, tiny.can_download) == ("", False)
    assert tiny.facts[-1] == "Needs no download"


def test_a_preset_says_what_it_needs():
    """What it is for, its context and its memory; several GPUs are named."""
    best = _rows(gpu_hardware(24.0, 24.0))[0]

    assert best.facts[0] == "For chat and text"
    assert any(fact.startswith("Context of") for fact in best.facts)
    assert any(fact.endswith("of memory") for fact in best.facts)
    assert "Spread over 2 GPUs" in best.facts


def test_the_selected_preset_is_marked():
    """It is the one whose id is stored, whether it is the best or not."""
    rows = _rows(gpu_hardware(24.0), selected="tiny")

    assert [row.id for row in rows if row.is_selected] == ["tiny"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "misfit",
    [
        Misfit(Obstacle.NOT_OFFERED, {"machines": "x", "tier": "amd"}),
        Misfit(Obstacle.NO_HARDWARE, {"notes": "x"}),
        Misfit(Obstacle.NO_FP8, {"target": "gfx1100", "gpu": "Card"}),
        Misfit(Obstacle.TOO_SMALL, {"needed_gib": 30, "memory_gib": 24}),
        Misfit(
            Obstacle.UNEQUAL_CARDS, {"needed_gib": 30, "cards": 2, "smallest_gib": 8}
        ),
        Misfit(Obstacle.HEADS, {"needed_gib": 30, "heads": 40, "counts": (3, 6)}),
        Misfit(Obstacle.WEIGHTS, {"needed_gib": 30, "counts": (3,)}),
        Misfit(Obstacle.NEEDS_CHANGE, {"change": "--max-model-len 8192"}),
        Misfit(Obstacle.ESTIMATED_SHORT, {"missing_gib": 6.4}),
    ],
)
def test_each_obstacle_is_a_sentence_in_each_language(language, misfit):
    """Sizes have their unit, and numbers of cards stand as a list."""
    sentence = misfit_sentence(load_texts(language), misfit)

    assert sentence.endswith(".")
    is_size = not misfit.places.keys().isdisjoint({"needed_gib", "missing_gib"})
    assert is_size is (f"{SPACE}Gi" in sentence)


def test_numbers_of_cards_are_joined_as_the_language_does():
    """Three or six, not three, six."""
    misfit = Misfit(Obstacle.HEADS, {"needed_gib": 30, "heads": 40, "counts": (3, 6)})

    assert "over 3 or 6 GPUs" in misfit_sentence(EN, misfit)
    assert "3 oder 6 GPUs" in misfit_sentence(load_texts("de"), misfit)
