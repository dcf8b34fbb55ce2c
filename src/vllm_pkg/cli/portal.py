"""``vllm-pkg portal``: the way into the portal, and the portal itself."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.group import make_group
from vllm_pkg.cli.output import (
    ErrorsJsonOption,
    JsonOption,
    print_json,
    print_text,
)
from vllm_pkg.errors import PortalNotInstalled

LINK = "link"
app = make_group("The portal: the page of the service.")


@app.callback()
def group() -> None:
    """The portal: the page of the service."""


@app.command("link")
def show_link(*, json: JsonOption = False) -> None:
    """Print the link that logs a browser in."""
    from vllm_pkg.hosts import portal  # noqa: PLC0415
    from vllm_pkg.state.portal_token import ensure_portal_token  # noqa: PLC0415

    settings = current_settings()
    _print_link(portal.login_link(settings, ensure_portal_token(settings)), json=json)


@app.command("rotate")
def rotate_token(*, json: JsonOption = False) -> None:
    """Make a new token and print its link; every session ends, nothing is restarted."""
    from vllm_pkg.hosts import portal  # noqa: PLC0415
    from vllm_pkg.state.portal_token import rotate_portal_token  # noqa: PLC0415

    settings = current_settings()
    _print_link(portal.login_link(settings, rotate_portal_token(settings)), json=json)


@app.command("serve")
def serve(*, _json: ErrorsJsonOption = False) -> NoReturn:
    """Serve the portal alone in the foreground, until Ctrl-C."""
    from vllm_pkg.engine.processes import replace_process  # noqa: PLC0415
    from vllm_pkg.hosts import portal  # noqa: PLC0415
    from vllm_pkg.state.portal_token import ensure_portal_token  # noqa: PLC0415

    if missing := portal.missing_libraries():
        raise PortalNotInstalled(f"the portal needs {', '.join(missing)}")
    settings = current_settings()
    portal.check_portal_port(settings)
    print_text(portal.login_link(settings, ensure_portal_token(settings)))
    argv = [sys.executable, "-m", portal.MODULE]
    replace_process(sys.executable, argv, os.environ)


def _print_link(link: str, *, json: bool) -> None:
    if json:
        print_json({LINK: link})
    else:
        print_text(link)
