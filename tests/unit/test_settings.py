"""Settings: the table, the defaults per profile, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm_pkg.errors import SettingsInvalid
from vllm_pkg.settings import Settings, load_settings
from vllm_pkg.settings_table import SETTINGS, Profile, Variant, environment_name


def test_defaults_of_the_standalone_profile():
    """An empty environment gives loopback, port 8000 and the user's data folder."""
    settings = load_settings({"HOME": "/home/ada"})

    assert settings == Settings(
        profile=Profile.STANDALONE,
        main=Path("/home/ada/.local/share/vllm-pkg/main"),
        public=Path("/home/ada/.local/share/vllm-pkg/public"),
        host="127.0.0.1",
        port=8000,
        variant=None,
        hardware_file=None,
        templates=Path("/vllm-workspace/examples"),
    )


def test_defaults_of_the_startos_profile():
    """Under StartOS the volumes, the address and the port are the mission's."""
    settings = load_settings({"VLLM_PKG_PROFILE": "startos"})

    assert settings.main == Path("/data")
    assert settings.public == Path("/public")
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert settings.models_dir == Path("/data/models")
    assert settings.credentials_mode == 0o644


@pytest.mark.parametrize(
    ("profile", "address"),
    [("startos", ("0.0.0.0", 8000)), ("gpu-image", ("127.0.0.1", 18000))],
)
def test_address_cannot_be_moved_where_the_host_owns_it(profile, address):
    """Under StartOS and in the GPU image no variable moves the API elsewhere."""
    settings = load_settings(
        {
            "VLLM_PKG_PROFILE": profile,
            "VLLM_PKG_HOST": "9.9.9.9",
            "VLLM_PKG_PORT": "9",
            "HOME": "/root",
        }
    )

    assert (settings.host, settings.port) == address


def test_every_setting_can_be_set():
    """Each variable of the table reaches its field."""
    settings = load_settings(
        {
            "VLLM_PKG_PROFILE": "standalone",
            "VLLM_PKG_MAIN": "/m",
            "VLLM_PKG_PUBLIC": "/p",
            "VLLM_PKG_HOST": "::1",
            "VLLM_PKG_PORT": "65535",
            "VLLM_PKG_VARIANT": "cpu",
            "VLLM_PKG_HARDWARE": "h.json",
            "VLLM_PKG_TEMPLATES": "/t",
        }
    )

    assert settings == Settings(
        profile=Profile.STANDALONE,
        main=Path("/m"),
        public=Path("/p"),
        host="::1",
        port=65535,
        variant=Variant.CPU,
        hardware_file=Path("h.json"),
        templates=Path("/t"),
    )
    assert {row.name for row in SETTINGS} == set(Settings.__dataclass_fields__)


def test_paths_follow_from_the_volumes():
    """Every file of the design's table stands where the design says."""
    settings = load_settings({"VLLM_PKG_MAIN": "/m", "VLLM_PKG_PUBLIC": "/p"})

    assert settings.store_file == Path("/m/store.json")
    assert settings.credentials_file == Path("/p/credentials.json")
    assert settings.credentials_mode == 0o600
    assert settings.models_dir == Path("/m/models")
    assert settings.local_models_dir == Path("/m/local-models")
    assert settings.cache_dir == Path("/m/cache")
    assert settings.logs_dir == Path("/m/logs")
    assert settings.run_dir == Path("/m/run")
    assert settings.start_file == Path("/m/run/start.json")
    assert settings.failure_file == Path("/m/run/last-failure.json")
    assert settings.host_file == Path("/m/run/host.json")
    assert settings.progress_file == Path("/m/run/progress.json")
    assert settings.public_mode == 0o700
    assert settings.lock_file == Path("/m/.lock")


def test_allowed_hosts_are_names_in_lower_case():
    """They are separated by commas or spaces, with or without a port."""
    given = "Portal.example.org, b.example:8443  [fd00::1]:9,"
    environment = {"VLLM_PKG_PORTAL_ALLOWED_HOSTS": given, "HOME": "/h"}

    assert load_settings(environment).portal_allowed_hosts == (
        *("portal.example.org", "b.example:8443", "[fd00::1]:9"),
    )
    assert load_settings({"HOME": "/h"}).portal_allowed_hosts == ()


@pytest.mark.parametrize("value", ["http://a", "*", "a/b", "a:", "a.example, -x", "é"])
def test_what_is_no_host_is_refused(value):
    """A pattern or an address of a page would allow nothing, and not say so."""
    with pytest.raises(SettingsInvalid, match="VLLM_PKG_PORTAL_ALLOWED_HOSTS is"):
        load_settings({"VLLM_PKG_PORTAL_ALLOWED_HOSTS": value, "HOME": "/h"})


@pytest.mark.parametrize(("value", "seconds"), [("", None), ("0", 0.0), ("45", 45.0)])
def test_the_stall_timeout_is_off_at_zero_and_else_follows_the_machine(value, seconds):
    """Not set is not the same as 0, which turns it off."""
    settings = load_settings({"VLLM_PKG_STALL_TIMEOUT_S": value, "HOME": "/h"})

    assert settings.stall_timeout_s == seconds


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/vllm-pkg/main"),
        ({"XDG_DATA_HOME": "rel", "HOME": "/h"}, "/h/.local/share/vllm-pkg/main"),
    ],
)
def test_data_folder_follows_the_xdg_rules(environment, folder):
    """An absolute XDG_DATA_HOME counts, a relative one is ignored."""
    assert load_settings(environment).main == Path(folder)


def test_data_folder_without_home_is_the_users():
    """Without HOME the password database tells the home folder."""
    expected = Path("~").expanduser() / ".local/share/vllm-pkg/main"

    assert load_settings({}).main == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("profile", "startOS"),
        ("variant", "gpu"),
        ("main", "data"),
        ("public", "./public"),
        ("host", "localhost"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "-1"),
        ("port", "8k"),
        ("port", "٣"),
        ("stall_timeout_s", "-1"),
        ("stall_timeout_s", "2 min"),
    ],
)
def test_wrong_values_are_refused_by_name(name, value):
    """A wrong value is refused with its variable, itself and what to set instead."""
    variable = environment_name(name)

    with pytest.raises(SettingsInvalid) as caught:
        load_settings({variable: value, "HOME": "/h"})

    assert variable in caught.value.message
    assert repr(value) in caught.value.message
    assert caught.value.hint.startswith("set it to ")
