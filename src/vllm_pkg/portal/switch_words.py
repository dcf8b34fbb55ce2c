"""How far a switch of models is, in the reader's language: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.portal import wording
from vllm_pkg.portal.served import model_name
from vllm_pkg.state.switch import SwitchPhase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.portal.texts.catalogue import Texts

_P = SwitchPhase
# As `Switches.cancelled` has it; what waits can always be dropped.
_CAN_BE_CANCELLED: Final = frozenset({_P.PREPARING, _P.PROVING})
_FAILED: Final = frozenset({_P.FAILED, _P.RETURNED})
_PERCENT: Final = 100.0


@dataclass(frozen=True)
class SwitchView:
    """
    A switch that is under way.

    Args:
        sentence: What it does.
        percent: How much of its download is done; None: not known, or there is none.
        can_be_cancelled: Whether a person can end it now.
        new: What it switches to.
        old: What has served before.
    """

    sentence: str
    percent: float | None
    can_be_cancelled: bool
    new: str
    old: str


def view_switch(texts: Texts, document: Mapping[str, Any]) -> SwitchView | None:
    """
    Return the switch that is under way, or None.

    Args:
        texts: The language.
        document: What `vllm_pkg.service.switches.collect` tells.
    """
    current, waiting = document["current"], document["waiting"]
    if current is None or current["isOver"]:
        return None
    new, old = model_name(current["target"]), model_name(current["previous"])
    progress = current["progress"]
    percent = None
    if progress and progress["bytesTotal"]:
        percent = _PERCENT * progress["bytesDone"] / progress["bytesTotal"]
    return SwitchView(
        sentence=_sentence(texts, current, new, old),
        percent=percent,
        can_be_cancelled=current["phase"] in _CAN_BE_CANCELLED or waiting is not None,
        new=new,
        old=old,
    )


def describe_failed_switch(texts: Texts, document: Mapping[str, Any]) -> str | None:
    """Return what came of the last switch if it failed; None: it did not."""
    current = document["current"]
    if current is None or current["phase"] not in _FAILED:
        return None
    new, old = model_name(current["target"]), model_name(current["previous"])
    if current["phase"] == _P.FAILED:
        return texts("switch.failed", new=new, old=old)
    return texts("switch.returned", new=new, old=old)


def _sentence(texts: Texts, current: Mapping[str, Any], new: str, old: str) -> str:
    phase = SwitchPhase(current["phase"])
    if phase is _P.PREPARED:
        return texts("switch.prepared", new=new)
    if phase is _P.PROVING:
        return texts("switch.proving", new=new, old=old)
    if phase is not _P.PREPARING:
        return texts("switch.returning", new=new, old=old)
    return _describe_preparation(texts, current["progress"], new, old)


def _describe_preparation(
    texts: Texts, progress: Mapping[str, Any] | None, new: str, old: str
) -> str:
    if not progress or not progress["bytesTotal"]:
        return texts("switch.preparing", new=new, old=old)
    amount = wording.size_of(texts, progress["bytesDone"], progress["bytesTotal"])
    if progress["isStalled"]:
        return texts("switch.stalled", new=new, old=old, amount=amount)
    if progress["etaS"] is None:
        return texts("switch.downloading", new=new, old=old, amount=amount)
    left = wording.about(texts, progress["etaS"])
    return texts("switch.downloading_left", new=new, old=old, amount=amount, left=left)
