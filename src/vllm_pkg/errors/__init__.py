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
This package uses the standard library only, so that everything may import it.
"""

from __future__ import annotations

from vllm_pkg.errors.base import (
    OutputFailed,
    ServiceError,
    as_sentence,
)
from vllm_pkg.errors.cache import (
    CacheError,
    DeletionIncomplete,
    ModelInUse,
    NotInCache,
)
from vllm_pkg.errors.config import (
    ConfigError,
    EngineNotInstalled,
    LocalModelUnavailable,
    ModelDoesNotFit,
    ModelFolderDamaged,
    ModelFolderMissing,
    NoModelSelected,
    PackageDataInvalid,
    PortalNotInstalled,
    PresetDoesNotFit,
    PresetUnknown,
    SettingsInvalid,
)
from vllm_pkg.errors.engine import (
    EngineError,
    EngineStartFailed,
    EngineStopError,
    HostNotRunning,
    InstallFailed,
    PortInUse,
)
from vllm_pkg.errors.state import (
    InsecurePermissions,
    StateCorrupt,
    StateError,
    StateLocked,
    StateUnreadable,
    StateWriteFailed,
)
from vllm_pkg.errors.usage import (
    FieldProblem,
    InvalidArgument,
    NotAllowedInState,
    NotFound,
    NotPermitted,
    UnknownAction,
    UsageError,
)

__all__ = [
    "CacheError",
    "ConfigError",
    "DeletionIncomplete",
    "EngineError",
    "EngineNotInstalled",
    "EngineStartFailed",
    "EngineStopError",
    "FieldProblem",
    "HostNotRunning",
    "InsecurePermissions",
    "InstallFailed",
    "InvalidArgument",
    "LocalModelUnavailable",
    "ModelDoesNotFit",
    "ModelFolderDamaged",
    "ModelFolderMissing",
    "ModelInUse",
    "NoModelSelected",
    "NotAllowedInState",
    "NotFound",
    "NotInCache",
    "NotPermitted",
    "OutputFailed",
    "PackageDataInvalid",
    "PortInUse",
    "PortalNotInstalled",
    "PresetDoesNotFit",
    "PresetUnknown",
    "ServiceError",
    "SettingsInvalid",
    "StateCorrupt",
    "StateError",
    "StateLocked",
    "StateUnreadable",
    "StateWriteFailed",
    "UnknownAction",
    "UsageError",
    "as_sentence",
]
