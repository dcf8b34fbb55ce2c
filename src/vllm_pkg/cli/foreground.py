"""What ``vllm-pkg run`` shows: what is served, how to use it, and each change."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg import __version__
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.actions.set_model import select_model
from vllm_pkg.cli.output import print_text
from vllm_pkg.cli.switch import SwitchPrinter
from vllm_pkg.engine.command import served_name
from vllm_pkg.errors import PortalNotInstalled, PresetUnknown, ServiceError
from vllm_pkg.health.checker import HealthResult, Result
from vllm_pkg.hosts import portal
from vllm_pkg.hosts.standalone.run import HostEvents, check_can_run, run_host
from vllm_pkg.models.presets import find_preset
from vllm_pkg.service.status import base_url
from vllm_pkg.state.credentials import ensure_key
from vllm_pkg.state.portal_token import ensure_portal_token
from vllm_pkg.state.store import CUSTOM, Store, load_store

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

DEFAULT_MODEL: Final = "tiny"
EMBEDDING: Final = "embedding"
# So often the progress of one phase is printed.
PROGRESS_S: Final = 15.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
# What tells the instances of one machine apart.
_PLACES: Final = ("VLLM_PKG_MAIN", "VLLM_PKG_PUBLIC")


def run(
    settings: Settings, *, model: str | None, default: str | None, force: bool
) -> None:
    """
    Select a model if asked or if there is none, and serve until Ctrl-C.

    Args:
        settings: Settings in force; the environment says the same.
        model: A preset, a repository or a folder; None leaves the selection alone.
        default: A preset to select when nothing is; None leaves it so.
        force: Whether a preset that does not fit may be selected.
    Raises:
        ServiceError: the model cannot be selected, or the service not be started.
    """
    check_can_run(settings)
    # Before the store is read: a damaged one is set aside, with a key of old in it.
    ensure_key(settings)
    context = ActionContext(settings=settings, is_running=False)
    if model is not None:
        selected = select_model(context, model, force=force)
        # What a forced preset lacks, or whether a repository runs here, stands in it.
        print_text(selected.result.message or selected.result.title)
    elif default is not None and not load_store(settings).is_model_selected:
        select_model(context, default)
    store = load_store(settings)
    # Now, since a moment after the start the portal itself will have its port.
    portal_line = _portal_line(settings)
    print_text(f"vllm-pkg {__version__}: starting; Ctrl-C stops everything.")
    events = HostEvents(
        on_started=lambda: print_text(_banner(settings, store, portal_line)),
        on_health=HealthPrinter(),
        on_look=SwitchPrinter(settings),
    )
    run_host(settings, events)
    print_text("Stopped; no process is left.")


def example_request(settings: Settings, store: Store) -> str:
    """Return a curl line that really answers once the engine is ready."""
    name = served_name(store.serve_args)
    body: dict[str, object]
    if _task(store) == EMBEDDING:
        path, body = "embeddings", {"model": name, "input": "a kitten"}
    else:
        message = {"role": "user", "content": "Hello!"}
        path = "chat/completions"
        body = {"model": name, "messages": [message], "max_tokens": 32}
    url = f"{base_url(settings.host, settings.port)}/{path}"
    data = shlex.quote(json.dumps(body))
    return (
        f'curl -s {url} -H "Authorization: Bearer $({_program()} key show)"'
        f' -H "Content-Type: application/json" -d {data}'
    )


def _portal_line(settings: Settings) -> str:
    missing = portal.missing_libraries()
    if missing:
        names = ", ".join(missing)
        return f"not installed ({names}): {PortalNotInstalled.default_hint}"
    try:
        portal.check_portal_port(settings)
        token = ensure_portal_token(settings)
    except ServiceError as error:
        # The engine serves without a portal, too.
        return f"not available: {error.message}; {error.hint}"
    return portal.login_link(settings, token)


def _banner(settings: Settings, store: Store, portal_line: str) -> str:
    lines = [
        "",
        f"  Model     {_model_name(store)}",
        f"  Portal    {portal_line}",
        f"  API       {base_url(settings.host, settings.port)}",
        f"  Key       {_program()} key show",
    ]
    if store.is_model_selected:
        lines.append(f"  Try it    {example_request(settings, store)}")
    lines += [
        f"  Status    {_program()} status",
        f"  Logs      {_program()} logs -f",
        "",
    ]
    if store.selection and store.selection.selection == DEFAULT_MODEL:
        lines += [
            "  This is the built-in test model: its weights are random and it talks",
            "  nonsense. It shows that everything works. To choose a real one:",
            (
                "    make run MODEL=qwen3-0.6b        a preset; all of them:"
                f" {_find_program()} preset list"
            ),
            "    make run MODEL=Qwen/Qwen3-0.6B   any repository of the Hub",
            "",
        ]
    if settings.host not in _LOOPBACK:
        lines += [
            f"  The API listens on {settings.host}: others on the network reach it,",
            "  over plain HTTP. Share the key only with them.",
            "",
        ]
    return "\n".join(lines)


class HealthPrinter:
    """Prints each change of the health, and of a long start only now and then."""

    def __init__(self) -> None:
        self._last: HealthResult | None = None
        self._printed_s = 0.0

    def __call__(self, health: HealthResult, elapsed_s: float) -> None:
        """
        Take what the health is now.

        Args:
            health: The health.
            elapsed_s: Seconds since the service was started.
        """
        last, text = self._last, health.message
        if last is not None and health.detail and last.result is health.result:
            is_soon = elapsed_s - self._printed_s < PROGRESS_S
            if is_soon and last.phase == health.phase:
                return
            # The words before it are known, once they have been printed.
            text = health.detail if last.detail else text
        self._last, self._printed_s = health, elapsed_s
        _print_health(health, text, elapsed_s)


def _print_health(health: HealthResult, text: str, elapsed_s: float) -> None:
    line = f"[{elapsed_s:4.0f} s] {health.result.value}: {text}"
    if health.result is Result.FAILURE and sys.stdout.isatty():
        line = f"\x1b[31m{line}\x1b[0m"
    print_text(line)


def _model_name(store: Store) -> str:
    if not store.is_model_selected:
        return f"none selected; choose one: {_program()} action input set-model"
    name = served_name(store.serve_args)
    selection = store.selection.selection if store.selection else CUSTOM
    if selection == CUSTOM:
        return name
    try:
        return f"{find_preset(selection).name} (ask for it as {name})"
    except PresetUnknown:
        return name


def _task(store: Store) -> str | None:
    if store.selection is None or store.selection.selection == CUSTOM:
        return None
    try:
        return str(find_preset(store.selection.selection).task)
    except PresetUnknown:
        return None


def _program() -> str:
    """Return how this program is called from another terminal, for this instance."""
    places = [
        f"{name}={shlex.quote(os.environ[name])}"
        for name in _PLACES
        if os.environ.get(name)
    ]
    return " ".join([*places, _find_program()])


def _find_program() -> str:
    if shutil.which("vllm-pkg"):
        return "vllm-pkg"
    beside = Path(sys.executable).parent / "vllm-pkg"
    if beside.is_file():
        return shlex.quote(str(beside))
    return f"{shlex.quote(sys.executable)} -m vllm_pkg"
