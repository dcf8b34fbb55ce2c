"""What Set Model says about the fit of a model that is no preset, while one waits."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.command import model_argument
from vllm_pkg.errors import InvalidArgument
from vllm_pkg.models.sizing.assess import Assessment
from vllm_pkg.models.sizing.verdict import Verdict

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionContext
    from vllm_pkg.state.switch import Selected

# An action answers in seconds; the Hub may take longer, or not answer at all.
ANSWER_MAX_S: Final = 5.0


def assess_in_time(
    context: ActionContext, target: Selected, limit_s: float = ANSWER_MAX_S
) -> Assessment:
    """
    Say whether a model runs here, or that this is not known yet.

    Args:
        context: What the action may know.
        target: The model with its arguments.
        limit_s: How long a person waits for the answer.
    """
    model = model_argument(target.serve_args)
    answers: queue.SimpleQueue[Assessment] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer = context.assess(
                context.settings,
                context.hardware(),
                target.serve_args,
                target.serve_env,
            )
        except InvalidArgument as error:
            # vLLM may understand what the estimate does not.
            answer = Assessment(model, Verdict.UNKNOWN, error.message, error.hint)
        answers.put(answer)

    # A thread that still waits for the Hub does not keep the program alive.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=limit_s)
    except queue.Empty:
        return Assessment(
            model,
            Verdict.UNKNOWN,
            f"the Hub has not answered within {limit_s:.0f} s",
            "ask again with vllm-pkg model fit",
        )
