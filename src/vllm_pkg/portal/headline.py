"""The first sentence of Home: is it working? Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.health.checker import LOADING_WINDOW_S
from vllm_pkg.portal import wording
from vllm_pkg.portal.served import model_name
from vllm_pkg.portal.situation import Situation, situation_of
from vllm_pkg.portal.start_words import describe_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from vllm_pkg.portal.feed import Look
    from vllm_pkg.portal.texts.catalogue import Texts

START_COMMAND: Final = "vllm-pkg run"
_MINUTE_S: Final = 60


def headline(
    texts: Texts,
    look: Look,
    now: datetime,
    *,
    is_usage_known: bool = False,
    last_request: datetime | None = None,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> str:
    """
    Return whether the service is up, in a sentence or two.

    Args:
        texts: The language.
        look: What was seen.
        now: The time, with its zone.
        is_usage_known: Whether it is known when the API was used.
        last_request: When somebody used it last; None: never.
        earlier: Earlier starts, as `starts_json` tells of them.
    """
    if not look.number:
        return texts("home.looking")
    if look.state is None:
        return texts("home.unknown")
    situation = situation_of(look)
    model = model_name(look.state["model"])
    if situation is Situation.READY:
        if not is_usage_known:
            return texts("home.serving_now", model=model)
        return _serving(texts, model, now, last_request)
    start = look.state["start"]
    if situation in {Situation.LOADING, Situation.DOWNLOADING}:
        return describe_start(texts, start, earlier)
    return _other(texts, situation, model)


def _serving(
    texts: Texts, model: str, now: datetime, last_request: datetime | None
) -> str:
    if last_request is None:
        return texts("home.serving_unused", model=model)
    ago = wording.ago(texts, last_request, now)
    return texts("home.serving", model=model, ago=ago)


def _other(texts: Texts, situation: Situation, model: str) -> str:
    minutes = round(LOADING_WINDOW_S / _MINUTE_S)
    sentences = {
        Situation.NO_MODEL: texts("home.no_model"),
        Situation.STOPPED: texts("home.stopped", command=START_COMMAND),
        Situation.STOPPING: texts("home.stopping"),
        Situation.STARTING: texts("home.starting", model=model),
        Situation.LATE: texts("home.late", model=model, count=minutes),
        Situation.STUCK: texts("home.stuck", model=model),
        Situation.FAILED: texts("home.failed", model=model),
    }
    return sentences[situation]
