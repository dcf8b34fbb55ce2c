"""Everything that can be done for the next model while the present one serves."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.errors import StateError
from vllm_pkg.state.credentials import ensure_key
from vllm_pkg.state.store import Store
from vllm_pkg.state.switch_file import SwitchProgress, write_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.clock import Clock
    from vllm_pkg.models.download.progress import Transfer
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.switch import Switch

PUBLISH_S: Final = 0.5


def prepare(
    settings: Settings, switch: Switch, is_cancelled: Callable[[], bool]
) -> None:
    """
    Check the arguments and whether it fits, and fetch and check the model of a switch.

    Args:
        settings: Settings in force.
        switch: Which one.
        is_cancelled: Asked now and then; true ends it, what has arrived stays.
    Raises:
        ServiceError: it cannot be prepared, or was cancelled; the class says why.
    """
    # Only when there is something to do: an idle fetcher is small.
    from vllm_pkg.engine.apart import call_apart  # noqa: PLC0415
    from vllm_pkg.engine.command import model_argument  # noqa: PLC0415
    from vllm_pkg.engine.daemon import check_model, plan_serving  # noqa: PLC0415
    from vllm_pkg.engine.fetching import is_from_hub  # noqa: PLC0415
    from vllm_pkg.engine.fit_check import (  # noqa: PLC0415
        assess_here,
        require_run,
    )

    store = switch.target.put_into(Store())
    plan = plan_serving(settings, store, ensure_key(settings))
    check_model(settings, plan.store.serve_args)
    # It may ask the Hub, with a library that would stay in memory.
    require_run(
        call_apart(assess_here, settings, plan.store.serve_args, store.serve_env)
    )
    environ = plan.command.environment(os.environ) if plan.command else {}
    model = model_argument(plan.store.serve_args)
    if not is_from_hub(model):
        from vllm_pkg.models.download import folder_check, needs  # noqa: PLC0415

        folder = Path(model).expanduser()
        if folder.is_dir():
            need = needs.read_model_need(plan.store.serve_args)
            folder_check.check_folder(folder, need)
        return
    from vllm_pkg.models.download.ensure import ensure_models  # noqa: PLC0415

    publisher = Publisher(settings, switch.id)
    ensure_models(
        *(settings, plan.store.serve_args, environ, publisher, is_cancelled),
        # Damage must show while the present model serves, and not after it has ended.
        is_checked=True,
    )


class Publisher:
    """
    Writes down how far a download is, now and then.

    Args:
        settings: Where it is written.
        switch_id: Whose download it is.
        clock: Boot time.
    """

    def __init__(
        self, settings: Settings, switch_id: str, clock: Clock | None = None
    ) -> None:
        self._clock = clock or BootClock()
        self._settings = settings
        self._switch_id = switch_id
        self._due_s = float("-inf")

    def __call__(self, transfer: Transfer) -> None:
        """Take how far it is."""
        now_s = self._clock.now_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + PUBLISH_S
        progress = SwitchProgress(
            id=self._switch_id,
            repository=transfer.repository,
            bytes_done=transfer.bytes_done,
            bytes_total=transfer.bytes_total,
            bytes_per_s=round(transfer.bytes_per_s, 1),
            eta_s=None if transfer.eta_s is None else round(transfer.eta_s, 1),
            is_stalled=transfer.is_stalled,
            # Rounded down: it must not lie ahead for who looks at once.
            updated_s=math.floor(now_s * 100) / 100,
        )
        # A full disk is told by the download itself, and better.
        with contextlib.suppress(StateError):
            write_progress(self._settings, progress)
