"""
Real switches that are killed: fetcher, supervisord and all, with a Hub that is slow.

Only the engine is a fake. What has to hold at every moment is looked at all the while:
the selection is exactly the old one or the new one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from support import hub_faults
from support.downloads import WEIGHTS, size_of_weights
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.errors import StateError
from vllm_pkg.models.download.layout import RepositoryFolder
from vllm_pkg.settings import load_settings
from vllm_pkg.state.store import observe_store
from vllm_pkg.state.switch import Selected, SwitchPhase
from vllm_pkg.state.switch_file import is_fetcher_running, observe_switches

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from support.fake_host import FakeHost
    from support.hub_server import HubServer
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.switch import Switch

# The whole download takes some seconds, and each kill leaves a part of it.
SPEED_BYTES_PER_S = 500_000
FUTURE = {"x": 1}
KILLS_PER_SWITCH = 3
WAIT_S = 60.0


@dataclass
class KilledSwitches:
    """
    Switches between two models of a Hub, and what was found.

    Args:
        host: Serves one of them; its store has the field ``future``.
        hub: Has both.
        chance: Chooses the moments.
        kills: How often something was killed.
        reads: How often the selection was looked at.
        phases: In which phases of a switch something was killed.
        violations: What was found.
    """

    host: FakeHost
    hub: HubServer
    chance: random.Random
    kills: int = 0
    reads: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The settings of the host."""
        return load_settings(self.host.environment)

    def run(self, name: str, kills_max: int) -> None:
        """
        Switch to a model, with kills during its download and around the swap.

        Args:
            name: Its repository.
            kills_max: No more kills than that in all.
        """
        self._begin(name)
        switch = self._current()
        allowed = {switch.previous, switch.target}
        for number in range(KILLS_PER_SWITCH):
            if self.kills >= kills_max:
                break
            self._wait_moment(name, number, allowed)
            self._kill()
            self.check(allowed, f"kill {self.kills} of the switch to {name}")
        self.hub.fail(name, WEIGHTS)
        self._finish(name, switch.target)

    def check(self, allowed: set[Selected], place: str) -> None:
        """Look at the selection; anything but one of these is a violation."""
        self.reads += 1
        try:
            store = observe_store(self.settings)
        except StateError as error:
            self.violations.append(f"{place}: {error}")
            return
        is_whole = store.document.get("future") == FUTURE
        if Selected.of(store) not in allowed or not is_whole:
            self.violations.append(f"{place}: {store}")

    def _begin(self, name: str) -> None:
        self.host.wait_result("success")
        self._wait_fetcher()
        cached = RepositoryFolder(self.settings.models_dir, name).path
        shutil.rmtree(cached, ignore_errors=True)
        self.hub.sent_bytes.clear()
        self.hub.fail(name, WEIGHTS, hub_faults.slow(SPEED_BYTES_PER_S))
        value = {"selection": "custom", "value": {"args": name, "env": []}}
        arguments = ("action", "run", "set-model", "--input", "-")
        result = self.host.json(*arguments, stdin=json.dumps({"config": value}))
        assert result["title"] == "Switch Begun", result

    def _wait_moment(self, name: str, number: int, allowed: set[Selected]) -> None:
        """Wait for some moment, and look at the selection all the while."""
        place = f"before kill {self.kills + 1} of the switch to {name}"
        if number == 0:
            share = self.chance.uniform(0.05, 0.5)
            self._watch_until(
                lambda: self._arrived(name) >= share * size_of_weights(), allowed, place
            )
            return
        if number == KILLS_PER_SWITCH - 1:
            self._watch_until(
                lambda: self._current().phase is not SwitchPhase.PREPARING,
                *(allowed, place),
            )
        until_s = time.monotonic() + self.chance.uniform(0.0, 2.0)
        self._watch_until(lambda: time.monotonic() >= until_s, allowed, place)

    def _watch_until(
        self, is_reached: Callable[[], bool], allowed: set[Selected], place: str
    ) -> None:
        def look() -> bool:
            self.check(allowed, place)
            return is_reached()

        wait_until(look, WAIT_S, place)

    def _arrived(self, name: str) -> int:
        return self.hub.sent_bytes[name, WEIGHTS]

    def _kill(self) -> None:
        """Kill the fetcher, and every second time the whole service."""
        self._wait_fetcher()
        self.phases[self._current().phase] += 1
        self.kills += 1
        if self.kills % 2:
            document = json.loads((self.host.main / "run/fetcher.json").read_text())
            os.kill(document["pid"], signal.SIGKILL)
            return
        assert self.host.process is not None
        for process in self._processes():
            process.kill()
        self.host.process.wait()
        wait_until(lambda: not self._processes(), WAIT_S, "the end of all")
        self.host.start()

    def _processes(self) -> list[psutil.Process]:
        """Return every process over the volumes of the host."""
        found = []
        for process in psutil.process_iter():
            try:
                environ = process.environ()
            except (psutil.Error, OSError):
                continue
            if environ.get("VLLM_PKG_MAIN") == str(self.host.main):
                found.append(process)
        return found

    def _wait_fetcher(self) -> None:
        boot_id = BootClock().boot_id()
        wait_until(
            lambda: is_fetcher_running(self.settings, boot_id), WAIT_S, "a fetcher"
        )

    def _current(self) -> Switch:
        current = observe_switches(self.settings).current
        assert current is not None
        return current

    def _finish(self, name: str, target: Selected) -> None:
        """Let the switch end; it has to be done, and the model has to be served."""
        ended = self.host.wait_switch()
        self.check({target}, f"after the switch to {name}")
        argv = self.host.fake.starts()[-1]["argv"]
        served = argv[argv.index("serve") + 1]
        if (ended["phase"], served) != ("done", name):
            self.violations.append(f"the switch to {name}: {ended}, {served} is served")
