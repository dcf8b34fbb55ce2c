"""
All settings of the program in force, and every path it uses, in one place.

`load_settings` turns an environment into one frozen `Settings`, by the table of
`settings_table`. Standard library only, because `vllm-pkg health` runs every second.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import SettingsInvalid
from vllm_pkg.settings_table import SETTINGS, Profile, Variant, environment_name

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT_MAX: Final = 65535
DOWNLOAD_STALL_TIMEOUT_S: Final = 30.0
SWITCH_TIMEOUT_S: Final = 2100.0
PORTAL_PORT: Final = 11111
# A host as a browser sends it: a name, or an IPv6 address in brackets, and a port.
_HOST: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
)
# Beside the lock of the state, which looks for it.
RESTORE_JOURNAL: Final = "restore.json"


@dataclass(frozen=True)
class Settings:
    """The settings in force, and every path that follows from them."""

    profile: Profile
    main: Path
    public: Path
    host: str
    port: int
    variant: Variant | None
    hardware_file: Path | None
    templates: Path
    stall_timeout_s: float | None = None
    download_stall_timeout_s: float = DOWNLOAD_STALL_TIMEOUT_S
    switch_timeout_s: float = SWITCH_TIMEOUT_S
    portal_host: str = "127.0.0.1"
    portal_port: int = PORTAL_PORT
    portal_allowed_hosts: tuple[str, ...] = ()

    @property
    def store_file(self) -> Path:
        """The selected model: store.json."""
        return self.main / "store.json"

    @property
    def switch_file(self) -> Path:
        """The switch of models that is under way, or the last one: switch.json."""
        return self.main / "switch.json"

    @property
    def secrets_file(self) -> Path:
        """What must not be published: secrets.json."""
        return self.main / "secrets.json"

    @property
    def restore_journal_file(self) -> Path:
        """A restore that has been decided and is not finished: restore.json."""
        return self.main / RESTORE_JOURNAL

    @property
    def credentials_file(self) -> Path:
        """The public key file."""
        return self.public / "credentials.json"

    @property
    def credentials_mode(self) -> int:
        """Mode of the public key file: dependents read it under StartOS only."""
        return 0o644 if self.profile is Profile.STARTOS else 0o600

    @property
    def public_mode(self) -> int:
        """Mode of the public volume's folder, for the same reason."""
        return 0o755 if self.profile is Profile.STARTOS else 0o700

    @property
    def models_dir(self) -> Path:
        """The Hugging Face cache: HF_HUB_CACHE and ``--download-dir``."""
        return self.main / "models"

    @property
    def local_models_dir(self) -> Path:
        """Models that the package itself makes or carries, one folder each."""
        return self.main / "local-models"

    @property
    def cache_dir(self) -> Path:
        """Compile caches of the engine."""
        return self.main / "cache"

    @property
    def logs_dir(self) -> Path:
        """Logs of the engine and of the host."""
        return self.main / "logs"

    @property
    def run_dir(self) -> Path:
        """What can be rebuilt: records of running processes, sockets."""
        return self.main / "run"

    @property
    def start_file(self) -> Path:
        """Record of the engine's present or last start."""
        return self.run_dir / "start.json"

    @property
    def start_lock_file(self) -> Path:
        """The lock under which the record of a start is changed."""
        return self.run_dir / "start.lock"

    @property
    def start_history_file(self) -> Path:
        """How long earlier starts took, and the memory they measured."""
        return self.run_dir / "start-history.json"

    @property
    def estimates_file(self) -> Path:
        """What estimates of memory have learned from starts."""
        return self.run_dir / "estimates.json"

    @property
    def uses_file(self) -> Path:
        """When the engine last used each repository of the cache."""
        return self.run_dir / "model-uses.json"

    @property
    def failure_file(self) -> Path:
        """Record of the engine's last failure."""
        return self.run_dir / "last-failure.json"

    @property
    def progress_file(self) -> Path:
        """Record of whether the engine gets anywhere."""
        return self.run_dir / "progress.json"

    @property
    def health_history_file(self) -> Path:
        """How the health of the API has changed."""
        return self.run_dir / "health-history.jsonl"

    @property
    def restore_lock_file(self) -> Path:
        """The lock that a restore holds for as long as it runs."""
        return self.run_dir / "restore.lock"

    @property
    def switch_progress_file(self) -> Path:
        """How far the preparation of a switch is."""
        return self.run_dir / "switch-progress.json"

    @property
    def fetcher_file(self) -> Path:
        """Record of the fetcher that is running."""
        return self.run_dir / "fetcher.json"

    @property
    def fetcher_lock_file(self) -> Path:
        """The lock that the fetcher holds for as long as it runs."""
        return self.run_dir / "fetcher.lock"

    @property
    def jobs_dir(self) -> Path:
        """Downloads and checks that were asked for, one folder each."""
        return self.run_dir / "jobs"

    @property
    def host_file(self) -> Path:
        """Record of the standalone host that is running."""
        return self.run_dir / "host.json"

    @property
    def host_lock_file(self) -> Path:
        """The lock that the standalone host holds for as long as it runs."""
        return self.run_dir / "host.lock"

    @property
    def key_usage_dir(self) -> Path:
        """Counts of requests per key, one file per API server process."""
        return self.run_dir / "key-usage"

    @property
    def engine_path_dir(self) -> Path:
        """A folder with a link to this package alone, for an engine's own Python."""
        return self.run_dir / "engine-path"

    @property
    def lock_file(self) -> Path:
        """The one lock under which state is changed."""
        return self.main / ".lock"


