"""``vllm-pkg switch`` and ``fetcher``: changing the model while the old one serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.group import make_group
from vllm_pkg.cli.output import ErrorsJsonOption, JsonOption, print_json, print_text
from vllm_pkg.errors import StateError
from vllm_pkg.service import switches

if TYPE_CHECKING:
    import typer

    from vllm_pkg.settings import Settings

# So often the progress of one phase is printed.
PROGRESS_S: Final = 15.0
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
    document = switches.collect(current_settings())
    if json:
        print_json(document)
        return
    for line in switches.describe(document) or ["There was no switch yet."]:
        print_text(line)


@app.command("cancel")
def cancel(*, json: JsonOption = False) -> None:
    """End the switch; what has been downloaded stays, and the old model serves."""
    settings = current_settings()
    switches.cancel(settings)
    document = switches.collect(settings)
    if json:
        print_json(document)
        return
    for line in switches.describe(document):
        print_text(line)


def run_fetcher(*, _json: ErrorsJsonOption = False) -> None:
    """Run the program that switches models; `run` starts it by itself."""
    from vllm_pkg.hosts.fetcher import program  # noqa: PLC0415

    program.run_fetcher(current_settings())


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
            current = switches.collect(self._settings)["current"]
        except StateError:
            # The fetcher sets a damaged file aside, and says so in its log.
            return None, ""
        if current is None:
            return None, ""
        return (current["id"], current["phase"]), current["text"]
