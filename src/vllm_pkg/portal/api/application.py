"""The API as one application, which the portal has under ``/api/v1``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from vllm_pkg import __version__
from vllm_pkg.portal.access.sessions import cookie_name
from vllm_pkg.portal.api import (
    action_routes,
    errors,
    event_routes,
    log_routes,
    model_routes,
    process_routes,
    service_routes,
)
from vllm_pkg.portal.api.bodies import BodyGuard
from vllm_pkg.portal.api.streams import Streams

if TYPE_CHECKING:
    from vllm_pkg.portal.context import Portal

PREFIX: Final = "/api/v1"
_ROUTERS: Final = (
    service_routes.router,
    action_routes.router,
    model_routes.router,
    log_routes.router,
    process_routes.router,
    event_routes.router,
)


def create_api(portal: Portal) -> FastAPI:
    """
    Return the API.

    Who may use it is decided around it; its document only says how.

    Args:
        portal: What its routes are given.
    """
    session = APIKeyCookie(
        name=cookie_name(portal.settings.portal_port),
        scheme_name="session",
        description="The cookie that the login link sets.",
        auto_error=False,
    )
    token = HTTPBearer(
        scheme_name="token",
        description="The portal's token, for programs.",
        auto_error=False,
    )
    app = FastAPI(
        title="vllm-pkg",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        dependencies=[Security(session), Security(token)],
        responses=errors.RESPONSES,
    )
    app.state.portal = portal
    app.state.streams = Streams()
    for router in _ROUTERS:
        app.include_router(router)
    errors.install(app)
    app.add_middleware(BodyGuard)
    return app
