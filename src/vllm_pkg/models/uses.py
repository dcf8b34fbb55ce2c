"""
When the engine last used each repository of the cache, as this package recorded it.

Access times of files cannot tell it: whoever reads a file moves them, and a file system
may not keep them at all. The record can be rebuilt: a damaged one reads as empty, and
file times stand in for what it does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateError
from vllm_pkg.models.download.needs import read_needs
from vllm_pkg.state import atomic, documents, locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vllm_pkg.settings import Settings

KEPT_MAX: Final = 500
_USES: Final = "uses"


def read_uses(settings: Settings) -> dict[str, float]:
    """Return when each repository was last used, in seconds since 1970."""
    try:
        document = documents.observe_object(settings.uses_file) or {}
        return {str(name): float(at_s) for name, at_s in document[_USES].items()}
    except (StateError, KeyError, TypeError, ValueError, AttributeError):
        return {}


def keep_use(settings: Settings, repositories: Iterable[str], at_s: float) -> None:
    """
    Record that repositories are being used; those used longest ago are dropped.

    Args:
        settings: Where the record is.
        repositories: Such as ``org/name``.
        at_s: When, in seconds since 1970.
    Raises:
        StateWriteFailed: it cannot be written.
        StateLocked: other programs write it for longer than is reasonable.
    """
    file = settings.uses_file
    atomic.make_folder(file.parent)
    with locks.locked(file.with_suffix(".lock")):
        uses = read_uses(settings) | dict.fromkeys(repositories, at_s)
        newest = sorted(uses.items(), key=lambda use: use[1])[-KEPT_MAX:]
        content: dict[str, Any] = {_USES: dict(newest)}
        atomic.write_file(file, documents.format_object(content))


def used_repositories(
    serve_args: tuple[str, ...], is_folder: Callable[[str], bool]
) -> tuple[str, ...]:
    """
    Return the repositories that a start with these arguments uses.

    Args:
        serve_args: What stands after ``vllm serve``.
        is_folder: Whether a name is a folder on this machine.
    """
    needs = read_needs(serve_args, is_folder)
    return tuple(dict.fromkeys(need.repo_id for need in needs.repositories))
