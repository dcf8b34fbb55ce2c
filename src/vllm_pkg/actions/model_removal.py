"""
Removing models from the cache, with regard to what the service needs of them.

Shared by the action and the command line: which repositories and revisions are in use,
and what may therefore not be removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vllm_pkg.clock import BootClock
from vllm_pkg.errors import ModelInUse, StateError
from vllm_pkg.models.cache import Kind
from vllm_pkg.models.deletion import execute_plan
from vllm_pkg.models.download.needs import read_needs
from vllm_pkg.state import records
from vllm_pkg.state.identity import PROC, is_alive
from vllm_pkg.state.store import load_store, observe_store, update_store
from vllm_pkg.state.switch_file import observe_switches

if TYPE_CHECKING:
    from vllm_pkg.models.cache import CachedModel, CachedRevision
    from vllm_pkg.models.deletion import DeletionReport
    from vllm_pkg.models.deletion_plan import DeletionPlan
    from vllm_pkg.models.download.needs import Need
    from vllm_pkg.settings import Settings


@dataclass(frozen=True)
class ModelsInUse:
    """
    What the engine needs of the cache.

    Args:
        needs: Repositories with their revisions; the same one may be there twice.
    """

    needs: tuple[Need, ...]

    def uses(self, model: CachedModel) -> bool:
        """Whether a repository is needed."""
        return bool(self._revisions(model))

    def uses_revision(self, model: CachedModel, revision: CachedRevision) -> bool:
        """
        Whether a revision is needed.

        Where no revision in the cache is the one that the arguments mean, any may be.
        """
        wanted = self._revisions(model)
        named = [item for item in model.revisions if _is_one_of(item, wanted)]
        return bool(wanted) and (revision in named or not named)

    def forbids(self, plan: DeletionPlan) -> bool:
        """Whether a plan would remove what is needed."""
        if plan.commit is None:
            return self.uses(plan.model)
        return any(
            self.uses_revision(plan.model, revision)
            for revision in plan.model.revisions
            if revision.commit == plan.commit
        )

    def _revisions(self, model: CachedModel) -> frozenset[str]:
        if model.kind is not Kind.MODEL:
            return frozenset()
        needs = (need for need in self.needs if need.repo_id == model.repo_id)
        return frozenset(need.revision for need in needs)


def models_in_use(settings: Settings) -> ModelsInUse:
    """
    Find out what is in use, for a look at the service.

    Raises:
        StateError: the selection cannot be read; nothing was changed.
    """
    selected = observe_store(settings).serve_args
    running = running_arguments(settings)
    switching = _needs_of_switch(settings)
    return ModelsInUse(_needs(selected) + _needs(running) + switching)


def check_plan(
    settings: Settings, plan: DeletionPlan, *, may_clear: bool = False
) -> bool:
    """
    Refuse a plan that would remove what is needed.

    Args:
        settings: Where the state is.
        plan: What is to be removed.
        may_clear: Whether the selection may be cleared for it.
    Returns:
        Whether the selection has to be cleared first.
    Raises:
        ModelInUse: the selected or running model needs it, or a switch of models.
        StateError: the selection cannot be read.
    """
    if ModelsInUse(_needs(load_store(settings).serve_args)).forbids(plan):
        if not may_clear:
            raise ModelInUse(f"{plan.model.repo_id} is part of the selected model")
        return True
    if ModelsInUse(_needs(running_arguments(settings))).forbids(plan):
        raise ModelInUse(
            f"{plan.model.repo_id} is being served",
            hint="stop the service, or let it serve the selected model, and try again",
        )
    if ModelsInUse(_needs_of_switch(settings)).forbids(plan):
        raise ModelInUse(
            f"{plan.model.repo_id} is part of a switch of models that is under way",
            hint="wait for its end, or end it: vllm-pkg switch cancel",
        )
    return False


def remove(
    settings: Settings, plan: DeletionPlan, *, may_clear: bool = False
) -> tuple[DeletionReport, bool]:
    """
    Do what a plan says, unless the service needs what it would remove.

    Returns:
        What was done, and whether the selection was cleared for it.
    Raises:
        ModelInUse: the selected or running model needs it, or it is being downloaded.
        DeletionIncomplete: some files could not be removed.
        StateError: the selection cannot be read or cleared.
    """
    has_to_clear = check_plan(settings, plan, may_clear=may_clear)
    if has_to_clear:
        # First, so that an interrupted deletion does not start a new download.
        update_store(settings, lambda store: store.without_model())
    return execute_plan(settings, plan), has_to_clear


def running_arguments(settings: Settings) -> tuple[str, ...]:
    """Return what the engine that runs was started with: the selection may differ."""
    start = records.read_start(settings)
    if start is None or not is_alive(start.process, BootClock().boot_id()):
        return ()
    try:
        content = (PROC / str(start.process.pid) / "cmdline").read_bytes()
    except OSError:
        return ()
    argv = content.decode(errors="replace").split("\0")[:-1]
    if "serve" not in argv:
        return ()
    return tuple(argv[argv.index("serve") + 1 :])


def _needs_of_switch(settings: Settings) -> tuple[Need, ...]:
    try:
        involved = observe_switches(settings).involved
    except StateError:
        # The fetcher sets a damaged file aside, and then there is no switch.
        return ()
    return tuple(need for item in involved for need in _needs(item.serve_args))


def _needs(serve_args: tuple[str, ...]) -> tuple[Need, ...]:
    needs = read_needs(serve_args, lambda name: Path(name).expanduser().is_dir())
    return needs.repositories


def _is_one_of(revision: CachedRevision, wanted: frozenset[str]) -> bool:
    return any(
        name in revision.refs or revision.commit.startswith(name) for name in wanted
    )
