"""A file that the service keeps could not be used."""

from __future__ import annotations

from vllm_pkg.errors.base import ServiceError


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
