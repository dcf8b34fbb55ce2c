"""How far a start is, in the reader's language: pure."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from vllm_pkg.engine.phases import Phase
from vllm_pkg.portal import wording
from vllm_pkg.portal.start_bars import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.portal.texts.catalogue import Texts


def part_name(texts: Texts, part: Part) -> str:
    """Return what a part of a start is called."""
    names = {
        Part.DOWNLOAD: texts("start.part_download"),
        Part.STARTING: texts("start.part_starting"),
        Part.LOAD: texts("start.part_load"),
        Part.COMPILE: texts("start.part_compile"),
        Part.WARM_UP: texts("start.part_warm_up"),
    }
    return names[part]


def phase_name(texts: Texts, phase: str) -> str:
    """Return what a phase is called; one of another version by its own name."""
    names = {
        Phase.PREPARE: texts("start.phase_prepare"),
        Phase.DOWNLOAD: texts("start.phase_download"),
        Phase.STARTING: texts("start.phase_starting"),
        Phase.LOAD: texts("start.phase_load"),
        Phase.COMPILE: texts("start.phase_compile"),
        Phase.CAPTURE: texts("start.phase_capture"),
        Phase.WARM_UP: texts("start.phase_warm_up"),
        Phase.READY: texts("start.phase_ready"),
    }
    return names[Phase(phase)] if phase in set(Phase) else phase


def load_s(earlier: Sequence[Mapping[str, Any]]) -> float | None:
    """
    Return how long all that follows the download takes; None: not known.

    Args:
        earlier: Earlier starts, the newest first, as `starts_json` tells of them.
    """
    seen = [
        sum(
            float(phase["seconds"])
            for phase in run["phases"]
            if phase["phase"] != Phase.DOWNLOAD
        )
        for run in same(earlier)
    ]
    return statistics.median_low(seen) if seen else None


def same(earlier: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those of the earlier starts that an estimate comes from."""
    return [run for run in earlier if run["isSame"]]


def describe_start(
    texts: Texts, start: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]] = ()
) -> str:
    """
    Return in a sentence what goes on and how long it takes still.

    Args:
        texts: The language.
        start: The present start, as the status tells of it.
        earlier: Earlier starts, as `starts_json` tells of them.
    """
    phase = start["phase"]
    if phase == Phase.DOWNLOAD:
        return _describe_download(texts, start, load_s(earlier))
    if phase == Phase.READY:
        took_s = float(start["readyAfterS"] or start["elapsedS"])
        return texts("start.was_ready", time=wording.about(texts, took_s))
    name = phase_name(texts, phase)
    left_s = start["etaS"]
    if left_s is None:
        return texts("start.now", phase=name)
    return texts("start.now_left", phase=name, left=wording.about(texts, left_s))


def describe_source(
    texts: Texts, start: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]
) -> str:
    """Return how an estimate is known, or why there is none."""
    count = len(same(earlier))
    if count and start["etaS"] is not None:
        return texts("start.known_from_starts", count=count)
    if count:
        return texts("start.overrun")
    if start["phase"] == Phase.DOWNLOAD and start["etaS"] is not None:
        return texts("start.known_from_speed")
    return texts("start.not_known")


def _describe_download(
    texts: Texts, start: Mapping[str, Any], later_s: float | None
) -> str:
    done, total = start["bytesDone"], start["bytesTotal"]
    if done is None or not total:
        return texts("start.download_begins")
    amount = wording.size_of(texts, done, total)
    if start["isStalled"]:
        return texts("start.download_stalled", amount=amount)
    speed = wording.speed(texts, start["bytesPerS"] or 0.0)
    left_s = start["etaS"]
    if left_s is None:
        return texts("start.downloading", amount=amount, speed=speed)
    if later_s is None:
        left = wording.about(texts, left_s)
        return texts("start.downloading_left", amount=amount, speed=speed, left=left)
    # The estimate of the whole start includes what follows the download.
    return texts(
        "start.downloading_then",
        amount=amount,
        speed=speed,
        left=wording.about(texts, max(0.0, left_s - later_s)),
        load=wording.about(texts, later_s),
    )
