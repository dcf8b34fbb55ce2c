"""What monitoring may see while the whole service is tried end to end."""

from __future__ import annotations

import re

from support.monitoring import STEPS


def test_the_allowed_steps_leave_no_other():
    """The pattern refuses what must not be seen: a failure, or a step left out."""
    seen = "disabled loading success loading success loading success failure loading"

    assert re.fullmatch(STEPS, f"{seen} success failure")
    for wrong in (
        f"disabled failure {seen} success failure",
        f"{seen} failure",
        f"{seen} success",
        f"{seen} disabled success failure",
        seen.replace("loading success ", "", 1) + " success failure",
    ):
        assert not re.fullmatch(STEPS, wrong)
