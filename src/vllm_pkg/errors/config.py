"""What a person configured or installed cannot work."""

from __future__ import annotations

from vllm_pkg.errors.base import ServiceError


class ConfigError(ServiceError):
    """Something that a person configured cannot work."""

    code = "config"
    exit_code = 78
    http_status = 422
    default_hint = "correct the configuration"


class SettingsInvalid(ConfigError):
    """An environment variable or option of this program has a wrong value."""

    code = "settings-invalid"


class PackageDataInvalid(ConfigError):
    """A data file of the package itself (manifest, variant, preset) is wrong."""

    code = "package-data-invalid"
    default_hint = "reinstall the package"


class NoModelSelected(ConfigError):
    """A model is needed and none is selected."""

    code = "no-model-selected"
    default_hint = "select one: vllm-pkg action run set-model"


class PresetUnknown(ConfigError):
    """There is no preset with that id."""

    code = "preset-unknown"
    default_hint = "see vllm-pkg preset list; a repository is named org/name"


class PresetDoesNotFit(ConfigError):
    """The preset exists, and this machine cannot run it."""

    code = "preset-does-not-fit"
    default_hint = "choose one that fits: vllm-pkg preset list"


class ModelDoesNotFit(ConfigError):
    """
    A model with its arguments needs more than this machine has.

    Args:
        message: What is missing.
        hint: What to do about it.
        options: Options with the values that would make it fit, all together; empty
            when nothing would.
    """

    code = "model-does-not-fit"
    default_hint = "choose a smaller one, or one with fewer bits: vllm-pkg preset list"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        options: tuple[tuple[str, str | None], ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.options = options


class ModelFolderMissing(ConfigError):
    """A model was named by its folder, and no such folder with a model exists."""

    code = "model-folder-missing"
    default_hint = "give the path of a folder with a config.json, or a repository"


class ModelFolderDamaged(ConfigError):
    """A model's folder is there, and its weights are not whole."""

    code = "model-folder-damaged"
    default_hint = "copy the model into the folder again, or choose another one"


class LocalModelUnavailable(ConfigError):
    """The Python package that carries a local model is missing or damaged."""

    code = "local-model-unavailable"
    default_hint = "install the package that carries it"


class EngineNotInstalled(ConfigError):
    """The program ``vllm`` is not where this installation expects it."""

    code = "engine-not-installed"
    default_hint = "install it: make setup"


class PortalNotInstalled(ConfigError):
    """The libraries of the portal are not installed."""

    code = "portal-not-installed"
    default_hint = 'install them: pip install "vllm-pkg[host]"'
