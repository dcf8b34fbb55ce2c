"""
The main process: it idles, or it prepares everything and becomes the engine.

``exec`` gives the engine the daemon's place and pid, so every host's own supervision
works unchanged.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.engine import engine_path, gpu_memory, processes
from vllm_pkg.engine.acceptor import accept_stored
from vllm_pkg.engine.command import build_command, model_argument
from vllm_pkg.engine.exit_report import START_MARK
from vllm_pkg.engine.fetching import (
    ENDING,
    OFFLINE_ENV,
    fetch_models,
    needs_fetching,
)
from vllm_pkg.engine.hub_token import hub_variables
from vllm_pkg.engine.last_end import note_last_end
from vllm_pkg.engine.launching import become_engine, begin_start
from vllm_pkg.engine.options import load_options
from vllm_pkg.engine.start_facts import read_start_facts
from vllm_pkg.engine.start_failure import record_failure
from vllm_pkg.errors import (
    EngineNotInstalled,
    ModelFolderMissing,
    PortInUse,
    ServiceError,
    SettingsInvalid,
    StateError,
)
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.hardware.facts import Tier
from vllm_pkg.models.local import ensure_local_model, local_model_of
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.settings_table import Profile, Variant
from vllm_pkg.state import (
    atomic,
    credentials,
    identity,
    locks,
    permissions,
    records,
    restore_journal,
)
from vllm_pkg.state.store import Store, load_store, observe_store

if TYPE_CHECKING:
    from vllm_pkg.engine.command import EngineCommand
    from vllm_pkg.engine.diagnosis.changes import Selection
    from vllm_pkg.settings import Settings

LEFTOVER_GRACE_S: Final = 15.0
# What a preview shows for a key that only the start makes.
NO_KEY_YET: Final = "made-at-the-first-start"
_LDCONFIG_PROFILES: Final = frozenset({Profile.STARTOS, Profile.GPU_IMAGE})


@dataclass(frozen=True)
class Plan:
    """
    What the daemon will do.

    Args:
        store: The state it was decided from.
        command: The engine's command; None means: idle.
    """

    store: Store
    command: EngineCommand | None

    @property
    def selected(self) -> Selection:
        """What was to be served, as the acceptor returned it."""
        return self.store.serve_args, self.store.serve_env

    def as_json(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return what ``daemon --print`` prints."""
        if self.command is None:
            return {"mode": "idle", "argv": [], "env": {}}
        return self.command.as_json(show_secrets=show_secrets)


def prepare_state(settings: Settings) -> str:
    """
    Bring the state into order: an interrupted restore, folders, leftovers, the key.

    Idempotent. Data of older packages is taken over: a key inside store.json moves to
    credentials.json.

    Returns:
        The API key.
    Raises:
        StateError: a file is damaged, or cannot be read or written, or other users can
            read a secret and that cannot be changed.
    """
    for folder in (settings.main, settings.models_dir, settings.run_dir):
        atomic.make_folder(folder)
    atomic.make_folder(settings.logs_dir)
    with locks.locked(settings.lock_file, finishes_restore=True):
        restore_journal.finish(settings)
        for folder in (settings.main, settings.public, settings.run_dir):
            atomic.sweep_temporary_files(folder)
    key = credentials.ensure_key(settings)
    permissions.tighten_modes(settings)
    credentials.drop_key_from_store(settings)
    return key


def plan_start(settings: Settings) -> Plan:
    """
    Decide what to run, and bring the state into order for it.

    Raises:
        StateError: a file is damaged, or cannot be read or written.
        EngineStartFailed: a stored argument or variable is reserved, or unknown.
        PackageDataInvalid: a data file of the package is damaged.
    """
    key = prepare_state(settings)
    store = load_store(settings)
    if not store.is_model_selected:
        return Plan(store, None)
    return plan_serving(settings, store, key)


