"""What each phase of a start has come to: pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine.phases import ORDER, Phase
from vllm_pkg.portal import wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.portal.texts.catalogue import Texts

SHOWN: Final = tuple(phase for phase in ORDER if phase is not Phase.READY)


class State(StrEnum):
    """Where a start is with a phase."""

    DONE = "done"
    NOW = "now"
    LATER = "later"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class PhaseRow:
    """
    One phase.

    Args:
        state: Where the start is with it.
        text: The same in words, with its time or its percent.
    """

    state: State
    text: str


def phase_rows(texts: Texts, start: Mapping[str, Any]) -> tuple[PhaseRow, ...]:
    """
    Return a row for each of the phases `SHOWN`.

    Args:
        texts: The language.
        start: The start, as the status tells of it.
    """
    finished = {entry["phase"]: entry["seconds"] for entry in start["phases"]}
    present = start["phase"]
    position = ORDER.index(Phase(present)) if present in set(Phase) else 0
    rows: list[PhaseRow] = []
    for phase in SHOWN:
        if phase == present:
            rows.append(PhaseRow(State.NOW, _now(texts, start["phasePercent"])))
        elif phase in finished:
            time = wording.short(texts, finished[phase])
            rows.append(PhaseRow(State.DONE, texts("start.phase_done", time=time)))
        elif ORDER.index(phase) > position:
            rows.append(PhaseRow(State.LATER, texts("start.phase_later")))
        else:
            rows.append(PhaseRow(State.SKIPPED, texts("start.phase_skipped")))
    return tuple(rows)


def _now(texts: Texts, percent: float | None) -> str:
    if percent is None:
        return texts("start.phase_now")
    told = wording.percent(texts, percent)
    return texts("start.phase_now_percent", percent=told)
