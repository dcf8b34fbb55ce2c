"""Get API Key: shows the key that clients of the API need."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, ClassVar

from vllm_pkg.actions.protocol import ActionInput, ActionOutcome, ActionResult, Single
from vllm_pkg.settings_table import Profile
from vllm_pkg.state.credentials import ensure_key

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionContext
    from vllm_pkg.settings import Settings


class GetApiCredentials:
    """Shows the API key; makes one when there is none."""

    id: ClassVar[str] = "get-api-credentials"
    has_input: ClassVar[bool] = False

    def input(self, context: ActionContext) -> ActionInput:  # noqa: ARG002  # protocol
        """Return the empty form."""
        return ActionInput(spec={})

    def run(
        self,
        context: ActionContext,
        value: dict[str, Any],  # noqa: ARG002  # the form is empty
    ) -> ActionOutcome:
        """
        Show the key.

        Raises:
            StateError: the key cannot be read or made.
        """
        key = ensure_key(context.settings)
        result = ActionResult(
            title="API Key",
            message=(
                "Clients send this key as bearer token. Their base URL is "
                f"{base_url_text(context.settings)}."
            ),
            content=Single(key, copyable=True, masked=True),
        )
        return ActionOutcome(result)


def base_url_text(settings: Settings) -> str:
    """Return the base URL for people; only the host knows it outside standalone."""
    if settings.profile is not Profile.STANDALONE:
        return "the address of the vLLM API with /v1 appended"
    address = ipaddress.ip_address(settings.host)
    if address.is_unspecified:
        return f"http://<address of this machine>:{settings.port}/v1"
    host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
    return f"http://{host}:{settings.port}/v1"
