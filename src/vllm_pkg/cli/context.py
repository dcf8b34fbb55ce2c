"""What every command needs: the settings in force."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vllm_pkg.errors import SettingsInvalid
from vllm_pkg.settings import load_settings
from vllm_pkg.settings_table import environment_name

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings


def current_settings() -> Settings:
    """
    Return the settings of this process's environment.

    Raises:
        SettingsInvalid: a variable has a wrong value.
    """
    return load_settings(os.environ)


def overridden_settings(options: dict[str, str | None]) -> Settings:
    """
    Set settings for this process and all it starts, and return those in force.

    Args:
        options: Values by name of the setting, which is that of the option too; None
            leaves a setting alone.
    Raises:
        SettingsInvalid: a value is wrong; the message names what was given.
    """
    given = {name: value for name, value in options.items() if value is not None}
    os.environ.update({environment_name(name): given[name] for name in given})
    try:
        return current_settings()
    except SettingsInvalid as error:
        message = error.message
        for name in given:
            message = message.replace(environment_name(name), f"--{name}")
        raise SettingsInvalid(message, hint=error.hint) from error
