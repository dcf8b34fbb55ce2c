"""
Apply Fix: makes the change of settings that mends the last failure, in one click.

What failed is what is selected, or the target of a switch that was given up or taken
back; the latter is then switched to again, with the change made.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vllm_pkg.actions.prepared_switch import ask_for_switch, is_prepared_first
from vllm_pkg.actions.protocol import ActionInput, ActionOutcome, ActionResult
from vllm_pkg.engine.acceptor import Accepted, examine_arguments
from vllm_pkg.engine.command import served_name
from vllm_pkg.engine.diagnosis.changes import (
    apply_changes,
    describe_changes,
    fingerprint,
)
from vllm_pkg.engine.options import load_options
from vllm_pkg.engine.reserved import reserved_environment_problem
from vllm_pkg.engine.start_failure import selection_of
from vllm_pkg.errors import NotAllowedInState
from vllm_pkg.state.records import read_failure
from vllm_pkg.state.store import (
    CUSTOM,
    EnvironmentVariable,
    ModelSelection,
    observe_store,
    update_store,
)
from vllm_pkg.state.switch import Selected
from vllm_pkg.state.switch_file import drop_switches, observe_switches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.actions.protocol import ActionContext
    from vllm_pkg.engine.diagnosis.changes import Selection
    from vllm_pkg.engine.options import Option
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import FailureRecord, SettingChange
    from vllm_pkg.state.store import Store
    from vllm_pkg.state.switch import Switch


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

    @property
    def selected(self) -> Selected:
        """The same, as a switch takes it."""
        return Selected(self.serve_args, self.serve_env, self.selection)


class ApplyFix:
    """Changes the arguments that failed as their failure proposes."""

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
        if not _is_offered(context.settings, failure):
            again = find_failed_switch(context.settings)
            if again is not None:
                return _switch_again(context, *again)
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
            return mended.selected.put_into(store)

        update_store(context.settings, change)
        return _applied(failure.changes)


def mend(store: Store, failure: FailureRecord) -> Mended | None:
    """
    Return the selection with the changes of a failure, or None.

    None: the failure proposes none, or it was another selection that failed, or the
    changes change nothing, or the result could not be served. Pure.
    """
    present = selection_of(store)
    if present is None or failure.selection != fingerprint(*present):
        return None
    return _mend(present, failure.changes)


def find_failed_switch(settings: Settings) -> tuple[Switch, Mended] | None:
    """
    Return the last switch with its target mended, if that can be switched to again.

    None: it did not fail, or no change helps it, or something else is selected since.

    Raises:
        StateError: store.json or switch.json cannot be read.
    """
    switch = observe_switches(settings).mendable
    store = observe_store(settings)
    if switch is None or Selected.of(store) != switch.previous:
        return None
    target = selection_of(switch.target.put_into(store))
    mended = None if target is None else _mend(target, switch.changes)
    return None if mended is None else (switch, mended)


def _switch_again(
    context: ActionContext, switch: Switch, mended: Mended
) -> ActionOutcome:
    if is_prepared_first(context):
        done = describe_changes(switch.changes)
        follows = ask_for_switch(context.settings, mended.selected)
        result = ActionResult("Switch Begun", f"Done: {done}. {follows}")
        return ActionOutcome(result)
    drop_switches(context.settings)
    update_store(context.settings, mended.selected.put_into)
    return _applied(switch.changes)


def _applied(changes: Sequence[SettingChange]) -> ActionOutcome:
    message = (
        f"Done: {describe_changes(changes)}. The arguments now stand in the form of Set"
        " Model, as Custom."
    )
    return ActionOutcome(ActionResult("Fix Applied", message), needs_restart=True)


def _is_offered(settings: Settings, failure: FailureRecord | None) -> bool:
    return failure is not None and mend(observe_store(settings), failure) is not None


def _mend(present: Selection, changes: Sequence[SettingChange]) -> Mended | None:
    options = load_options()
    if not changes or not all(_is_allowed(change, options) for change in changes):
        return None
    arguments, environment = apply_changes(*present, changes, options)
    mended = examine_arguments(arguments, options)
    if (arguments, environment) == present or not isinstance(mended, Accepted):
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
        StateError: store.json or switch.json cannot be read.
    """
    failure = read_failure(context.settings)
    if failure is not None and _is_offered(context.settings, failure):
        changes = describe_changes(failure.changes)
        return f"Mend the last failure: {changes}. {failure.explanation or ''}".rstrip()
    again = find_failed_switch(context.settings)
    if again is None:
        return None
    switch, mended = again
    changes = describe_changes(switch.changes)
    return (
        f"Switch to {served_name(mended.serve_args)} again, and {changes}."
        f" {switch.reason or ''}"
    ).rstrip()
