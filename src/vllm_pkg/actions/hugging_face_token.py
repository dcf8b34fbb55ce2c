"""Hugging Face Token: sets it, removes it, and tests what it may read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final

from vllm_pkg.actions import forms
from vllm_pkg.actions.delete_model_cache import REPOSITORY_REGEX
from vllm_pkg.actions.protocol import (
    ActionInput,
    ActionOutcome,
    ActionResult,
    Group,
    Member,
    Single,
)
from vllm_pkg.errors import FieldProblem, InvalidArgument
from vllm_pkg.models.hub_account import Access, HubAnswer, TokenState, ask_hub
from vllm_pkg.state import locks
from vllm_pkg.state.secrets import (
    HUB_TOKEN_REGEX,
    change_secrets,
    load_secrets,
    observe_secrets,
)

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionContext
    from vllm_pkg.settings import Settings

ENDPOINT_ENV: Final = "HF_ENDPOINT"
_STATES: Final = {
    TokenState.VALID: "valid",
    TokenState.REFUSED: "not valid",
    TokenState.UNKNOWN: "not checked: the Hub did not answer",
}
_ACCESSES: Final = {
    Access.GRANTED: "accepted, or none needed: the repository can be read",
    Access.GATED: "not accepted: accept it on the repository's page with this account",
    Access.HIDDEN: "no such repository, or a private one that this token may not read",
    Access.UNKNOWN: "not checked",
}


class HuggingFaceToken:
    """Keeps the token in secrets.json; the engine gets it by its environment only."""

    id: ClassVar[str] = "hugging-face-token"
    has_input: ClassVar[bool] = True

    def input(self, context: ActionContext) -> ActionInput:
        """
        Return the form; what is stored is never shown.

        Raises:
            StateError: secrets.json is damaged or cannot be read.
        """
        is_stored = bool(observe_secrets(context.settings).hugging_face_token)
        present = "A token is stored. " if is_stored else ""
        return ActionInput(
            {
                "token": forms.text(
                    "Token",
                    required=False,
                    masked=True,
                    placeholder="hf_...",
                    description=(
                        f"{present}Left empty, "
                        + ("the stored one is removed" if is_stored else "none is set")
                        + "; with the test below, the stored one is tested."
                    ),
                    patterns=[
                        forms.Pattern(
                            regex=HUB_TOKEN_REGEX, description="a token without spaces"
                        )
                    ],
                ),
                "repository": forms.text(
                    "Repository to check",
                    required=False,
                    placeholder="org/name",
                    description="Whether this token may read it, its licence included",
                    patterns=[
                        forms.Pattern(
                            regex=REPOSITORY_REGEX,
                            description="a repository such as org/name",
                        )
                    ],
                ),
                "testOnly": forms.toggle(
                    "Only test, do not save",
                    default=False,
                    description="What is stored stays as it is.",
                ),
            }
        )

    def run(self, context: ActionContext, value: dict[str, Any]) -> ActionOutcome:
        """
        Test the token, and save or remove it.

        Raises:
            InvalidArgument: there is no token to test, or the Hub does not know it.
            StateError: secrets.json is damaged, or cannot be read or written.
        """
        settings, typed = context.settings, value["token"] or ""
        is_test = bool(value["testOnly"])
        token = typed
        if is_test and not typed:
            token = load_secrets(settings).hugging_face_token
            if not token:
                raise _refused("there is none to test", "type one")
        if not token:
            return ActionOutcome(_remove(settings))
        repository = value["repository"] or None
        answer = ask_hub(token, repository, os.environ.get(ENDPOINT_ENV) or None)
        if is_test:
            return ActionOutcome(_tested(answer, repository))
        if answer.state is TokenState.REFUSED:
            raise _refused("the Hub does not know it; it was not saved", "correct it")
        _save(settings, token)
        return ActionOutcome(_saved(answer, repository))


def _save(settings: Settings, token: str) -> None:
    with locks.locked(settings.lock_file):
        change_secrets(settings, lambda old: old.with_hugging_face_token(token))


def _remove(settings: Settings) -> ActionResult:
    if not load_secrets(settings).hugging_face_token:
        return ActionResult(
            "No Hugging Face Token", "None was stored, and none is now."
        )
    _save(settings, "")
    return ActionResult(
        "Hugging Face Token Removed",
        "Models are fetched without a token from the next start or download on.",
    )


def _saved(answer: HubAnswer, repository: str | None) -> ActionResult:
    if answer.state is TokenState.VALID:
        message = "The token is valid and saved."
    else:
        message = "The Hub did not answer: the token is saved, and was not checked."
    message += " It is used from the next start or download on."
    return ActionResult(
        "Hugging Face Token Saved", message, _members(answer, repository)
    )


def _tested(answer: HubAnswer, repository: str | None) -> ActionResult:
    messages = {
        TokenState.VALID: "The token is valid.",
        TokenState.REFUSED: "The Hub does not know this token.",
        TokenState.UNKNOWN: "The Hub did not answer: the token was not checked.",
    }
    message = f"{messages[answer.state]} Nothing was saved."
    return ActionResult(
        "Hugging Face Token Tested", message, _members(answer, repository)
    )


def _members(answer: HubAnswer, repository: str | None) -> Group:
    members = [Member("Token", Single(_STATES[answer.state]))]
    if answer.account is not None:
        members.append(Member("Account", Single(answer.account)))
    if repository is not None and answer.access is not None:
        access = Single(_ACCESSES[answer.access])
        members.append(Member(f"Licence of {repository}", access))
    return Group(tuple(members))


def _refused(problem: str, hint: str) -> InvalidArgument:
    return InvalidArgument(
        f"token: {problem}", hint=hint, fields=(FieldProblem(("token",), problem),)
    )
