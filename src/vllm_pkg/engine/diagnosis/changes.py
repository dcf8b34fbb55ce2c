"""
Changes of settings that mend a cause: computing them, and applying them. Pure.

They are applied to arguments that the acceptor has accepted: names are exact there, and
values that begin with ``-`` follow a ``=``.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING

from vllm_pkg.engine.options import Values
from vllm_pkg.state.records import SettingChange
from vllm_pkg.state.store import EnvironmentVariable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.engine.diagnosis.rules import ChangeRule
    from vllm_pkg.engine.options import Option

# Arguments as the acceptor returned them, and the engine's variables.
Selection = tuple[tuple[str, ...], tuple[EnvironmentVariable, ...]]


def plan_changes(
    rules: Sequence[ChangeRule], values: Mapping[str, str]
) -> tuple[SettingChange, ...]:
    """
    Compute the changes of one cause.

    Args:
        rules: What the table says.
        values: What the log said, by name.
    Returns:
        All of them, or none when one of them would not help.
    """
    changes = [_plan_change(rule, values) for rule in rules]
    return tuple(change for change in changes if change is not None and all(changes))


def describe_changes(changes: Sequence[SettingChange]) -> str:
    """Return changes in words, such as ``set --max-model-len to 24576``."""
    return " and ".join(_describe(change) for change in changes)


def apply_changes(
    arguments: tuple[str, ...],
    environment: tuple[EnvironmentVariable, ...],
    changes: Sequence[SettingChange],
    options: Mapping[str, Option],
) -> tuple[tuple[str, ...], tuple[EnvironmentVariable, ...]]:
    """
    Apply changes to what the engine is started with.

    Args:
        arguments: What stands after ``vllm serve``, as the acceptor returned it.
        environment: The engine's variables.
        changes: What to change; an option is replaced in all its spellings.
        options: The table, from `load_options`.
    Returns:
        The new arguments and variables.
    """
    for change in changes:
        if change.is_option:
            arguments = _without_option(arguments, options[change.name])
            if not change.is_removed:
                value = () if change.value is None else (change.value,)
                arguments = (*arguments, change.name, *value)
        else:
            kept = (item for item in environment if item.name != change.name)
            environment = tuple(kept)
            if change.value is not None:
                new = EnvironmentVariable(change.name, change.value)
                environment = (*environment, new)
    return arguments, environment


def useful_changes(
    arguments: tuple[str, ...],
    environment: tuple[EnvironmentVariable, ...],
    changes: Sequence[SettingChange],
    options: Mapping[str, Option],
) -> tuple[SettingChange, ...]:
    """Return those of some changes that change anything; see `apply_changes`."""
    before = (arguments, environment)
    return tuple(
        change
        for change in changes
        if apply_changes(*before, (change,), options) != before
    )


def options_with_value(
    arguments: Sequence[str], names: Sequence[str], value: str
) -> tuple[str, ...]:
    """
    Return which of some options have a value.

    Args:
        arguments: In the form in which the acceptor returns them.
        names: Options that take one value and have one name.
        value: The value.
    """
    pairs = {*itertools.pairwise(arguments)}
    return tuple(
        name
        for name in names
        if (name, value) in pairs or f"{name}={value}" in arguments
    )


def fingerprint(
    arguments: Sequence[str], environment: Sequence[EnvironmentVariable]
) -> str:
    """Return a text that differs for each selection, and tells nothing about it."""
    document = [list(arguments), [item.as_json() for item in environment]]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def _plan_change(rule: ChangeRule, values: Mapping[str, str]) -> SettingChange | None:
    if rule.remove is not None:
        return SettingChange(rule.remove, is_removed=True)
    name = rule.set or ""
    if not rule.is_number:
        value = None if rule.value is None else rule.value.format_map(values)
        return SettingChange(name, value)
    try:
        number = _compute(rule, values)
    except DecimalException:
        return None
    return None if number is None else SettingChange(name, f"{number:f}")


def _compute(rule: ChangeRule, values: Mapping[str, str]) -> Decimal | None:
    """Return the number that a rule asks for; None when it would not help."""
    if rule.quotient is not None:
        over, under = (Decimal(values.get(part, part)) for part in rule.quotient)
        number = over / under
    else:
        number = Decimal((rule.value or "").format_map(values))
    number *= Decimal(rule.share or 1)
    if rule.round_down_to is not None:
        step = Decimal(rule.round_down_to)
        number = number // step * step
    if rule.round_up_to_one_of:
        enough = [item for item in rule.round_up_to_one_of if item >= number]
        if not enough:
            return None
        number = Decimal(min(enough))
    if rule.even_parts_of is not None:
        number = _even_parts(Decimal(values[rule.even_parts_of]), number)
    if rule.least is not None and number < Decimal(rule.least):
        return None
    if rule.most is not None and number > Decimal(rule.most):
        return None
    return number


def _even_parts(amount: Decimal, most: Decimal) -> Decimal:
    """Return the largest power of two that divides an amount evenly, up to *most*."""
    parts = Decimal(1)
    while 2 * parts <= most and amount % (2 * parts) == 0:
        parts *= 2
    return parts


def _describe(change: SettingChange) -> str:
    if change.is_removed:
        return f"remove {change.name}"
    if change.value is None:
        return f"add {change.name}"
    return f"set {change.name} to {change.value}"


def _without_option(arguments: tuple[str, ...], option: Option) -> tuple[str, ...]:
    kept: list[str] = []
    is_taken = False
    for argument in arguments:
        if argument.startswith("-"):
            name, has_value, _ = argument.partition("=")
            # A dotted name sets one key of the option's JSON object.
            is_taken = name.partition(".")[0] in option.names
            if is_taken:
                # Its values follow, unless there are none or one stands in it.
                is_open = not has_value and option.values is not Values.NONE
                drops = option.values if is_open else Values.NONE
                continue
        elif is_taken and drops is not Values.NONE:
            drops = Values.NONE if drops is not Values.SEVERAL else drops
            continue
        kept.append(argument)
    return tuple(kept)
