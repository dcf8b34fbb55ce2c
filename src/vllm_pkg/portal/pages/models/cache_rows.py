"""What is in the model cache, as rows of a list, and what a removal does. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.portal.wording import size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.portal.texts.catalogue import Texts

COMMIT_SHOWN: Final = 12
_LEFTOVER: Final = "leftover"
_MODEL: Final = "model"


@dataclass(frozen=True)
class CacheRow:
    """
    One repository of the cache, or one revision of it.

    Args:
        key: What names the repository for a removal.
        commit: The revision; None for the whole repository.
        name: For people.
        facts: Sizes and state, as short sentences.
        last_used: When it was used last, as ISO 8601; None for a revision.
        is_partial: Whether something is missing.
        is_model: Whether it can be served, checked and downloaded.
        obstacle: Why it cannot be removed now, as a sentence; None if it can.
        revisions: The rows of its revisions, where there are several.
    """

    key: str
    commit: str | None
    name: str
    facts: tuple[str, ...]
    last_used: str | None
    is_partial: bool
    is_model: bool
    obstacle: str | None
    revisions: tuple[CacheRow, ...] = ()


@dataclass(frozen=True)
class Removal:
    """
    What is asked before something is removed.

    Args:
        title: The question.
        lost: What is lost, in whole sentences.
        gained: What is gained, in whole sentences.
        confirm: What the button that does it says.
    """

    title: str
    lost: str
    gained: str
    confirm: str


def cache_rows(
    texts: Texts, models: Sequence[Mapping[str, Any]]
) -> tuple[CacheRow, ...]:
    """
    Return a row for each repository, what was used last first.

    Args:
        texts: The language.
        models: As `vllm_pkg.service.cached_models.cache_json` describes them.
    """
    ordered = sorted(models, key=lambda item: (item["lastUsed"], item["model"]))
    return tuple(_row(texts, item) for item in reversed(ordered))


def _row(texts: Texts, item: Mapping[str, Any]) -> CacheRow:
    is_leftover = item["kind"] == _LEFTOVER
    revisions = item["revisions"] if len(item["revisions"]) > 1 else ()
    name = item["repository"] if is_leftover else item["model"]
    return CacheRow(
        key=item["model"],
        commit=None,
        name=name,
        facts=tuple(_facts(texts, item, is_leftover=is_leftover)),
        last_used=item["lastUsed"],
        is_partial=item["isPartial"],
        is_model=item["kind"] == _MODEL,
        obstacle=_obstacle(texts, item),
        revisions=tuple(_revision(texts, item, one) for one in revisions),
    )


def _facts(texts: Texts, item: Mapping[str, Any], *, is_leftover: bool) -> list[str]:
    facts = [texts("models.cache.size", size=size(texts, item["sizeBytes"]))]
    if item["freesBytes"] != item["sizeBytes"]:
        freed = size(texts, item["freesBytes"])
        facts.append(texts("models.cache.frees", size=freed))
    if is_leftover:
        facts.append(texts("models.cache.leftover"))
    elif item["isPartial"]:
        facts.append(texts("models.cache.partial"))
    else:
        facts.append(texts("models.cache.complete"))
    if len(item["revisions"]) > 1:
        facts.append(texts("models.cache.revisions", count=len(item["revisions"])))
    if item["isInUse"]:
        facts.append(texts("models.cache.in_use"))
    return facts


def _revision(
    texts: Texts, item: Mapping[str, Any], revision: Mapping[str, Any]
) -> CacheRow:
    commit = revision["commit"]
    name = texts("models.cache.revision", commit=commit[:COMMIT_SHOWN])
    if revision["refs"]:
        name = texts(
            "models.cache.named_revision",
            commit=commit[:COMMIT_SHOWN],
            refs=", ".join(revision["refs"]),
        )
    facts = [
        texts("models.cache.size", size=size(texts, revision["sizeBytes"])),
        texts("models.cache.frees", size=size(texts, revision["freesBytes"])),
    ]
    kind = "partial" if revision["isPartial"] else "complete"
    facts.append(texts(f"models.cache.{kind}"))
    if revision["isInUse"]:
        facts.append(texts("models.cache.in_use"))
    return CacheRow(
        key=item["model"],
        commit=commit,
        name=name,
        facts=tuple(facts),
        last_used=None,
        is_partial=revision["isPartial"],
        is_model=item["kind"] == _MODEL,
        obstacle=_obstacle(texts, revision),
    )


def _obstacle(texts: Texts, item: Mapping[str, Any]) -> str | None:
    return texts("models.remove.in_use") if item["isInUse"] else None


def describe_removal(texts: Texts, name: str, plan: Mapping[str, Any]) -> Removal:
    """
    Return what a removal takes and gives.

    Args:
        texts: The language.
        name: What is removed, for people.
        plan: As `vllm_pkg.service.cached_models.plan_json` describes it.
    """
    is_leftover = plan["model"].startswith(f"{_LEFTOVER}/")
    lost = [texts("models.remove.no_loss" if is_leftover else "models.remove.lost")]
    lost.append(texts("models.remove.files", count=plan["files"]))
    if plan["sharedBytes"]:
        shared = size(texts, plan["sharedBytes"])
        lost.append(texts("models.remove.shared", size=shared))
    freed = size(texts, plan["freesBytes"])
    gained = [texts("models.remove.gained", size=freed)]
    if plan["leftoverBytes"]:
        swept = size(texts, plan["leftoverBytes"])
        gained.append(texts("models.remove.swept", size=swept))
    return Removal(
        title=texts("models.remove.title", name=name),
        lost=" ".join(lost),
        gained=" ".join(gained),
        confirm=texts("models.remove.confirm", size=freed),
    )


def describe_removed(texts: Texts, name: str, report: Mapping[str, Any]) -> str:
    """
    Return what a removal has done, in one sentence.

    Args:
        texts: The language.
        name: What was removed.
        report: As `vllm_pkg.service.cached_models.report_json` describes it.
    """
    freed = report["freedBytes"] + report["leftoverBytes"]
    return texts("models.remove.done", name=name, size=size(texts, freed))