def load_settings(environ: Mapping[str, str]) -> Settings:
    """
    Read the settings from an environment.

    Args:
        environ: Such as ``os.environ``; an empty value counts as not set.
    Returns:
        The settings in force.
    Raises:
        SettingsInvalid: a value is not possible; the message names its variable.
    """
    given = {row.name: environ.get(row.env) or "" for row in SETTINGS}
    profile = _profile(given["profile"])
    if profile is not Profile.STANDALONE:
        # Other hosts own the network: nothing may move the API elsewhere.
        given |= {"host": "", "port": ""}
    data = _data_folder(environ)
    text = {
        row.name: given[row.name]
        or row.default_for(profile).replace("{data}", str(data))
        for row in SETTINGS
    }
    return Settings(
        profile=profile,
        main=_folder("main", text["main"]),
        public=_folder("public", text["public"]),
        host=_address("host", text["host"]),
        port=_port("port", text["port"]),
        variant=_variant(text["variant"]),
        hardware_file=Path(text["hardware_file"]) if text["hardware_file"] else None,
        templates=Path(text["templates"]),
        stall_timeout_s=_seconds("stall_timeout_s", text["stall_timeout_s"]),
        download_stall_timeout_s=_seconds(
            "download_stall_timeout_s", text["download_stall_timeout_s"]
        )
        or 0.0,
        switch_timeout_s=_seconds("switch_timeout_s", text["switch_timeout_s"]) or 0.0,
        portal_host=_address("portal_host", text["portal_host"]),
        portal_port=_port("portal_port", text["portal_port"]),
        portal_allowed_hosts=_hosts(
            "portal_allowed_hosts", text["portal_allowed_hosts"]
        ),
    )


def _refuse(name: str, value: str, expected: str) -> SettingsInvalid:
    return SettingsInvalid(
        f"{environment_name(name)} is {value!r}", hint=f"set it to {expected}"
    )


def _profile(value: str) -> Profile:
    try:
        return Profile(value or Profile.STANDALONE)
    except ValueError:
        raise _refuse("profile", value, " or ".join(Profile)) from None


def _variant(value: str) -> Variant | None:
    try:
        return Variant(value) if value else None
    except ValueError:
        raise _refuse("variant", value, " or ".join(Variant)) from None


def _folder(name: str, value: str) -> Path:
    path = Path(value).expanduser()
    if not path.is_absolute():
        raise _refuse(name, value, "an absolute path")
    return path


def _address(name: str, value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise _refuse(name, value, "an IP address such as 127.0.0.1") from None
    return value


def _hosts(name: str, value: str) -> tuple[str, ...]:
    hosts = tuple(value.lower().replace(",", " ").split())
    if not all(map(_HOST.fullmatch, hosts)):
        raise _refuse(name, value, "names such as portal.example.org, without http://")
    return hosts


def _port(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= PORT_MAX:
        raise _refuse(name, value, f"a number from 1 to {PORT_MAX}")
    return int(value)


def _seconds(name: str, value: str) -> float | None:
    if not value:
        return None
    if not value.isascii() or not value.isdigit():
        raise _refuse(name, value, "a whole number of seconds, or 0 for never")
    return float(value)


def _data_folder(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    if base.startswith("/"):
        return Path(base) / "vllm-pkg"
    home = environ.get("HOME") or str(Path("~").expanduser())
    return Path(home) / ".local" / "share" / "vllm-pkg"
