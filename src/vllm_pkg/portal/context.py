"""What every part of the portal is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_pkg.portal.feed import StateFeed
    from vllm_pkg.settings import Settings


@dataclass(frozen=True)
class Portal:
    """
    The running portal.

    Args:
        settings: Settings in force.
        feed: The state of the service, looked at once a second for everybody.
    """

    settings: Settings
    feed: StateFeed
