"""
The table of settings.

One row per setting, with its environment variable, its default per profile, unit and
help.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Profile(StrEnum):
    """Under which kind of host the program runs."""

    STARTOS = "startos"
    STANDALONE = "standalone"
    GPU_IMAGE = "gpu-image"


class Variant(StrEnum):
    """For which kind of accelerator the engine was built."""

    NVIDIA = "nvidia"
    ROCM = "rocm"
    CPU = "cpu"


@dataclass(frozen=True)
class Setting:
    """
    One row of the table of settings.

    Args:
        name: Name of the field of `Settings`.
        env: Environment variable that sets it.
        help: One sentence for people.
        default: Text used when the variable is not set, for every profile that
            ``per_profile`` does not name. ``{data}`` stands for the user's data folder.
        per_profile: Defaults of single profiles.
        unit: What the value is counted in, or what kind of text it is.
    """

    name: str
    env: str
    help: str
    default: str
    unit: str
    per_profile: tuple[tuple[Profile, str], ...] = ()

    def default_for(self, profile: Profile) -> str:
        """Return the default text under *profile*."""
        return dict(self.per_profile).get(profile, self.default)


SETTINGS: Final = (
    Setting(
        "profile",
        "VLLM_PKG_PROFILE",
        "Which host this runs under: startos, standalone or gpu-image.",
        "standalone",
        "name",
    ),
    Setting(
        "main",
        "VLLM_PKG_MAIN",
        "The main volume: models, state, caches and logs.",
        "{data}/main",
        "folder",
        ((Profile.STARTOS, "/data"),),
    ),
    Setting(
        "public",
        "VLLM_PKG_PUBLIC",
        "The public volume: credentials.json and nothing else.",
        "{data}/public",
        "folder",
        ((Profile.STARTOS, "/public"),),
    ),
    Setting(
        "host",
        "VLLM_PKG_HOST",
        "The address the API listens on; fixed under StartOS and in the GPU image.",
        "127.0.0.1",
        "IP address",
        ((Profile.STARTOS, "0.0.0.0"),),  # noqa: S104  # the mission fixes it
    ),
    Setting(
        "port",
        "VLLM_PKG_PORT",
        "The TCP port the API listens on; fixed under StartOS and in the GPU image.",
        "8000",
        "port",
        ((Profile.GPU_IMAGE, "18000"),),
    ),
    Setting(
        "portal_host",
        "VLLM_PKG_PORTAL_HOST",
        "The address the portal listens on.",
        "127.0.0.1",
        "IP address",
    ),
    Setting(
        "portal_port",
        "VLLM_PKG_PORTAL_PORT",
        "The TCP port the portal listens on.",
        "11111",
        "port",
    ),
    Setting(
        "portal_allowed_hosts",
        "VLLM_PKG_PORTAL_ALLOWED_HOSTS",
        "Names under which a proxy in front offers the portal, such as"
        " portal.example.org or portal.example.org:8443, separated by commas.",
        "",
        "names",
    ),
    Setting(
        "variant",
        "VLLM_PKG_VARIANT",
        "Which engine is installed: nvidia, rocm or cpu; empty means: find out.",
        "",
        "name",
    ),
    Setting(
        "hardware_file",
        "VLLM_PKG_HARDWARE",
        "A recorded hardware document to use instead of probing this machine.",
        "",
        "file",
    ),
    Setting(
        "templates",
        "VLLM_PKG_TEMPLATES",
        "The folder with vLLM's example chat templates.",
        "/vllm-workspace/examples",
        "folder",
    ),
    Setting(
        "download_stall_timeout_s",
        "VLLM_PKG_DOWNLOAD_STALL_TIMEOUT_S",
        "For how long no byte of a download may arrive before it is started again;"
        " 0: for ever.",
        "30",
        "seconds",
    ),
    Setting(
        "stall_timeout_s",
        "VLLM_PKG_STALL_TIMEOUT_S",
        "For how long the engine may stand still while requests run before it counts"
        " as stuck; 0: for ever; empty means: 120 s, and 900 s without a GPU.",
        "",
        "seconds",
    ),
    Setting(
        "switch_timeout_s",
        "VLLM_PKG_SWITCH_TIMEOUT_S",
        "After how long a newly selected model that is not ready gives its place back"
        " to the one before; 0: never.",
        "2100",
        "seconds",
    ),
)


def environment_name(name: str) -> str:
    """Return the environment variable of the setting called *name*."""
    return next(row.env for row in SETTINGS if row.name == name)
