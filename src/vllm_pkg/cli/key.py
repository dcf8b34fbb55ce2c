"""``vllm-pkg key``: the keys of the API."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.group import make_group
from vllm_pkg.cli.output import JsonOption, print_json, print_table, print_text
from vllm_pkg.errors import ConfigError, InvalidArgument
from vllm_pkg.state.key_limits import EXPIRES_MAX_D, KEEP_MAX_H

API_KEY: Final = "apiKey"
app = make_group("The keys of the API.")


@app.callback()
def group() -> None:
    """The keys of the API."""


@app.command("show")
def show_key(*, json: JsonOption = False) -> None:
    """Print the primary key."""
    from vllm_pkg.state.credentials import load_key  # noqa: PLC0415

    key = load_key(current_settings())
    if key is None:
        raise ConfigError(
            "there is no API key yet", hint="make one: vllm-pkg init --kind install"
        )
    if json:
        print_json({API_KEY: key})
    else:
        print_text(key)


@app.command("rotate")
def rotate_key(
    *,
    keep_hours: Annotated[
        int,
        typer.Option(
            min=0, max=KEEP_MAX_H, help="Hours for which the old key stays valid."
        ),
    ] = 0,
    json: JsonOption = False,
) -> None:
    """Make a new primary key and print it; nothing is restarted."""
    from vllm_pkg.state import keys  # noqa: PLC0415

    rotation = keys.rotate_key(current_settings(), keep_hours, keys.now_utc())
    previous = rotation.previous
    until = previous and previous.as_json()["expires"]
    if json:
        print_json({API_KEY: rotation.key, "previousValidUntil": until})
    else:
        print_text(rotation.key)


@app.command("add")
def add_key(
    name: Annotated[
        str, typer.Argument(help="Who or what will use it.", metavar="NAME")
    ],
    *,
    expires_days: Annotated[
        int | None,
        typer.Option(min=1, max=EXPIRES_MAX_D, help="After how many days it ends."),
    ] = None,
    admin: Annotated[
        bool, typer.Option("--admin", help="Let it change the engine too.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a named key and print it; it cannot be shown again."""
    from vllm_pkg.state import keys  # noqa: PLC0415
    from vllm_pkg.state.secrets import Role  # noqa: PLC0415

    if not keys.is_valid_name(name):
        raise InvalidArgument(
            "the name of a key cannot be that", hint=f"give {keys.NAME_RULE}"
        )
    role = Role.ADMIN if admin else Role.USER
    new = keys.add_key(current_settings(), name, role, expires_days, keys.now_utc())
    if json:
        entry = new.entry.as_json()
        shown = {field: entry[field] for field in ("id", "name", "role", "expires")}
        print_json({API_KEY: new.key, **shown})
    else:
        print_text(new.key)


@app.command("list")
def list_all(*, json: JsonOption = False) -> None:
    """List the keys, those that have ended included, and how they were used."""
    from vllm_pkg.engine.guard.key_list import list_keys  # noqa: PLC0415
    from vllm_pkg.state import keys  # noqa: PLC0415

    listed = list_keys(current_settings(), keys.now_utc())
    if json:
        print_json({"keys": [key.as_json() for key in listed]})
        return
    header = ("Id", "Name", "Role", "State", "Ends", "Requests", "Last used")
    rows = [
        (
            *(key.id, key.name, str(key.role), key.state),
            "" if key.entry is None else keys.time_text(key.entry.expires),
            str(key.requests),
            keys.time_text(key.last_used),
        )
        for key in listed
    ]
    print_table(header, rows)


@app.command("revoke")
def revoke_key(
    wanted: Annotated[str, typer.Argument(help="Id or name.", metavar="ID|NAME")],
    *,
    json: JsonOption = False,
) -> None:
    """Refuse a named key from now on; requests that run already are not cut."""
    from vllm_pkg.state import keys  # noqa: PLC0415

    revoked = keys.revoke_key(current_settings(), wanted, keys.now_utc())
    if json:
        entry = revoked.as_json()
        print_json({field: entry[field] for field in ("id", "name", "revoked")})
    else:
        print_text(f"The key {revoked.name} ({revoked.id}) is revoked.")
