"""What a service that depends on this one can read: the key, and nothing else."""

from __future__ import annotations

import pytest

from support.dependents import look_around
from support.settings_factory import make_settings
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.actions.set_model import select_model
from vllm_pkg.engine.daemon import prepare_state

NOBODY = 65534


@pytest.fixture(name="install")
def install_fixture(tmp_path):
    """A function that makes an instance with a model selected, and with some logs."""

    def install(profile):
        settings = make_settings(tmp_path, VLLM_PKG_PROFILE=profile)
        prepare_state(settings)
        select_model(ActionContext(settings=settings, is_running=False), "tiny")
        (settings.logs_dir / "engine.log").write_text("a log that anybody may read")
        return settings

    return install


def test_under_startos_another_user_reads_the_key_alone(install, tmp_path):
    """The key file is 0644; of the main volume, were it there, nothing is readable."""
    settings = install("startos")

    assert settings.credentials_file.stat().st_mode & 0o777 == 0o644
    for main in ((), ("--main", str(settings.main))):
        seen = look_around(tmp_path, settings.public, "--uid", str(NOBODY), *main)
        assert seen == {
            "uid": NOBODY,
            "root": ["main", "public"] if main else ["public"],
            "public": ["credentials.json"],
            "main": [],
            "can_write": False,
        }


def test_elsewhere_another_user_reads_nothing(install, tmp_path):
    """On a machine that others share, the key is its owner's alone."""
    settings = install("standalone")

    seen = look_around(tmp_path, settings.public, "--uid", str(NOBODY))

    assert (seen["root"], seen["public"]) == (["public"], [])


def test_the_owner_would_see_it_all(install, tmp_path):
    """The same look finds what is readable: store, log and key, as their owner."""
    settings = install("standalone")

    seen = look_around(tmp_path, settings.public, "--main", str(settings.main))

    assert seen["public"] == ["credentials.json"]
    assert {"store.json", "logs/engine.log"} <= set(seen["main"])
    assert seen["can_write"] is False
