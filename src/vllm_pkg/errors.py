"""
Every error that reaches a person, a caller of the CLI or a client of the API.

::

    ServiceError
     +- UsageError(2, 400)       InvalidArgument, UnknownAction(404), NotFound(404),
     |                           NotPermitted(403), NotAllowedInState(409);
     |                           in portal/access/errors.py: ContentTypeRefused(415);
     |                           in portal/api/streams.py: TooManyStreams(75, 429)
     +- ConfigError(78, 422)     SettingsInvalid, PackageDataInvalid, NoModelSelected,
     |                           PresetUnknown, PresetDoesNotFit, ModelDoesNotFit,
     |                           ModelFolderMissing, ModelFolderDamaged,
     |                           LocalModelUnavailable, EngineNotInstalled,
     |                           PortalNotInstalled
     +- StateError(74, 500)      StateCorrupt, StateUnreadable, StateWriteFailed,
     |                           StateLocked(75, 409), InsecurePermissions(77)
     +- AuthError(77, 401)       in portal/access/errors.py: MissingToken, WrongToken,
     |                           OriginRefused(403), HostRefused(421), RateLimited(429)
     +- EngineError(70, 502)     EngineStartFailed(3), PortInUse(75, 409),
     |                           EngineStopError, HostNotRunning(75, 409),
     |                           InstallFailed
     +- CacheError(73, 409)      ModelInUse, NotInCache, DeletionIncomplete
     +- DownloadError(70, 502)   in models/download/errors.py: DownloadCorrupt,
     |                           HubUnreachable(75), HubRateLimited(75, 429),
     |                           DownloadStalled(75), DownloadCancelled(75, 409),
     |                           DiskFull(73, 507), CacheUnwritable(73, 500),
     |                           RepositoryNotFound(78, 404), RepositoryHidden(77, 401),
     |                           RevisionNotFound(78, 404), NoWeights(78, 422),
     |                           FileNotInRepository(78, 404), HubRefused(77, 403),
     |                           LicenceNotAccepted(77, 403), HubTokenRefused(77, 401),
     |                           OfflineIncomplete(78, 409)
     +- BackupError(74, 422)     in service/backup/errors.py: BackupDamaged,
     |                           BackupNewer(78, 409), BackupTooLarge(73, 507),
     |                           ServiceIsRunning(77, 409)
     +- OutputFailed(74, 500)

The numbers are (exit code, HTTP status); a class without numbers has its parent's.
This module uses the standard library only, so that everything may import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


def as_sentence(text: str) -> str:
    """Return the message or hint of an error as a sentence."""
    # The name of a repository stays as it is.
    is_word = text.partition(" ")[0].rstrip(",:;").isalpha()
    first = text[:1].upper() if is_word else text[:1]
    return f"{first}{text[1:].rstrip('.')}."


class ServiceError(Exception):
    """
    Root of all errors of this package.

    Args:
        message: What went wrong, one sentence without a final full stop.
        hint: What to do about it; replaces the class's own hint.
    """

    code: ClassVar[str] = "service-error"
    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500
    default_hint: ClassVar[str] = "see the service logs"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    def as_json(self) -> dict[str, dict[str, object]]:
        """Return the one JSON shape of an error: ``{"error": {...}}``."""
        return {
            "error": {"code": self.code, "message": self.message, "hint": self.hint}
        }


class UsageError(ServiceError):
    """The caller asked for something that cannot be understood."""

    code = "usage"
    exit_code = 2
    http_status = 400
    default_hint = "see vllm-pkg --help"


@dataclass(frozen=True)
class FieldProblem:
    """
    One thing wrong with one field of a form.

    Args:
        path: Keys from the form's root to the field, such as ``("config", "args")``.
        message: What is wrong and what was expected.
    """

    path: tuple[str, ...]
    message: str


class InvalidArgument(UsageError):
    """A value was refused; ``fields`` says which and why."""

    code = "invalid-argument"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        fields: tuple[FieldProblem, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.fields = fields

    def as_json(self) -> dict[str, dict[str, object]]:
        """Return the error shape with the fields that are wrong."""
        document = super().as_json()
        if self.fields:
            document["error"]["fields"] = [
                {"path": list(field.path), "message": field.message}
                for field in self.fields
            ]
        return document


class UnknownAction(UsageError):
    """There is no action with that id."""

    code = "unknown-action"
    http_status = 404
    default_hint = "see vllm-pkg action list"


class NotFound(UsageError):
    """What was named does not exist, or not any more."""

    code = "not-found"
    http_status = 404
    default_hint = "list what there is"


class NotPermitted(UsageError):
    """It exists, and nobody may do that with it."""

    code = "not-permitted"
    http_status = 403


class NotAllowedInState(UsageError):
    """The action exists but may not run while the service is in this state."""

    code = "not-allowed-in-state"
    http_status = 409


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
    default_hint = "see vllm-pkg preset list"


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


class StateError(ServiceError):
    """A file that the service keeps could not be used."""

    code = "state"
    exit_code = 74
    http_status = 500


class StateCorrupt(StateError):
    """A state file holds something else than it should; it was set aside."""

    code = "state-corrupt"


class StateUnreadable(StateError):
    """A state file exists and cannot be read; it was left as it is."""

    code = "state-unreadable"
    default_hint = "check its owner and permissions, and the disk"


class StateWriteFailed(StateError):
    """A state file could not be written; the old one is still whole."""

    code = "state-write-failed"
    default_hint = "check free disk space and permissions of the folder"


class StateLocked(StateError):
    """Another process holds the state for longer than is reasonable."""

    code = "state-locked"
    exit_code = 75
    http_status = 409
    default_hint = "try again in a moment"


class InsecurePermissions(StateError):
    """Other users can read a secret, and that cannot be changed."""

    code = "insecure-permissions"
    exit_code = 77


class EngineError(ServiceError):
    """The engine, or the host that runs it, did not do what it should."""

    code = "engine"
    exit_code = 70
    http_status = 502


class EngineStartFailed(EngineError):
    """The engine cannot start, and trying again would not help."""

    code = "engine-start-failed"
    exit_code = 3


class PortInUse(EngineError):
    """Another program listens on the port of the API."""

    code = "port-in-use"
    exit_code = 75
    http_status = 409


class EngineStopError(EngineError):
    """A process of the engine survived SIGKILL."""

    code = "engine-stop"


class HostNotRunning(EngineError):
    """A command needs the running service, and it is not running."""

    code = "host-not-running"
    exit_code = 75
    http_status = 409
    default_hint = "start it: vllm-pkg run"


class InstallFailed(EngineError):
    """The engine could not be installed on this machine."""

    code = "install-failed"
    default_hint = "see the log and run it again: make setup"


class CacheError(ServiceError):
    """The model cache could not be changed as asked."""

    code = "cache"
    exit_code = 73
    http_status = 409


class ModelInUse(CacheError):
    """The model is the selected one."""

    code = "model-in-use"
    default_hint = "select another model first, or tell it to clear the selection"


class NotInCache(CacheError):
    """No such model is in the cache."""

    code = "not-in-cache"
    default_hint = (
        "the form lists what is there: vllm-pkg action input delete-model-cache"
    )


class DeletionIncomplete(CacheError):
    """
    Some files of the model could not be deleted.

    Args:
        message: What could not be deleted.
        actual_bytes: Bytes really freed before the failure.
    """

    code = "deletion-incomplete"
    default_hint = "check the permissions of the folder and run it again"

    def __init__(self, message: str, *, actual_bytes: int) -> None:
        super().__init__(message)
        self.actual_bytes = actual_bytes


class OutputFailed(ServiceError):
    """What the command prints could not be written to where it was sent."""

    code = "output-failed"
    exit_code = 74
    default_hint = "free some disk space, or send the output elsewhere"
