"""Downloads and checks in words: how far they are, and what came of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from vllm_pkg.errors import as_sentence
from vllm_pkg.models.download.verify import FileState
from vllm_pkg.portal.wording import about, size_of, speed
from vllm_pkg.service.jobs import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.service.jobs import Job

Item = TypeVar("Item")
Download = dict[str, Any]
_STALLED: Final = "stalled"
_CAN_GO_ON: Final = frozenset({State.CANCELLED, State.INTERRUPTED, State.FAILED})
# More lines of damaged files than these help nobody.
FILES_SHOWN: Final = 10
# A quick check does not find these; a repair has to look as closely as the check did.
_FOUND_IN_FULL: Final = frozenset({FileState.WRONG_HASH, FileState.UNREADABLE})


@dataclass(frozen=True)
class JobRow:
    """
    One download or check.

    Args:
        id: Names it for those who cancel it.
        model: The model; empty for all of the cache.
        name: The model for people.
        is_check: Whether it is a check.
        is_running: Whether it goes on.
        is_well: Whether it is done and nothing is wrong.
        sentence: How far it is, or what came of it.
        label: What its progress bar is called.
        percent: How much is done; None: nobody knows.
        details: What is wrong, line by line.
        foreign: What the program says in English.
        can_cancel: Whether it can be ended.
        can_resume: Whether a download can go on.
        repairs_fully: Whether a repair has to read all content; None: there is nothing
            to repair.
    """

    id: str
    model: str
    name: str
    is_check: bool
    is_running: bool
    is_well: bool
    sentence: str
    label: str
    percent: float | None = None
    details: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    can_cancel: bool = False
    can_resume: bool = False
    repairs_fully: bool | None = None


def newest_checks(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Return the checks that run, and of each model the last that is over."""
    return tuple(_newest(jobs, lambda job: (job.model, job.is_running)))


def newest_downloads(downloads: Sequence[Download]) -> tuple[Download, ...]:
    """Return the downloads that run, and of each model the last that is over."""
    kept = _newest(downloads, lambda item: (item["model"], _is_running(item)))
    return tuple(kept)


def _newest(
    items: Sequence[Item], describe: Callable[[Item], tuple[str | None, bool]]
) -> Iterator[Item]:
    seen: set[str | None] = set()
    for item in items:
        model, is_running = describe(item)
        if is_running or model not in seen:
            yield item
        seen.add(model)


def download_row(texts: Texts, item: Download, names: Mapping[str, str]) -> JobRow:
    """
    Describe a download.

    Args:
        texts: The language.
        item: As `vllm_pkg.service.downloads.list_downloads` describes it.
        names: What presets are called, by id.
    """
    model = item["model"] or item["repository"] or ""
    name = names.get(model, model)
    is_running = _is_running(item)
    return JobRow(
        id=item["id"],
        model=model,
        name=name,
        is_check=False,
        is_running=is_running,
        is_well=item["state"] == State.DONE,
        sentence=_download_sentence(texts, item, name),
        label=texts("models.downloads.progress", repository=name),
        percent=_percent(item["bytesDone"], item["bytesTotal"]),
        foreign=_error(item["error"]),
        can_cancel=item["isCancellable"],
        can_resume=item["state"] in _CAN_GO_ON,
    )


def _is_running(item: Download) -> bool:
    return item["state"] in {State.RUNNING, _STALLED}


def _download_sentence(texts: Texts, item: Download, name: str) -> str:
    if not _is_running(item):
        return texts(f"models.downloads.{item['state']}", repository=name)
    shown = item["repository"] or name
    if not item["bytesTotal"]:
        return texts("models.downloads.listing", repository=shown)
    progress = size_of(texts, item["bytesDone"] or 0, item["bytesTotal"])
    if item["state"] == _STALLED:
        key = "models.downloads.stalled"
        return texts(key, repository=shown, progress=progress)
    if not item["bytesPerS"] or item["etaS"] is None:
        return texts("models.downloads.begun", repository=shown, progress=progress)
    return texts(
        "models.downloads.downloading",
        repository=shown,
        progress=progress,
        speed=speed(texts, item["bytesPerS"]),
        left=about(texts, item["etaS"]),
    )


def check_row(texts: Texts, job: Job, total_bytes: int, everything: str) -> JobRow:
    """
    Describe a check.

    Args:
        texts: The language.
        job: The check.
        total_bytes: What a check of all content reads.
        everything: What a check of all models is called.
    """
    name = job.model or everything
    row = JobRow(
        id=job.id,
        model=job.model,
        name=name,
        is_check=True,
        is_running=job.is_running,
        is_well=False,
        can_cancel=job.is_running,
        sentence=texts("models.check.running", name=name),
        label=texts("models.check.progress", name=name),
    )
    if job.is_running:
        return _running_check(texts, row, job.progress or {}, total_bytes)
    return _ended_check(texts, row, job)


def _running_check(
    texts: Texts, row: JobRow, progress: Mapping[str, Any], total_bytes: int
) -> JobRow:
    # What is fetched again counts too, beyond what there is to read.
    done = min(progress.get("bytes_done", 0), total_bytes)
    if not done:
        return row
    told = size_of(texts, done, total_bytes)
    sentence = texts("models.check.running_full", name=row.name, progress=told)
    return replace(row, sentence=sentence, percent=_percent(done, total_bytes))


def _ended_check(texts: Texts, row: JobRow, job: Job) -> JobRow:
    result = job.result
    if result is None:
        sentence = texts(f"models.check.{job.state}", name=row.name)
        return replace(row, sentence=sentence, foreign=_error(job.error))
    damaged = result["first_damaged"]
    if damaged:
        lines = (
            texts(f"models.check.wrong.{item['state']}", file=item["file"])
            for item in damaged[:FILES_SHOWN]
        )
        count = result["damaged"]
        return replace(
            row,
            sentence=texts("models.check.damaged", name=row.name, count=count),
            details=tuple(lines),
            repairs_fully=any(item["state"] in _FOUND_IN_FULL for item in damaged),
        )
    kind = "repaired" if result["repaired"] else "in_order"
    count = result["repaired"] or result["files"]
    sentence = texts(f"models.check.{kind}", name=row.name, count=count)
    return replace(row, sentence=sentence, is_well=True)


def _percent(done: float | None, total: float | None) -> float | None:
    return 100.0 * min(1.0, done / total) if done is not None and total else None


def _error(error: Mapping[str, Any] | None) -> tuple[str, ...]:
    if error is None:
        return ()
    return tuple(
        as_sentence(error[part]) for part in ("message", "hint") if error.get(part)
    )


def content_bytes(models: Sequence[Mapping[str, Any]], model: str) -> int:
    """
    Return how much a check of all content reads.

    Args:
        models: As `vllm_pkg.service.cached_models.cache_json` describes them.
        model: Which one; empty: all.
    """
    return sum(
        revision["sizeBytes"]
        for item in models
        if model in {"", item["model"]}
        for revision in item["revisions"]
    )
