"""
The Hugging Face token in the engine's environment: in no argument and in no log.

Whoever fetches models does it with the same variables, so that what the test of the
token says holds for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import StateError
from vllm_pkg.state.secrets import observe_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.settings import Settings
    from vllm_pkg.state.store import EnvironmentVariable

TOKEN_ENV: Final = "HF_TOKEN"  # noqa: S105  # a name
# huggingface_hub still reads the older name.
_TOKEN_ENVS: Final = frozenset({TOKEN_ENV, "HUGGING_FACE_HUB_TOKEN"})


def hub_variables(
    settings: Settings, chosen: Iterable[EnvironmentVariable]
) -> dict[str, str]:
    """
    Return the variables that carry the stored Hugging Face token.

    Args:
        settings: Where the secrets are.
        chosen: Variables that the user has set for the model; a token among them wins.
    """
    if any(item.name in _TOKEN_ENVS and item.value for item in chosen):
        return {}
    try:
        token = observe_secrets(settings).hugging_face_token
    except StateError:
        # Most models need none; whoever asks for the keys is told what is damaged.
        return {}
    return {TOKEN_ENV: token} if token else {}
