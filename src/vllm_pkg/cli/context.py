"""What every command needs: the settings in force."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vllm_pkg.settings import environment_name, load_settings

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings


def current_settings() -> Settings:
    """
    Return the settings of this process's environment.

    Raises:
        SettingsInvalid: a variable has a wrong value.
    """
    return load_settings(os.environ)


def override_setting(name: str, value: str | None) -> None:
    """Set a setting for this process and all it starts; None leaves it alone."""
    if value is not None:
        os.environ[environment_name(name)] = value