def preview_start(settings: Settings) -> Plan:
    """
    Say what `plan_start` would decide, and change nothing.

    Raises:
        StateError: a file is damaged, or cannot be read.
        EngineStartFailed: a stored argument or variable is reserved, or unknown.
        PackageDataInvalid: a data file of the package is damaged.
    """
    key = credentials.observe_key(settings) or NO_KEY_YET
    store = observe_store(settings)
    if not store.is_model_selected:
        return Plan(store, None)
    return plan_serving(settings, store, key)


def plan_serving(settings: Settings, store: Store, key: str) -> Plan:
    """
    Decide how to serve what a store has selected; nothing is changed.

    Args:
        settings: Settings in force.
        store: With a model selected.
        key: The API key.
    Raises:
        EngineStartFailed: a stored argument or variable is reserved, or unknown.
        PackageDataInvalid: a data file of the package is damaged.
    """
    # Set Model checks them too; another version, or a person, may have written them.
    variables = [item.name for item in store.serve_env]
    accepted = accept_stored(store.serve_args, variables, load_options())
    store = replace(store, serve_args=accepted.arguments)
    cpu_memory_gib = _cpu_memory_gib(settings)
    program = _installed_program()
    command = build_command(
        settings,
        store,
        key,
        engine_version=load_manifest().engine_version,
        is_local_model=_is_folder(model_argument(store.serve_args)),
        cpu_memory_gib=cpu_memory_gib,
        has_own_python=program is not None and not engine_path.is_own_program(program),
        hub_variables=hub_variables(settings, store.serve_env),
        start_facts=read_start_facts(
            program, os.environ, is_cpu=cpu_memory_gib is not None
        ),
    )
    return Plan(store, command)


def run_daemon(settings: Settings) -> int:
    """
    Idle until a signal, or become the engine.

    Returns:
        The exit code after a signal while it idled, prepared or fetched the model: 0.
    Raises:
        ServiceError: the engine cannot be started; the class says of what kind.
    """
    # Blocked first: a signal that comes before we wait must not be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    clock = BootClock()
    started_s = clock.now_s()
    said: list[str] = []
    plan: Plan | None = None
    # The log may hold many starts; whoever reads it looks for the last of these.
    _say(said, f"{START_MARK} {_utc_now()} ===")
    try:
        plan = _prepare(settings, said)
        if plan.command is not None and not signal.sigpending() & ENDING:
            _serve(settings, plan.store, plan.command, started_s, said)
            return 0
    except ServiceError as error:
        selected = None if plan is None else plan.selected
        record_failure(settings, error, selected, clock)
        raise
    if plan.command is None:
        print("No model selected; waiting.", flush=True)  # noqa: T201
    signal.sigwait(ENDING)
    return 0


def _say(said: list[str], line: str) -> None:
    """Print a line that belongs to the log of this start, too."""
    said.append(line)
    print(line, flush=True)  # noqa: T201


def _prepare(settings: Settings, said: list[str]) -> Plan:
    if _needs_ldconfig(settings):
        # Before the plan: it asks NVML, which is found through that cache, too.
        _refresh_linker_cache()
    ended = _end_earlier_engine(settings)
    # It only tells why a start failed: no reason for another one to fail.
    with contextlib.suppress(StateError):
        note_last_end(settings, BootClock())
    # A record of an earlier start would make this one look like a crash.
    atomic.remove_file(settings.start_file)
    plan = plan_start(settings)
    if plan.command is not None:
        for line in gpu_memory.wait_for_memory(settings, ended, BootClock()):
            _say(said, line)
    return plan


def _end_earlier_engine(settings: Settings) -> set[int]:
    """End what an earlier start has left; return the processes that have ended."""
    instance = processes.instance_id(settings.main)
    ended = {process.pid for process in processes.find_engine_processes(instance)}
    start = records.read_start(settings)
    boot_id = BootClock().boot_id()
    grace_s = LEFTOVER_GRACE_S
    if start is not None and not identity.is_alive(start.process, boot_id):
        grace_s = processes.ORPHAN_GRACE_S
        if start.process.boot_id == boot_id and not start.is_stop_intended:
            # It crashed, and nobody knows how long ago.
            ended.add(start.process.pid)
    processes.end_engine_processes(instance, grace_s)
    return ended


