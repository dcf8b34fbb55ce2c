"""Putting the portal together: the API, the pages, and the guards around both."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from nicegui import ui
from nicegui.client import templates

from vllm_pkg import __version__
from vllm_pkg.models.presets import load_presets
from vllm_pkg.portal.access import login, nonces
from vllm_pkg.portal.access.gate import Gate
from vllm_pkg.portal.access.guard import Guard
from vllm_pkg.portal.api import errors
from vllm_pkg.portal.api.application import PREFIX, create_api
from vllm_pkg.portal.api.healthz import Healthz
from vllm_pkg.portal.feed import running
from vllm_pkg.portal.frame import prepare_frame
from vllm_pkg.portal.pages import actions, gallery, home, logs, start, try_it
from vllm_pkg.portal.pages.keys import page as keys
from vllm_pkg.portal.pages.machine import page as machine
from vllm_pkg.portal.pages.models import page as models
from vllm_pkg.portal.pages.settings import page as settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vllm_pkg.portal.context import Portal

# Of the scripts of a page 5 % larger than at the highest level, in a third of the time.
GZIP_LEVEL: Final = 4
TEMPLATE: Final = "index.html"
PAGES: Final = (
    *(home, start, models, try_it, logs, machine, keys, settings),
    *(actions, gallery),
)


def create_application(portal: Portal) -> FastAPI:
    """
    Return the whole portal as one ASGI application.

    NiceGUI keeps its pages in the process, so there is one of these in a process.

    Args:
        portal: What it is given.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(portal.feed):
            yield

    app = FastAPI(
        title="vllm-pkg", version=__version__, lifespan=lifespan, openapi_url=None
    )
    gate = Gate(portal.settings)
    login.register(app, gate)
    prepare_frame(portal)
    for page in PAGES:
        page.register(portal)
    app.mount(PREFIX, create_api(portal))
    # A path with a line break matches no mount, and is answered here.
    errors.install(app)
    # Tailwind would write styles in the browser, for a quarter of the time of a page.
    ui.run_with(
        app,
        title="vLLM",
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        gzip_middleware_factory=functools.partial(
            GZipMiddleware, compresslevel=GZIP_LEVEL
        ),
    )
    # A poll costs no more than the guard and the comparison of its path.
    app.add_middleware(Healthz, feed=portal.feed)
    nonces.install(templates)
    # Now, and not while somebody waits for the first page.
    templates.get_template(TEMPLATE)
    load_presets()
    # Last, and so outermost: nothing is answered that it has not let in.
    app.add_middleware(Guard, gate=gate)
    return app
