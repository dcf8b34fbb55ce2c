"""Arguments of ``vllm serve`` as the request of an estimate of memory. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm_pkg.engine.acceptor import accept_arguments
from vllm_pkg.engine.command import CPU_CACHE_ENV, CPU_CACHE_SHARE
from vllm_pkg.engine.fetching import is_offline
from vllm_pkg.engine.options import Values, load_options
from vllm_pkg.models.sizing import arguments as sizing
from vllm_pkg.models.sizing.assess import Request
from vllm_pkg.models.sizing.hub_source import HubAccess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.engine.options import Option
    from vllm_pkg.hardware.facts import Hardware

ENDPOINT_ENV = "HF_ENDPOINT"
TOKEN_ENVS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_OPPOSITE = "--no-"


def build_request(
    serve_args: Sequence[str],
    hardware: Hardware,
    environ: Mapping[str, str],
    returned_gib: tuple[float, ...] = (),
) -> Request:
    """
    Return the request for an estimate of what the engine would be started with.

    Args:
        serve_args: What stands after ``vllm serve``.
        hardware: The machine.
        environ: The engine's environment.
        returned_gib: What the engine that runs now gives back first, per card.
    Raises:
        InvalidArgument: an argument is refused.
    """
    options = load_options()
    accepted = accept_arguments(serve_args, options, ("arguments",))
    values = option_values(accepted.arguments, options)
    token = next((environ[name] for name in TOKEN_ENVS if environ.get(name)), None)
    return Request(
        model=accepted.model,
        values=values,
        cpu_cache_gib=_cpu_cache_gib(values, hardware, environ),
        access=HubAccess(
            environ.get(ENDPOINT_ENV) or None, token, is_offline=is_offline(environ)
        ),
        returned_gib=returned_gib,
    )


def option_values(
    arguments: Sequence[str], options: Mapping[str, Option]
) -> dict[str, str]:
    """
    Return the last value of every option, by the name that the table calls it.

    An option without a value has the empty text; the opposite of a switch keeps its
    own name and takes the switch away. Of a dotted name the part before the dot counts.

    Args:
        arguments: In the form in which the acceptor returns them.
        options: The table, from `load_options`.
    """
    values: dict[str, str] = {}
    for position, argument in enumerate(arguments):
        spelled, has_value, value = argument.partition("=")
        option = options.get(spelled.partition(".")[0])
        if option is None:
            continue
        is_opposite = spelled.startswith(_OPPOSITE) and spelled != option.name
        name = spelled if is_opposite else option.name
        for other in option.names:
            values.pop(other, None)
        if not has_value and option.values is not Values.NONE:
            value = next(iter(arguments[position + 1 : position + 2]), "")
        values[name] = value
    return values


def _cpu_cache_gib(
    values: Mapping[str, str], hardware: Hardware, environ: Mapping[str, str]
) -> float | None:
    """Return what the KV cache gets on a CPU, as the engine's command decides it."""
    if hardware.accelerators:
        return None
    given = environ.get(CPU_CACHE_ENV, "")
    if given.isascii() and given.isdigit():
        return float(given)
    if sizing.CACHE_BYTES in values or sizing.UTILIZATION in values:
        return None
    return float(max(1, int(hardware.memory_gib * CPU_CACHE_SHARE)))
