"""
Asking the Hub whose a Hugging Face token is, and what it may read.

The answer is never an exception: that the Hub does not answer is an answer, too.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from vllm_pkg.models.download.retry import Cause
from vllm_pkg.models.download.worker_errors import describe_failure

if TYPE_CHECKING:
    from collections.abc import Callable

# An action has to return in seconds; huggingface_hub itself waits for ever.
DEADLINE_S: Final = 10.0
Answer = TypeVar("Answer")
_UNAUTHORIZED: Final = 401


class TokenState(StrEnum):
    """What the Hub says of a token."""

    VALID = "valid"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Access(StrEnum):
    """What a token may do with a repository."""

    GRANTED = "granted"
    GATED = "gated"
    HIDDEN = "hidden"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class HubAnswer:
    """
    What the Hub says.

    Args:
        state: Whether it knows the token.
        account: The name of the account; None: it is not known.
        access: What the token may do with the repository; None: none was named.
    """

    state: TokenState
    account: str | None = None
    access: Access | None = None


def ask_hub(
    token: str,
    repo_id: str | None,
    endpoint: str | None,
    deadline_s: float = DEADLINE_S,
) -> HubAnswer:
    """
    Ask the Hub about a token.

    Args:
        token: The token.
        repo_id: A repository such as ``org/name``; None: only the token is asked about.
        endpoint: The Hub's address; None: the one that huggingface_hub takes.
        deadline_s: After how long it counts as not answering, > 0.
    Returns:
        What it says; what it did not say is unknown.
    """
    from huggingface_hub import HfApi  # noqa: PLC0415  # slow to import

    api = HfApi(endpoint=endpoint, token=token)
    nothing: tuple[TokenState, str | None] = (TokenState.UNKNOWN, None)
    state, account = _within(deadline_s, lambda: _whose(api.whoami), nothing)
    if repo_id is None:
        return HubAnswer(state, account)
    if state is not TokenState.VALID:
        return HubAnswer(state, account, Access.UNKNOWN)
    access = _within(
        deadline_s, lambda: _access(lambda: api.auth_check(repo_id)), Access.UNKNOWN
    )
    return HubAnswer(state, account, access)


def _whose(whoami: Callable[[], dict[str, object]]) -> tuple[TokenState, str | None]:
    try:
        name = whoami().get("name")
    except Exception as error:  # noqa: BLE001  # of whichever library asks below
        is_refused = describe_failure(error).status == _UNAUTHORIZED
        return (TokenState.REFUSED if is_refused else TokenState.UNKNOWN), None
    return TokenState.VALID, str(name) if name else None


def _access(check: Callable[[], object]) -> Access:
    try:
        check()
    except Exception as error:  # noqa: BLE001  # of whichever library asks below
        return _ACCESS_BY_CAUSE.get(describe_failure(error).cause, Access.UNKNOWN)
    return Access.GRANTED


_ACCESS_BY_CAUSE: Final = {
    Cause.GATED: Access.GATED,
    Cause.HIDDEN: Access.HIDDEN,
    Cause.NOT_FOUND: Access.HIDDEN,
}


def _within(deadline_s: float, ask: Callable[[], Answer], otherwise: Answer) -> Answer:
    """Ask in a thread that is given up when it takes too long."""
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    # A daemon: what still waits for the Hub does not keep the program from ending.
    threading.Thread(target=lambda: answers.put(ask()), daemon=True).start()
    try:
        return answers.get(timeout=deadline_s)
    except queue.Empty:
        return otherwise
