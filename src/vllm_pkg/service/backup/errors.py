"""Why a backup was not made or not restored; the tree stands in vllm_pkg.errors."""

from __future__ import annotations

from vllm_pkg.errors import ServiceError


class BackupError(ServiceError):
    """A backup could not be made or restored; the state is as it was."""

    code = "backup"
    exit_code = 74
    http_status = 422
    default_hint = "see vllm-pkg backup --help"


class BackupDamaged(BackupError):
    """The file is no backup, or not what was written; nothing of it was used."""

    code = "backup-damaged"
    default_hint = "use another backup; nothing was changed"


class BackupNewer(BackupError):
    """A newer program wrote the backup, and this one may not understand it."""

    code = "backup-newer"
    exit_code = 78
    http_status = 409
    default_hint = "update vllm-pkg and try again; nothing was changed"


class BackupTooLarge(BackupError):
    """The disk has no room for what the backup holds."""

    code = "backup-too-large"
    exit_code = 73
    http_status = 507
    default_hint = "free some disk space and try again; nothing was changed"


class ServiceIsRunning(BackupError):
    """The state cannot be replaced while the service uses it."""

    code = "service-is-running"
    exit_code = 77
    http_status = 409
    default_hint = "stop it with Ctrl-C where it was started, and try again"
