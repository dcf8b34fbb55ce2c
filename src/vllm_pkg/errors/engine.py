"""The engine or its host did not do its part."""

from __future__ import annotations

from vllm_pkg.errors.base import ServiceError


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
