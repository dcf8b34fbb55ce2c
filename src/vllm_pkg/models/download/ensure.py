"""
Having in the cache whatever arguments of ``vllm serve`` name, before the engine starts.

What is complete needs no network at all. Else the Hub is asked what there is, the disk
is planned for everything together, and only then bytes are fetched.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.models.download.completeness import is_complete
from vllm_pkg.models.download.errors import OfflineIncomplete
from vllm_pkg.models.download.examination import Examiner, Part
from vllm_pkg.models.download.fetching import Fetcher
from vllm_pkg.models.download.mending import Mender
from vllm_pkg.models.download.needs import Needs, Role, needs_of_config, read_needs
from vllm_pkg.models.download.transfer import Circumstances

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vllm_pkg.models.download.needs import Need
    from vllm_pkg.models.download.progress import Transfer
    from vllm_pkg.settings import Settings

OFFLINE: Final = "HF_HUB_OFFLINE"
MODELSCOPE: Final = "VLLM_USE_MODELSCOPE"
_TOKENS: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_YES: Final = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True)
class DownloadReport:
    """
    What was done.

    Args:
        is_complete: Whether the engine will need no network for models at all.
        bytes_fetched: What was added to the disk, but for the few small files that had
            to be read to know what is needed.
        repositories: The repositories that are in the cache for these arguments.
    """

    is_complete: bool
    bytes_fetched: int
    repositories: tuple[str, ...]


def ensure_models(
    settings: Settings,
    serve_args: tuple[str, ...],
    environ: Mapping[str, str],
    on_progress: Callable[[Transfer], None],
    is_cancelled: Callable[[], bool],
    *,
    is_checked: bool = False,
) -> DownloadReport:
    """
    Fetch what is missing of all models, tokenizers and adapters that arguments name.

    Must be called by a thread that lives on meanwhile: the program that transfers ends
    with it.

    Args:
        settings: Where the cache is, and when a transfer counts as stalled.
        serve_args: What stands after ``vllm serve``.
        environ: The engine's environment: its Hugging Face token is used, and
            HF_HUB_OFFLINE is heeded.
        on_progress: Told twice a second how far it is.
        is_cancelled: Asked twice a second whether to end; what has arrived is kept.
        is_checked: Whether what is there is looked through for damage, and mended.
    Returns:
        What was done.
    Raises:
        DownloadError: something is missing and cannot be fetched; the class says why.
    """
    needs = read_needs(serve_args, lambda name: Path(name).expanduser().is_dir())
    if _is_set(environ, MODELSCOPE):
        # Models then come from elsewhere, and the engine fetches them itself.
        return DownloadReport(is_complete=False, bytes_fetched=0, repositories=())
    circumstances = make_circumstances(settings, environ, is_cancelled)
    return ensure_needs(
        settings, needs, circumstances, on_progress, is_checked=is_checked
    )


def ensure_needs(
    settings: Settings,
    needs: Needs,
    circumstances: Circumstances,
    on_progress: Callable[[Transfer], None],
    *,
    is_refresh: bool = False,
    is_checked: bool = False,
) -> DownloadReport:
    """
    Fetch what is missing of some repositories.

    Args:
        settings: Where the cache is.
        needs: The repositories.
        circumstances: Under what a transfer runs.
        on_progress: Told twice a second how far it is.
        is_refresh: Whether the Hub is asked for newer commits of what is complete, too.
        is_checked: Whether what is there is looked through for damage, and mended.
    Raises:
        DownloadError: something is missing and cannot be fetched; the class says why.
    """
    examiner = Examiner(settings, circumstances, on_progress)
    parts: list[Part] = []
    waiting = list(needs.repositories)
    is_offline = _is_set(circumstances.environ, OFFLINE)
    while waiting:
        need = waiting.pop(0)
        if is_offline and not is_complete(settings, need):
            raise OfflineIncomplete(
                f"{need.repo_id} is not complete in the cache, and {OFFLINE} is set"
            )
        part = examiner.examine(need, is_refresh=is_refresh and not is_offline)
        parts.append(part)
        known = {item.need for item in parts} | set(waiting)
        waiting += [extra for extra in _named_by(part) if extra not in known]
    fetched = Fetcher(settings, circumstances, on_progress).fetch_all(parts)
    if is_checked:
        mender = Mender(settings, circumstances, on_progress, is_offline=is_offline)
        fetched += mender.mend(parts)
    return DownloadReport(
        is_complete=needs.is_all,
        bytes_fetched=fetched,
        repositories=tuple(dict.fromkeys(part.need.repo_id for part in parts)),
    )


def make_circumstances(
    settings: Settings, environ: Mapping[str, str], is_cancelled: Callable[[], bool]
) -> Circumstances:
    """Return the circumstances of a real transfer."""
    token = next((environ[name] for name in _TOKENS if environ.get(name)), None)
    return Circumstances(
        cache=settings.models_dir,
        environ=environ,
        token=token,
        stall_timeout_s=settings.download_stall_timeout_s,
        clock=BootClock(),
        wait=time.sleep,
        is_cancelled=is_cancelled,
    )


def _named_by(part: Part) -> tuple[Need, ...]:
    if part.need.role is not Role.MODEL:
        return ()
    return needs_of_config(part.need, part.read_config())


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in _YES
