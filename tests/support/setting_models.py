"""Set Model on a recorded machine of one card: run it, and look at its form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext, ActionOutcome
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.hardware.facts import Vendor
from vllm_pkg.models.sizing.assess import Assessment
from vllm_pkg.models.sizing.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def machine(
    count: int = 1, memory_gib: float = 24.0, capability: str = "8.6"
) -> dict[str, Any]:
    """Return a recorded machine with equal NVIDIA cards, as its document."""
    card = {"name": "Card", "compute_capability": capability, "memory_gib": memory_gib}
    gpus = [{"vendor": Vendor.NVIDIA, "index": n, **card} for n in range(count)]
    return {"gpus": gpus, "system_memory_gib": 64.0}


def not_asked(
    _settings: object, _hardware: object, serve_args: Sequence[str], _env: object
) -> Assessment:
    """Say of any model that nobody was asked."""
    return Assessment(serve_args[0], Verdict.UNKNOWN, "nobody was asked")


def context_on(folder: Path, document: dict[str, Any]) -> ActionContext:
    """Return the context of a stopped service on a recorded machine."""
    recording = folder / "hardware.json"
    recording.write_text(json.dumps(document))
    settings = make_settings(folder, VLLM_PKG_HARDWARE=str(recording))
    return ActionContext(settings=settings, is_running=False, assess=not_asked)


@pytest.fixture(name="context")
def context_fixture(tmp_path: Path) -> ActionContext:
    """A machine with one card of 24 GiB."""
    return context_on(tmp_path, machine())


def run(context: ActionContext, selection: str, value: dict[str, Any]) -> ActionOutcome:
    """Run Set Model with a selection."""
    config = {"selection": selection, "value": value}
    return registry.run_action(context, "set-model", {"config": config})


def run_custom(
    context: ActionContext, args: str, env: Iterable[tuple[str, str | None]] = ()
) -> ActionOutcome:
    """Run Set Model with Custom."""
    entered = [{"name": name, "value": value} for name, value in env]
    return run(context, "custom", {"args": args, "env": entered})


def prefill(context: ActionContext) -> dict[str, Any] | None:
    """Return what the form is prefilled with, checked against the form itself."""
    form = registry.action_input(context, "set-model")
    if form.value is not None:
        assert validate_input(form.spec, form.value) == form.value
    return form.value


def write_store(context: ActionContext, document: dict[str, Any]) -> None:
    """Write store.json as another version may have left it."""
    context.settings.main.mkdir(parents=True)
    context.settings.store_file.write_text(json.dumps(document))
