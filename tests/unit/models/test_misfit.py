"""Why a preset does not fit, in words."""

from __future__ import annotations

from vllm_pkg.models.misfit import Misfit, Obstacle


def test_a_misfit_is_a_clause():
    """Its places stand in the words; there is no full stop."""
    misfit = Misfit(Obstacle.TOO_SMALL, {"needed_gib": 30, "memory_gib": 24})

    assert misfit.text == "needs 30 GiB, this machine has 24 GiB"


def test_each_obstacle_has_words():
    """None of them is left without a text."""
    places = dict.fromkeys(
        [
            "machines",
            "notes",
            "target",
            "gpu",
            "needed_gib",
            "memory_gib",
            "cards",
            "smallest_gib",
            "heads",
            "numbers",
            "change",
            "missing_gib",
        ],
        "X",
    )

    assert all("X" in Misfit(obstacle, places).text for obstacle in Obstacle)
