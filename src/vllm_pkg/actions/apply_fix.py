"""Apply Fix: makes the change of settings that mends the last failure, in one click."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vllm_pkg.actions.protocol import ActionInput, ActionOutcome, ActionResult
from vllm_pkg.engine.acceptor import Accepted, examine_arguments
from vllm_pkg.engine.diagnosis.changes import (
    apply_changes,
    describe_changes,
    fingerprint,
)
from vllm_pkg.engine.options import load_options
from vllm_pkg.engine.reserved import reserved_environment_problem
from vllm_pkg.errors import NotAllowedInState
from vllm_pkg.state.records import read_failure
from vllm_pkg.state.store import (
    CUSTOM,
    EnvironmentVariable,
    ModelSelection,
    observe_store,
    update_store,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.actions.protocol import ActionContext
    from vllm_pkg.engine.options import Option
    from vllm_pkg.state.records import FailureRecord, SettingChange
    from vllm_pkg.state.store import Store


@dataclass(frozen=True)
class Mended:
    """
    A selection with the change made.

    Args:
        serve_args: Arguments after ``vllm serve``.
        serve_env: Environment variables of the engine.
    """

    serve_args: tuple[str, ...]
    serve_env: tuple[EnvironmentVariable, ...]

    @property
    def selection(self) -> ModelSelection:
        """What the form shows from now on: exactly what is served."""
        return ModelSelection(CUSTOM, shlex.join(self.serve_args), self.serve_env)


class ApplyFix:
    """Changes the stored arguments as the last failure proposes."""

    id: ClassVar[str] = "apply-fix"
    has_input: ClassVar[bool] = False

    def input(self, context: ActionContext) -> ActionInput:  # noqa: ARG002  # protocol
        """Return the form: there is nothing to fill in."""
        return ActionInput({})

    def run(self, context: ActionContext, value: dict[str, Any]) -> ActionOutcome:  # noqa: ARG002  # protocol
        """
        Make the change.

        Raises:
            NotAllowedInState: there is nothing to mend, or the selection is another
                one than the one that failed.
            StateError: the selection cannot be read or written.
        """
        failure = read_failure(context.settings)
        if failure is None or not failure.changes:
            raise NotAllowedInState(
                "the last failure proposes no change",
                hint="see what happened: vllm-pkg status",
            )

        def change(store: Store) -> Store:
            mended = mend(store, failure)
            if mended is None:
                raise NotAllowedInState(
                    "the selection has changed since the failure",
                    hint="start the service with what is selected now",
                )
            return store.with_model(
                mended.serve_args, mended.serve_env, mended.selection
            )

        update_store(context.settings, change)
        done = describe_changes(failure.changes)
        message = (
            f"Done: {done}. The arguments now stand in the form of Set Model, as"
            " Custom."
        )
        return ActionOutcome(ActionResult("Fix Applied", message), needs_restart=True)


def mend(store: Store, failure: FailureRecord) -> Mended | None:
    """
    Return the selection with the changes of a failure, or None.

    None: the failure proposes none, or it was another selection that failed, or the
    changes change nothing, or the result could not be served. Pure.
    """
    options = load_options()
    present = examine_arguments(store.serve_args, options)
    if not failure.changes or not isinstance(present, Accepted):
        return None
    if failure.selection != fingerprint(present.arguments, store.serve_env):
        return None
    if not all(_is_allowed(change, options) for change in failure.changes):
        return None
    old = (present.arguments, store.serve_env)
    arguments, environment = apply_changes(*old, failure.changes, options)
    mended = examine_arguments(arguments, options)
    if (arguments, environment) == old or not isinstance(mended, Accepted):
        return None
    return Mended(mended.arguments, environment)


def _is_allowed(change: SettingChange, options: Mapping[str, Option]) -> bool:
    """Whether a change names what exists; reserved options the acceptor refuses."""
    if change.is_option:
        return change.name in options
    return reserved_environment_problem(change.name) is None


def describe_offer(context: ActionContext) -> str | None:
    """
    Return what the action would do now, one sentence, or None when it can do nothing.

    Raises:
        StateError: store.json cannot be read.
    """
    failure = read_failure(context.settings)
    if failure is None or mend(observe_store(context.settings), failure) is None:
        return None
    changes = describe_changes(failure.changes)
    return f"Mend the last failure: {changes}. {failure.explanation or ''}".rstrip()
