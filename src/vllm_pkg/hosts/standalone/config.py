"""The configuration of supervisord: generated at each start, never edited."""

from __future__ import annotations

import io
from configparser import RawConfigParser
from typing import TYPE_CHECKING, Final

from vllm_pkg.hosts.portal import MODULE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vllm_pkg.settings import Settings

ENGINE: Final = "engine"
KEEPER: Final = "keeper"
FETCHER: Final = "fetcher"
PORTAL: Final = "portal"
ENGINE_LOG: Final = "engine.log"
HOST_LOG: Final = "host.log"
FETCHER_LOG: Final = "fetcher.log"
PORTAL_LOG: Final = "portal.log"
STOP_WAIT_S: Final = 30
LOG_SIZE_MAX: Final = "20MB"
LOG_BACKUPS: Final = 5


def supervisor_config(
    settings: Settings, python: str, socket: Path, *, has_portal: bool = False
) -> str:
    """
    Return supervisord's configuration.

    Args:
        settings: Where logs and run files go.
        python: The interpreter that has this package.
        socket: Unix socket of the control interface; at most 107 bytes long.
        has_portal: Whether the portal is installed.
    """
    portal = {f"program:{PORTAL}": _portal_section(settings, python)}
    parser = RawConfigParser()
    parser.read_dict(
        {
            "supervisord": _supervisor_section(settings),
            "unix_http_server": {"file": _literal(socket), "chmod": "0700"},
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": (
                    "supervisor.rpcinterface:make_main_rpcinterface"
                )
            },
            f"program:{ENGINE}": _engine_section(settings, python),
            f"program:{FETCHER}": _fetcher_section(settings, python),
            f"eventlistener:{KEEPER}": _keeper_section(settings, python),
            **(portal if has_portal else {}),
        }
    )
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _supervisor_section(settings: Settings) -> dict[str, str]:
    return {
        "nodaemon": "true",
        "silent": "true",
        "logfile": _literal(settings.logs_dir / "supervisord.log"),
        "logfile_maxbytes": "1MB",
        "logfile_backups": "1",
        "pidfile": _literal(settings.run_dir / "supervisord.pid"),
        "childlogdir": _literal(settings.logs_dir),
        "umask": "077",
    }


def _engine_section(settings: Settings, python: str) -> dict[str, str]:
    return {
        "command": _command([python, "-m", "vllm_pkg", "daemon"]),
        # The keeper restarts it, with delays that supervisord does not have.
        "autorestart": "false",
        "startsecs": "0",
        "startretries": "0",
        "stopwaitsecs": str(STOP_WAIT_S),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _twice(settings.logs_dir / ENGINE_LOG),
        "stdout_logfile_maxbytes": LOG_SIZE_MAX,
        "stdout_logfile_backups": str(LOG_BACKUPS),
    }


def _fetcher_section(settings: Settings, python: str) -> dict[str, str]:
    return {
        "command": _command([python, "-m", "vllm_pkg.hosts.fetcher"]),
        # It may be killed at any moment: the next one goes on with the switch.
        "autorestart": "true",
        "startretries": "20",
        "redirect_stderr": "true",
        "stdout_logfile": _twice(settings.logs_dir / FETCHER_LOG),
        "stdout_logfile_maxbytes": "1MB",
        "stdout_logfile_backups": "1",
    }


def _portal_section(settings: Settings, python: str) -> dict[str, str]:
    return {
        "command": _command([python, "-m", MODULE]),
        # It has nothing that is lost with it, and the engine does not need it.
        "autorestart": "true",
        "startretries": "20",
        "redirect_stderr": "true",
        "stdout_logfile": _twice(settings.logs_dir / PORTAL_LOG),
        "stdout_logfile_maxbytes": "1MB",
        "stdout_logfile_backups": "1",
    }


def _keeper_section(settings: Settings, python: str) -> dict[str, str]:
    return {
        "command": _command([python, "-m", "vllm_pkg.hosts.standalone.keeper"]),
        "events": "PROCESS_STATE,TICK_5",
        "stderr_logfile": _twice(settings.logs_dir / HOST_LOG),
        "stderr_logfile_maxbytes": "1MB",
        "stderr_logfile_backups": "1",
    }


def _literal(value: Path) -> str:
    # supervisord expands %(name)s in values.
    return str(value).replace("%", "%%")


def _twice(value: Path) -> str:
    # The log files of programs are expanded twice (supervisor 4.3.0, options.py).
    return _literal(value).replace("%", "%%")


def _command(argv: Sequence[str]) -> str:
    # supervisord splits with shlex, and a ";" after a space starts a comment.
    return " ".join(f'"{item}"' for item in argv).replace("%", "%%")
