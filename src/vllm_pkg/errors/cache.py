"""The model cache could not be changed as asked."""

from __future__ import annotations

from vllm_pkg.errors.base import ServiceError


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