def check_port(host: str, port: int) -> None:
    """
    Check that the API's port can be had.

    Raises:
        PortInUse: another program listens there.
        SettingsInvalid: this machine has no such address, or it may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As servers do: connections of a closed server must not count as in use.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"port {port} on {host} is in use by another program",
                hint="stop that program, or choose another port: --port",
            ) from error
        raise SettingsInvalid(
            f"cannot listen on {host} port {port}: {error.strerror}",
            hint="choose another address or port: --host, --port",
        ) from error


def engine_program() -> str:
    """
    Find the program ``vllm``: beside our Python first, then on PATH.

    Raises:
        EngineNotInstalled: it is in neither place.
    """
    beside = Path(sys.executable).parent / "vllm"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("vllm")
    if found is None:
        raise EngineNotInstalled("the program vllm is not installed")
    return found


def check_model(settings: Settings, serve_args: tuple[str, ...]) -> None:
    """
    Check that a model given as a folder is there; make a local one again if not.

    Raises:
        ModelFolderMissing: there is no such folder, or it holds no model.
        ServiceError: a model of the package's own cannot be made again.
    """
    model = model_argument(serve_args)
    local = local_model_of(settings, model)
    if local is not None:
        ensure_local_model(settings, local)
    if _is_folder(model) and not (Path(model) / "config.json").is_file():
        raise ModelFolderMissing(f"{model} is not a folder with a model in it")


def _serve(
    settings: Settings,
    store: Store,
    command: EngineCommand,
    started_s: float,
    said: list[str],
) -> None:
    """Fetch the model and become the engine; return only when a signal came first."""
    check_model(settings, store.serve_args)
    check_port(settings.host, settings.port)
    program = engine_program()
    if not engine_path.is_own_program(program):
        engine_path.link_package(settings)
    start = begin_start(settings, store, started_s)
    environ = command.environment(os.environ)
    if needs_fetching(model_argument(store.serve_args), environ):
        fetched = fetch_models(settings, store.serve_args, environ, start, BootClock())
        if fetched.is_cancelled:
            return
        if fetched.is_complete:
            # Such a start needs no network, and waits for none.
            command = replace(command, env=(*command.env, (OFFLINE_ENV, "1")))
    # The engine inherits the mask, and handles these signals itself.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    become_engine(settings, program, command, start, said)


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _needs_ldconfig(settings: Settings) -> bool:
    # The host lays the driver's libraries into the image after the image's own linker
    # cache was made; on some aarch64 NVIDIA images Triton cannot find libcuda.so.1.
    return (
        settings.profile in _LDCONFIG_PROFILES
        and settings.variant in {None, Variant.NVIDIA}
        and os.geteuid() == 0
    )


def _refresh_linker_cache() -> None:
    program = shutil.which("ldconfig") or "/sbin/ldconfig"
    try:
        code = processes.run_command([program])
    except OSError as error:
        print(f"ldconfig did not run: {error}", file=sys.stderr)  # noqa: T201
        return
    if code != 0:
        print(f"ldconfig ended with {code}", file=sys.stderr)  # noqa: T201


def _cpu_memory_gib(settings: Settings) -> float | None:
    hardware = detect_hardware(settings)
    return hardware.memory_gib if hardware.tier is Tier.CPU else None


def _installed_program() -> str | None:
    try:
        return engine_program()
    except EngineNotInstalled:
        # `daemon --print` answers without an engine too; starting says what is wrong.
        return None


def _is_folder(model: str) -> bool:
    return model.startswith(("/", "./", "../", "~"))
