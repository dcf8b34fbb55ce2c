"""Set Model: decides what is served, by a preset or by arguments of one's own."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from vllm_pkg.actions import custom_model, forms
from vllm_pkg.actions.fit_answer import assess_in_time
from vllm_pkg.actions.last_failure import describe_last_failure
from vllm_pkg.actions.prepared_switch import (
    ask_for_switch,
    describe_last_switch,
    is_prepared_first,
)
from vllm_pkg.actions.preset_fits import PresetFits
from vllm_pkg.actions.protocol import (
    ActionContext,
    ActionInput,
    ActionOutcome,
    ActionResult,
)
from vllm_pkg.actions.validation import invalid_input, validate_input
from vllm_pkg.engine.command import model_argument
from vllm_pkg.engine.fit_check import is_refused
from vllm_pkg.errors import FieldProblem, InvalidArgument, ModelFolderMissing
from vllm_pkg.models.fit import best_fit, force_preset
from vllm_pkg.models.local import (
    LocalModel,
    ensure_local_model,
    find_places,
    local_model_of,
)
from vllm_pkg.models.presets import find_preset
from vllm_pkg.models.sizing.wording import describe
from vllm_pkg.state.records import forget_state_failure
from vllm_pkg.state.store import (
    CUSTOM,
    EnvironmentVariable,
    ModelSelection,
    load_store,
    update_store,
)
from vllm_pkg.state.switch import Selected
from vllm_pkg.state.switch_file import drop_switches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.models.fit import PresetFit
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.store import Store

CONFIG: Final = "config"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_ABOUT: Final = (
    "The presets are checked against the memory of this machine. Custom takes any "
    "model that vLLM can serve."
)
_BY_FILES: Final = "Those whose files are on this machine are judged by these."
_DOWNLOAD: Final = (
    "If it is not in the cache yet, it is downloaded first, which may take a while."
)
# The longest context for which the memory suffices: a model's own maximum is often
# more than that, and then vLLM would not start at all.
_PLAIN_OPTIONS: Final = ("--max-model-len", "auto")
_TRY_ANYWAY: Final = (
    "To try it all the same, stop the engine first, or give --no-prepare on the "
    "command line"
)
_NONSENSE: Final = (
    "Its weights are random: it talks nonsense, and shows that the service works."
)


@dataclass(frozen=True)
class Choice:
    """
    What is to be served.

    Args:
        serve_args: Arguments after ``vllm serve``.
        serve_env: Environment variables of the engine.
        selection: What the form is prefilled from the next time.
        message: Sentences that say what was selected.
    """

    serve_args: tuple[str, ...]
    serve_env: tuple[EnvironmentVariable, ...]
    selection: ModelSelection
    message: str


class SetModel:
    """Selects a model; where one is being served already, the fetcher switches."""

    id: ClassVar[str] = "set-model"
    has_input: ClassVar[bool] = True

    def input(self, context: ActionContext) -> ActionInput:
        """
        Return the form: every preset, with the reason where one does not fit.

        Raises:
            StateError: the present selection cannot be read.
        """
        hardware = context.hardware()
        fits = PresetFits(context.settings, hardware).all()
        store = load_store(context.settings)
        news = (
            _BY_FILES if any(fit.is_estimated for fit in fits) else None,
            describe_last_switch(context.settings),
            describe_last_failure(context.settings, store),
        )
        spec = {CONFIG: _config_field(fits, _description(hardware, news))}
        return ActionInput(spec, _prefill(spec, store))

    def run(self, context: ActionContext, value: dict[str, Any]) -> ActionOutcome:
        """
        Select the model, or ask for a switch to it where one is being served.

        Raises:
            PresetDoesNotFit: the machine has changed since the form was opened.
            InvalidArgument: the arguments or variables of Custom cannot be served.
            StateError: the selection cannot be written.
        """
        chosen = value[CONFIG]["selection"]
        if chosen != CUSTOM:
            return _select(context, _preset_choice(context, chosen, force=False))
        entered = value[CONFIG]["value"]
        args, env = custom_model.parse_custom(
            entered, lambda path: custom_model.has_config(Path(path))
        )
        selection = ModelSelection(CUSTOM, entered["args"], env)
        model = model_argument(args)
        # Not the arguments: a token may stand among them.
        message = f"Selected {model} with your arguments."
        if not custom_model.is_folder_name(model):
            message += f" {_DOWNLOAD}"
        return _select(context, Choice(args, env, selection, message))


def fit_all(settings: Settings) -> tuple[PresetFit, ...]:
    """Decide for every preset whether it fits the machine as it is now."""
    context = ActionContext(settings=settings, is_running=False)
    return PresetFits(settings, context.hardware()).all()


def select_model(
    context: ActionContext, text: str, *, force: bool = False
) -> ActionOutcome:
    """
    Select a model by one word.

    Args:
        context: What the action may know.
        text: Id of a preset, a repository as ``org/name``, or a folder that begins
            with ``/``, ``./``, ``../`` or ``~``.
        force: Whether a preset is selected although it does not fit.
    Raises:
        PresetUnknown: it is none of these; the hint names the most similar preset.
        PresetDoesNotFit: the preset does not fit, and was not forced or has nothing
            for this kind of machine.
        ModelFolderMissing: there is no such folder with a model.
        InvalidArgument: no repository can have that name.
        StateError: the selection cannot be written.
    """
    if not text.isprintable():
        raise InvalidArgument(
            f"{text!a} cannot name a model", hint="name it as org/name"
        )
    if custom_model.is_folder_name(text):
        return _select(context, _folder_choice(text))
    if "/" in text:
        if not _REPOSITORY.fullmatch(text):
            raise InvalidArgument(
                f"{text!r} cannot be a repository", hint="name it as org/name"
            )
        return _select(context, _plain_choice(text, f"Selected {text}. {_DOWNLOAD}"))
    return _select(context, _preset_choice(context, text, force=force))


def _config_field(fits: tuple[PresetFit, ...], description: str) -> forms.Field:
    variants = {fit.preset.id: forms.variant(_label(fit), {}) for fit in fits}
    variants[CUSTOM] = custom_model.custom_variant()
    best = best_fit(fits)
    return forms.union(
        "Model",
        variants,
        default=CUSTOM if best is None else best.preset.id,
        description=description,
        disabled=[fit.preset.id for fit in fits if not fit.is_fitting],
    )


def _label(fit: PresetFit) -> str:
    # The first clause; the notes about the machine, which explain more, stand once in
    # the description.
    reason = f" - {fit.reason.partition(';')[0]}" if fit.reason else ""
    return f"{fit.preset.name}{reason}"


def _description(hardware: Hardware, news: Iterable[str | None]) -> str:
    return " ".join((_ABOUT, *hardware.notes, *filter(None, news)))


def _prefill(spec: forms.InputSpec, store: Store) -> dict[str, Any] | None:
    selection = store.selection
    if selection is None or not store.is_model_selected:
        return None
    inner: dict[str, Any] = {}
    if selection.selection == CUSTOM:
        typed = selection.custom_args
        inner["args"] = shlex.join(store.serve_args) if typed is None else typed
        inner["env"] = [item.as_json() for item in selection.custom_env]
    value = {CONFIG: {"selection": selection.selection, "value": inner}}
    try:
        # A preset may be gone, or no longer fit: the form then opens with its default.
        return validate_input(spec, value)
    except InvalidArgument:
        return None


def _preset_choice(context: ActionContext, preset_id: str, *, force: bool) -> Choice:
    preset = find_preset(preset_id)
    hardware = context.hardware()
    fit = (
        force_preset(preset, hardware, find_places(context.settings))
        if force
        else PresetFits(context.settings, hardware).require(preset)
    )
    local = local_model_of(context.settings, fit.serve_args[0])
    served = preset.name if local else f"{preset.name} ({fit.serve_args[0]})"
    message = f"Selected {served} with a context of {fit.context_tokens} tokens"
    if fit.tensor_parallel is not None and fit.tensor_parallel > 1:
        message += f", spread over {fit.tensor_parallel} GPUs (tensor parallel)"
    message += ". "
    if fit.reason:
        message += f"It does not fit this machine: {fit.reason}. "
    if local is LocalModel.TINY:
        message += f"{_NONSENSE} "
    message += "It needs no download." if local else _DOWNLOAD
    selection = ModelSelection(preset.id)
    return Choice(fit.serve_args, fit.serve_env, selection, message)


def _folder_choice(text: str) -> Choice:
    folder = Path(text).expanduser().absolute()
    if not custom_model.has_config(folder):
        raise ModelFolderMissing(f"{folder} is not a folder with a config.json")
    return _plain_choice(str(folder), f"Selected the model in {folder}.")


def _plain_choice(model: str, message: str) -> Choice:
    """Return a model with the options that let most machines serve it, as Custom."""
    serve_args = (model, *_PLAIN_OPTIONS)
    selection = ModelSelection(CUSTOM, shlex.join(serve_args))
    return Choice(serve_args, (), selection, message)


def _select(context: ActionContext, choice: Choice) -> ActionOutcome:
    local = local_model_of(context.settings, model_argument(choice.serve_args))
    if local is not None:
        # Before it is selected: what is selected can always be served.
        ensure_local_model(context.settings, local)
    selected = Selected(choice.serve_args, choice.serve_env, choice.selection)
    is_switch = is_prepared_first(context)
    message = choice.message
    if choice.selection.selection == CUSTOM:
        message += f" {_fit_text(context, selected, is_switch=is_switch)}"
    if is_switch:
        message += f" {ask_for_switch(context.settings, selected)}"
        return ActionOutcome(ActionResult("Switch Begun", message))
    drop_switches(context.settings)
    update_store(context.settings, selected.put_into)
    # What a damaged file took is chosen anew.
    forget_state_failure(context.settings)
    return ActionOutcome(ActionResult("Model Selected", message), needs_restart=True)


def _fit_text(context: ActionContext, selected: Selected, *, is_switch: bool) -> str:
    assessment = assess_in_time(context, selected)
    text = " ".join(describe(assessment))
    if is_switch and is_refused(assessment):
        # What serves now is worth more than a start that is expected to fail.
        problem = f"{text} {_TRY_ANYWAY}"
        raise invalid_input((FieldProblem(custom_model.ARGS_PATH, problem),))
    return text
