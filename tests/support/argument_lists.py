"""
Argument lists for ``vllm serve``: made by chance, known attacks, and made smaller.

Lists are made of pieces out of the real table of options, of the known attacks, and of
mutations of both, so that they lie close to what is accepted.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vllm_pkg.engine.options import Kind, Values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from vllm_pkg.engine.options import Option

ATTACKS: dict[str, list[str]] = {
    # Dotted names are moved behind the fixed arguments (reference 4.3 A).
    "key, dotted": ["m", "--api-key.x", "1"],
    "key, dotted and abbreviated": ["m", "--api-k.x", "1"],
    "host, dotted": ["m", "--host.x", "1"],
    "folder, dotted": ["m", "--download-dir.x", "1"],
    "socket, dotted": ["m", "--uds.x", "1"],
    "root path, dotted": ["m", "--root-path.x=1"],
    # A last dotted name swallows the first fixed argument (4.3 B).
    "host, swallowed": [
        *("m", "--host", "6.6.6.6", "--served-model-name", "a"),
        "--additional-config.x",
    ],
    "host lost, swallowed": ["m", "--api-key", "u", "--additional-config.x"],
    "host lost, short": ["m", "--served-model-name", "a", "-sc.x"],
    # A last --model takes it for the model (4.3 C).
    "model without value": ["--model"],
    # What nothing neutralises (4.4).
    "socket": ["m", "--uds", "/tmp/s"],  # noqa: S108  # a value
    "socket, abbreviated": ["m", "--ud=/s"],
    "root path": ["m", "--root-path", "/"],
    "root path, underscore": ["m", "--root_path=/v"],
    "root path, abbreviated": ["m", "--root", "/"],
    "headless": ["m", "--headless"],
    "headless, abbreviated": ["m", "--headl"],
    "no server": ["m", "--api-server-count", "0"],
    "no server, short": ["m", "-asc", "0"],
    "no server, underscore": ["m", "--api_server_count=0"],
    "gRPC": ["m", "--grpc"],
    "gRPC port": ["m", "--grpc-port", "5"],
    "TLS": ["m", "--ssl-keyfile", "k", "--ssl_certfile=c"],
    "mutual TLS": ["m", "--ssl-cert-reqs", "2"],
    "middleware": ["m", "--middleware", "a.b"],
    "middleware, abbreviated": ["m", "--mid=a.b"],
    "supervisor": ["m", "--data-parallel-multi-port-external-lb"],
    "supervisor, short": ["m", "-dpm"],
    "supervisor port": ["m", "--data-parallel-supervisor-port", "1"],
    "rank": ["m", "--data-parallel-rank", "1"],
    "rank, short": ["m", "-dpn", "1"],
    "node rank": ["m", "--node-rank", "1"],
    "nodes": ["m", "--nnodes", "2"],
    "nodes, short and joined": ["m", "-n2"],
    "nodes, hidden in a flag": ["m", "-ep=n2"],
    "other program": ["m", "--omni"],
    "tokens only": ["m", "--tokens-only"],
    "configuration file": ["m", "--config", "CONFIG"],
    "configuration file, joined": ["m", "--config=f.yaml"],
    "logging": ["m", "--logging-config", "{}"],
    "logging, dotted": ["m", "--logging-config.log_level", "DEBUG"],
    "logging file": ["m", "--log-config-file", "/f"],
    "help": ["m", "--help"],
    "help, joined": ["m", "--help=all"],
    "help, hidden in a flag": ["m", "-ep=h"],
    # What loads code or opens ports by design (4.7, 10).
    "tool plugin": ["m", "--tool-parser-plugin", "/p.py"],
    "reasoning plugin": ["m", "--reasoning_parser_plugin=/p.py"],
    "worker class": ["m", "--worker-cls", "a.b"],
    "worker extension": ["m", "--worker-ext", "a.b"],
    "scheduler class": ["m", "--scheduler-cls=a.b"],
    "processors": ["m", "--logits-processors", "a.b"],
    "io plugin": ["m", "--io-processor-plugin", "p"],
    "connector": ["m", "--kv-transfer-config.kv_connector_module_path", "a.b"],
    "events": ["m", "--kv-events-config", '{"enable_kv_cache_events": true}'],
}
# What vLLM alone stops, with a usage error: an attack on the service, not on its guard.
DENIALS: dict[str, list[str]] = {
    "port, dotted": ["m", "--port.x", "1"],
    "stray host": ["m", "--host", "6.6.6.6", "--additional-config.x"],
    "end of options": ["m", "--"],
    "two models": ["m", "--model", "n"],
    "empty argument": ["m", ""],
    "version": ["m", "--version"],
    "spaces": ["m", " --port"],
    "bare -O": ["m", "-O"],
}

_TEXTS = (
    *(
        "a",
        "mp",
        "org/name",
        "/p",
        "auto",
        "a.b",
        "x=y",
        "None",
        "true",
        "{}",
        "é",
        "a b",
    ),
    *("", "-", "--", "-1", "-0.5", "--host", "--port=9", "--model", "--config", "1k"),
    *("--omni", "-O", "a\nb", "--api-key.x", "@f", "0.0.0.0", "serve", ".", "+", "'"),
)
_JSONS = (
    *("{}", '{"a": 1}', '{"a": {"b": 80g}}', '{"--host": "x"}', "[]", "{", "null"),
    *('{"backend": "a.b"}', '{"method": "custom_class"}', '{"a": 1.5, "a": 2}'),
)
_NUMBERS = ("0", "1", "8192", "1k", "-1", "0.9", "-0.5", "1e3", "x", "-", "")
_KEYS = ("a", "a.b", "a_b", "a+", "a.b+", "", "a.", ".a", "model", "backend", "x=y")
_FRAGMENTS = "-_.=+ nO0hx"


@dataclass(frozen=True)
class ListMaker:
    """
    Makes lists by chance, the same ones for the same *random*.

    Args:
        options: The table, from `load_options`.
        random: Where chance comes from.
    """

    options: Mapping[str, Option]
    random: Random

    def make(self) -> list[str]:
        """Return one list."""
        random = self.random
        if random.random() < 0.05:
            base = list(random.choice(list((ATTACKS | DENIALS).values())))
        else:
            base = []
        for _ in range(random.randint(0, 5)):
            base[random.randint(0, len(base)) :] = self._piece()
        self._add_model(base)
        if random.random() < 0.4:
            for _ in range(random.randint(1, 2)):
                self._mutate(base)
        return base

    def _piece(self) -> list[str]:
        name = self.random.choice(list(self.options))
        option = self.options[name]
        if self.random.random() < 0.2:
            name = "--" + name[2:].replace("-", "_") if name[1] == "-" else name
        if option.is_object and self.random.random() < 0.4:
            name += "." + self.random.choice(_KEYS)
            return self._joined(name, [self._value(option)])
        count = {Values.NONE: 0, Values.ONE: 1}.get(option.values)
        if count is None:
            count = self.random.randint(0, 2)
        if self.random.random() < 0.03:
            count += self.random.choice((-1, 1))
        return self._joined(name, [self._value(option) for _ in range(count)])

    def _joined(self, name: str, values: list[str]) -> list[str]:
        if values and self.random.random() < 0.4:
            return [f"{name}={values[0]}", *values[1:]]
        return [name, *values]

    def _value(self, option: Option) -> str:
        pools = {Kind.TEXT: _TEXTS, Kind.NUMBER: _NUMBERS}
        pool = pools.get(option.kind, _JSONS)
        chance = self.random.random()
        if chance < 0.1:
            return self.random.choice(_TEXTS)
        # The first ones are the harmless ones, so that enough is accepted.
        return self.random.choice(pool[:4] if chance < 0.8 else pool)

    def _add_model(self, base: list[str]) -> None:
        chance = self.random.random()
        place = self.random.randint(0, len(base))
        if "m" in base or chance < 0.03:
            return
        if chance < 0.8:
            base.insert(0, "m")
        elif chance < 0.9:
            base.insert(place, "--model=m")
        elif chance < 0.95:
            base[place:place] = ["--model", "m"]
        else:
            base.insert(place, "m")

    def _mutate(self, base: list[str]) -> None:
        if not base:
            return
        random = self.random
        index = random.randrange(len(base))
        argument = base[index]
        place = random.randint(0, len(argument))
        changes: list[Callable[[], list[str]]] = [
            list,
            lambda: [argument, argument],
            lambda: [argument[:place]],
            lambda: [argument[:place] + argument[place + 1 :]],
            lambda: [argument[:place] + random.choice(_FRAGMENTS) + argument[place:]],
            lambda: [argument[:place], argument[place:]],
            lambda: [argument.swapcase()],
            lambda: [argument.replace("-", "_")],
            lambda: ["-" + argument],
            lambda: argument.split("=", 1),
            lambda: [argument + random.choice((".x", ".x+", "=", "+", " x", "\n"))],
            lambda: [argument, random.choice(_TEXTS)],
            lambda: [random.choice(string.ascii_letters) + argument],
        ]
        base[index : index + 1] = random.choice(changes)()
        if random.random() < 0.2:
            random.shuffle(base)


def make_smaller(
    arguments: Sequence[str], is_still_wrong: Callable[[list[str]], bool]
) -> list[str]:
    """
    Return a list that is still wrong and becomes right when any part of it goes.

    Args:
        arguments: A list that is wrong.
        is_still_wrong: Whether a list is wrong in the same way.
    """
    smallest = list(arguments)
    is_changed = True
    while is_changed:
        is_changed = False
        for candidate in _smaller(smallest):
            if is_still_wrong(candidate):
                smallest, is_changed = candidate, True
                break
    return smallest


def _smaller(arguments: list[str]) -> list[list[str]]:
    """Return every list with one argument, or one character of one, less."""
    shorter = [
        arguments[:index] + arguments[index + 1 :] for index in range(len(arguments))
    ]
    for index, argument in enumerate(arguments):
        for place in range(len(argument)):
            cut = argument[:place] + argument[place + 1 :]
            shorter.append([*arguments[:index], cut, *arguments[index + 1 :]])
    return shorter
