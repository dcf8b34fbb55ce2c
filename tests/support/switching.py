"""
A world in which models are switched: the real files, with an engine that is a fake.

A fake, because a real engine takes half a minute for each start, and a hundred switches
are killed here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.errors import EngineError, NoModelSelected, ServiceError
from vllm_pkg.health.checker import Result
from vllm_pkg.hosts.fetcher.switcher import Switcher
from vllm_pkg.state import atomic, records
from vllm_pkg.state.store import (
    EnvironmentVariable,
    ModelSelection,
    Store,
    load_store,
    update_store,
)
from vllm_pkg.state.switch import Instant, Selected, Switches, SwitchPhase
from vllm_pkg.state.switch_file import load_switches, request_switch, update_switches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm_pkg.settings import Settings
    from vllm_pkg.state.switch import Switch

OLD = Selected(
    ("org/old", "--max-model-len", "512"),
    (EnvironmentVariable("A", "1"),),
    ModelSelection("custom", "org/old --max-model-len 512"),
)
NEW = Selected(("org/new",), (), ModelSelection("preset-new"))
OTHER = Selected(("org/other",), (), ModelSelection("preset-other"))
NOTHING = "nothing"
CAUSE = "The engine ended with exit code 1. Its weights are damaged."
FIX = "Download it again."
CHANGES = (records.SettingChange("--revision", is_removed=True),)
REFUSAL = "The test request to /v1/completions failed (HTTP status 500)."


def store_with(selected: Selected) -> Store:
    """Return a store that has fields of another version besides."""
    return selected.put_into(Store(document={"future": {"x": 1}}))


def prepare_store(settings: Settings, selected: Selected) -> None:
    """Write store.json with a selection."""
    for folder in (settings.main, settings.public, settings.run_dir):
        atomic.make_folder(folder)
    update_store(settings, lambda _: store_with(selected))


def selected_now(settings: Settings) -> Selected:
    """Return what store.json has selected."""
    return Selected.of(load_store(settings))


@dataclass
class FakeWorld:
    """
    A host, an engine and a Hub at once, as the fetcher sees them.

    Args:
        settings: Where the real files are.
        broken: Models whose engine ends at once, for good.
        mute: Models that come up and answer no request.
        slow: Models that never come up.
        absent: Models that cannot be downloaded.
        on_prepare: Called while a model is being prepared.
        on_look: Called at each look at the health.
        on_canary: Called while the first request is under way.
    """

    settings: Settings
    broken: frozenset[str] = frozenset()
    mute: frozenset[str] = frozenset()
    slow: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    on_prepare: Callable[[Callable[[], bool]], None] = lambda _: None
    on_look: Callable[[], None] = lambda: None
    on_canary: Callable[[], None] = lambda: None
    clock: FakeClock = field(default_factory=FakeClock)
    is_host_running: bool = True
    restart_error: EngineError | None = None
    restarts: list[str] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)
    canaries: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take the boot that this process runs in: the records are compared with it."""
        self.process = own_identity()
        self.clock.boot = self.process.boot_id

    def switcher(self) -> Switcher:
        """Return what does the switches, as a fetcher that was just started has it."""
        return Switcher(
            self.settings,
            host=self,
            work=self,
            log=lambda _: None,
            clock=self.clock,
            sleep=self.sleep,
        )

    def run(self) -> Switch:
        """Do all there is to do; return the last switch."""
        switcher = self.switcher()
        while switcher.step():
            pass
        return self.switch()

    def switch(self) -> Switch:
        """Return the present switch."""
        current = load_switches(self.settings).current
        assert current is not None
        return current

    def put(self, phase: SwitchPhase, selected: Selected, **changes: Any) -> None:
        """Leave the files as a fetcher leaves them that was killed in a phase."""
        present = replace(self.switch(), phase=phase, **changes)
        update_switches(self.settings, lambda _: Switches(present))
        update_store(self.settings, selected.put_into)

    def now(self) -> Instant:
        """Return the present moment."""
        return Instant(self.clock.seconds, self.clock.boot)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.seconds += seconds

    def is_running(self) -> bool:
        """Whether the host runs."""
        return self.is_host_running

    def restart(self) -> None:
        """Start an engine with what is selected, and let it come up or not."""
        if self.restart_error is not None:
            raise self.restart_error
        self.clock.seconds += 1
        atomic.remove_file(self.settings.failure_file)
        arguments = load_store(self.settings).serve_args
        self.restarts.append(arguments[0] if arguments else NOTHING)
        if not arguments:
            atomic.remove_file(self.settings.start_file)
            return
        model = arguments[0]
        now_s = self.clock.seconds
        start = records.StartRecord(self.process, now_s, "127.0.0.1", 1, model)
        records.write_record(self.settings.start_file, start)
        if model in self.broken:
            self.fail(CAUSE, fix=FIX, changes=CHANGES)

    def fail(
        self,
        summary: str,
        *,
        is_final: bool = True,
        starts: int = 1,
        fix: str = "",
        changes: tuple[records.SettingChange, ...] = (),
    ) -> None:
        """Let the engine have failed just now."""
        failure = records.FailureRecord(
            at="2026-01-01T00:00:00+00:00",
            at_s=self.clock.seconds,
            boot_id=self.clock.boot,
            summary=summary,
            hint=f"It is not started again. {fix}",
            exit_code=1,
            is_final=is_final,
            starts=starts,
            changes=changes,
            fix=fix,
        )
        records.write_record(self.settings.failure_file, failure)

    def prepare(self, switch: Switch, is_cancelled: Callable[[], bool]) -> None:
        """Prepare a model, or fail to."""
        model = switch.target.serve_args[0]
        self.prepared.append(model)
        self.on_prepare(is_cancelled)
        if is_cancelled():
            raise ServiceError("the download was cancelled")
        if model in self.absent:
            raise NoModelSelected(f"there is no {model}", hint="check the name")

    def find_health(self) -> Result:
        """Return how the engine that was started last is."""
        self.on_look()
        if not load_store(self.settings).is_model_selected:
            return Result.DISABLED
        start = records.read_start(self.settings)
        if start is None or start.model in self.broken:
            return Result.FAILURE
        return Result.LOADING if start.model in self.slow else Result.SUCCESS

    def try_canary(self, start: records.StartRecord) -> str | None:
        """Answer the first request, or not."""
        self.canaries.append(start.model)
        self.on_canary()
        return REFUSAL if start.model in self.mute else None


def asked_world(folder: Path) -> FakeWorld:
    """Return a world in which the old model is selected and the new one asked for."""
    settings = make_settings(folder)
    prepare_store(settings, OLD)
    request_switch(settings, NEW)
    return FakeWorld(settings)
