"""What is known of a service beyond its status, over records of the real program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.portal_states import make_scene, small_api
from support.settings_factory import make_settings
from vllm_pkg.clock import BootClock
from vllm_pkg.service.activity import activity_json


@pytest.fixture(name="scene")
def scene_fixture(tmp_path):
    """A service with a model."""
    scene = make_scene(make_settings(tmp_path))
    scene.select("org/m", "--max-model-len", "40960")
    return scene


def test_an_unused_service_has_no_activity(scene):
    """Nothing is made up where nothing is known."""
    assert activity_json(scene.settings) == {
        "lastRequest": None,
        "load": None,
        "isFailureRecent": False,
        "fix": None,
        "selection": "custom",
        "serveArgs": ["org/m", "--max-model-len", "40960"],
    }


def test_without_a_model_nothing_is_selected(tmp_path):
    """A new service has no selection."""
    found = activity_json(make_scene(make_settings(tmp_path)).settings)

    assert (found["selection"], found["serveArgs"]) == (None, [])


def test_the_last_use_of_a_key_is_the_last_request(scene):
    """What the guard has counted tells when the API was used."""
    scene.use_key(60)

    told = datetime.fromisoformat(activity_json(scene.settings)["lastRequest"])

    assert timedelta(0) < datetime.now(UTC) - told < timedelta(seconds=90)


def test_a_ready_engine_tells_of_its_load(scene):
    """Its own metrics are read; before it is ready nobody asks it."""
    with small_api() as (port, _):
        scene.begin_start(port=port)
        before = activity_json(scene.settings)["load"]
        scene.change_start(ready_after_s=9.0)
        load = activity_json(scene.settings)["load"]

    assert before is None
    assert (load["running"], load["waiting"], load["generated_tokens"]) == (2, 1, 1234)
    assert load["atS"] == pytest.approx(BootClock().now_s(), abs=30)


def test_a_silent_engine_has_no_load(scene):
    """An engine that does not answer, or one that has ended, says nothing."""
    scene.begin_start(port=1, ready_after_s=9.0)

    assert activity_json(scene.settings)["load"] is None


@pytest.mark.parametrize(
    ("changes", "is_recent"),
    [({}, True), ({"boot_id": "another"}, False), ({"at_s": -3600.0}, False)],
)
def test_a_failure_is_recent_around_the_present_start(scene, changes, is_recent):
    """Of this boot, and no longer before the start than a retry takes."""
    scene.begin_start()
    if "at_s" in changes:
        changes = {"at_s": BootClock().now_s() + changes["at_s"]}
    scene.fail(**changes)

    assert activity_json(scene.settings)["isFailureRecent"] is is_recent


def test_a_failure_that_can_be_mended_offers_it(scene):
    """What Apply Fix would do is told while what failed is what is selected."""
    scene.fail()

    offered = activity_json(scene.settings)["fix"]
    scene.select("org/other")

    assert "--max-model-len to 24576" in offered
    assert activity_json(scene.settings)["fix"] is None
