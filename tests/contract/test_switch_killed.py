"""T17: a real switch, with its download, is killed again and again, and is done."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from support.downloads import write_model
from support.fake_host import make_fake_host
from support.guarantees.plugin import is_long
from support.hub_server import HubServer
from support.killed_switches import FUTURE, KilledSwitches
from support.switching import NEW, OLD, store_with
from vllm_pkg.models.tiny import tiny_files
from vllm_pkg.state.store import update_store
from vllm_pkg.state.switch import SwitchPhase

MODELS = ("org/one", "org/two")
KILLS = 100 if is_long() else 6
# A whole service is started anew after every second kill.
pytestmark = pytest.mark.timeout(60 * KILLS)


@pytest.fixture(name="switches")
def switches_fixture(tmp_path):
    """A service that has downloaded the first model and serves it."""
    with HubServer() as hub:
        for name in MODELS:
            hub.add(name, write_model(tmp_path / name, tiny_files()))
        host = make_fake_host(tmp_path / "host")
        host.variables |= {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": ""}
        host.main.mkdir()
        store = {"serveArgs": [MODELS[0]], "future": FUTURE}
        (host.main / "store.json").write_text(json.dumps(store))
        host.start()
        # Moments, no secrets; the same ones each time.
        yield KilledSwitches(host, hub, random.Random(1))  # noqa: S311
        host.close()
        host.destroy()


def test_t17_a_real_switch_is_killed_and_done(switches, guarantee):
    """T17: kill -9 of the fetcher or of all, in the download and around the swap."""
    rounds = 0
    while switches.kills < KILLS:
        rounds += 1
        switches.run(MODELS[rounds % 2], KILLS)
    guarantee(
        "T17",
        "A real switch, whose fetcher or whole service is killed while it downloads and"
        " around the swap, has the old or the new selection at each moment, and is done"
        " in the end",
        tried=switches.kills,
        violations=len(switches.violations),
        unit=f"kills in {rounds} switches, {switches.reads:,} looks at the selection",
        control="a mixture of both, a torn file and a lost field: all found",
    )

    assert switches.violations == []
    assert switches.phases[SwitchPhase.PREPARING] >= KILLS // 3
    assert switches.phases.total() > switches.phases[SwitchPhase.PREPARING]
    assert switches.reads > 10 * KILLS


MIXED = replace(OLD, serve_args=NEW.serve_args)


@pytest.mark.parametrize("selected", [OLD, NEW])
def test_a_whole_selection_is_no_violation(idle, selected):
    """The old one and the new one are what may be there."""
    update_store(idle.settings, lambda _: store_with(selected))

    idle.check({OLD, NEW}, "here")

    assert idle.violations == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, _: path.write_text(path.read_text()[:-20]),
        lambda _, settings: update_store(settings, lambda _: store_with(MIXED)),
        lambda path, _: path.write_text(path.read_text().replace("future", "past")),
    ],
    ids=["torn", "mixed", "lost"],
)
def test_what_must_never_be_there_is_found(idle, damage):
    """The control: half a file, two selections in one, and a field that is gone."""
    update_store(idle.settings, lambda _: store_with(OLD))
    damage(idle.settings.store_file, idle.settings)

    idle.check({OLD, NEW}, "here")

    assert len(idle.violations) == 1


@pytest.fixture(name="idle")
def idle_fixture(tmp_path):
    """What looks at the selection, over a host that does not run."""
    host = make_fake_host(tmp_path)
    host.main.mkdir()
    host.public.mkdir()
    with HubServer() as hub:
        yield KilledSwitches(host, hub, random.Random(1))  # noqa: S311
