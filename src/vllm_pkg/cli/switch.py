"""``vllm-pkg switch`` and ``fetcher``: changing the model while the old one serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.group import make_group
from vllm_pkg.cli.output import ErrorsJsonOption, JsonOption, print_json, print_text
from vllm_pkg.errors import NotAllowedInState, StateError

if TYPE_CHECKING:
    import typer

    from vllm_pkg.settings import Settings
    from vllm_pkg.state.switch import Switches

# So often the progress of one phase is printed.
PROGRESS_S: Final = 15.0
_NO_NEWS: Final = frozenset({"done", "cancelled"})
app = make_group("A switch of models that is under way.")


def register(root: typer.Typer) -> None:
    """Add the commands to the program."""
    root.add_typer(app, name="switch")
    root.command("fetcher")(run_fetcher)


@app.callback()
def group() -> None:
    """A switch of models that is under way."""


@app.command("status")
def show_status(*, json: JsonOption = False) -> None:
    """Show how far the switch is, or what came of the last one."""
    document = collect(current_settings())
    if json:
        print_json(document)
        return
    for line in describe(document) or ["There was no switch yet."]:
        print_text(line)


@app.command("cancel")
def cancel(*, json: JsonOption = False) -> None:
    """End the switch; what has been downloaded stays, and the old model serves."""
    from vllm_pkg.state.switch_file import update_switches, utc_now  # noqa: PLC0415

    now = utc_now()

    def change(switches: Switches) -> Switches:
        cancelled = switches.cancelled(now)
        if cancelled is None:
            raise NotAllowedInState(
                "there is no switch that can be cancelled",
                hint="see vllm-pkg switch status",
            )
        return cancelled

    settings = current_settings()
    update_switches(settings, change)
    document = collect(settings)
    if json:
        print_json(document)
        return
    for line in describe(document):
        print_text(line)


def run_fetcher(*, _json: ErrorsJsonOption = False) -> None:
    """Run the program that switches models; `run` starts it by itself."""
    from vllm_pkg.hosts.fetcher import program  # noqa: PLC0415

    program.run_fetcher(current_settings())


def collect(settings: Settings) -> dict[str, Any]:
    """
    Return the present switch or the last one, and the one that waits.

    Raises:
        StateError: switch.json is damaged or cannot be read.
    """
    from vllm_pkg.health.switch_text import switches_json  # noqa: PLC0415
    from vllm_pkg.state.switch_file import (  # noqa: PLC0415
        observe_switches,
        read_progress,
    )

    switches = observe_switches(settings)
    current = switches.current
    progress = None if current is None else read_progress(settings, current.id)
    return switches_json(switches, progress)


def describe(document: dict[str, Any]) -> list[str]:
    """Return what `collect` found as lines for people."""
    current, waiting = document["current"], document["waiting"]
    lines = [] if current is None else [current["text"]]
    if waiting is not None:
        lines.append(f"Then follows the switch to {waiting['target']['servedName']}.")
    return lines


def news(document: dict[str, Any]) -> list[str]:
    """Return the lines of `describe` unless the last switch has simply been done."""
    current = document["current"]
    is_old = current is None or current["phase"] in _NO_NEWS
    return [] if is_old else describe(document)


class SwitchPrinter:
    """Prints what a switch does: each phase, and its progress now and then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # What came of a switch before this start is no news.
        self._last, self._text = self._look()
        self._printed_s = 0.0

    def __call__(self, elapsed_s: float) -> None:
        """
        Look at the switch.

        Args:
            elapsed_s: Seconds since the service was started.
        """
        found, text = self._look()
        is_soon = elapsed_s - self._printed_s < PROGRESS_S
        if found is None or text == self._text or (found == self._last and is_soon):
            return
        self._last, self._text, self._printed_s = found, text, elapsed_s
        print_text(f"[{elapsed_s:4.0f} s] switch: {text}")

    def _look(self) -> tuple[tuple[str, str] | None, str]:
        try:
            current = collect(self._settings)["current"]
        except StateError:
            # The fetcher sets a damaged file aside, and says so in its log.
            return None, ""
        if current is None:
            return None, ""
        return (current["id"], current["phase"]), current["text"]
