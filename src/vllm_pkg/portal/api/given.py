"""What every route of the API is given, and how its answers are declared."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from vllm_pkg.portal.context import Portal
from vllm_pkg.settings import Settings


class Shape(BaseModel):
    """A JSON object, named as in StartOS's documents; nothing is left undeclared."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="forbid"
    )


async def _portal(request: Request) -> Portal:
    return cast("Portal", request.app.state.portal)


async def _settings(request: Request) -> Settings:
    return cast("Portal", request.app.state.portal).settings


# Asynchronous, because the framework would start a thread for each otherwise.
GivenPortal = Annotated[Portal, Depends(_portal)]
GivenSettings = Annotated[Settings, Depends(_settings)]
