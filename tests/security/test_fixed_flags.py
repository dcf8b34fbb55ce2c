"""
No accepted argument changes a fixed one: vLLM's own parser reads the whole command.

``VLLM_PKG_SEED=N`` repeats a run; the long form, ``VLLM_PKG_TORTURE=1``, makes ten
times as many lists.
"""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from random import Random

import pytest

from support.argument_lists import ATTACKS, DENIALS, ListMaker, make_smaller
from support.guarantees.plugin import is_long
from support.serve_parser import ServeParser, render_table
from vllm_pkg.engine.acceptor import Accepted, examine_arguments
from vllm_pkg.engine.command import build_command
from vllm_pkg.engine.options import (
    OPTIONS_FILE,
    Kind,
    Values,
    load_options,
    options_version,
)
from vllm_pkg.engine.reserved import ALLOWED_VALUES, RESERVED_OPTIONS
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.settings import load_settings
from vllm_pkg.state.store import Store

IS_LONG = is_long()
LISTS = 200_000 if IS_LONG else 12_000
BATCH = 500
PROFILES = ("startos", "standalone", "gpu-image")
OPTIONS = load_options()
ALLOWED = {
    name
    for name, option in OPTIONS.items()
    # The model is named once, and here it is there already.
    if option.name not in RESERVED_OPTIONS and name != "--model"
}
# Destinations in vLLM's namespace; each option's is its first name.
FIXED = {
    *("host", "port", "download_dir", "api_key", "uds", "root_path", "headless"),
    *("api_server_count", "grpc", "grpc_port", "middleware", "config", "subparser"),
    *("ssl_keyfile", "ssl_certfile", "ssl_ca_certs", "ssl_cert_reqs", "ssl_ciphers"),
    *("enable_ssl_refresh", "logging_config", "log_config_file", "tokens_only"),
    *("data_parallel_multi_port_external_lb", "data_parallel_external_lb"),
    *("data_parallel_hybrid_lb", "data_parallel_rank", "data_parallel_start_rank"),
    *("data_parallel_size_local", "data_parallel_address", "data_parallel_rpc_port"),
    *("data_parallel_supervisor_port", "nnodes", "node_rank", "master_addr"),
    *("master_port", "tool_parser_plugin", "reasoning_parser_plugin", "worker_cls"),
    *("worker_extension_cls", "scheduler_cls", "io_processor_plugin"),
    *("logits_processors", "kv_transfer_config", "kv_events_config"),
    *("ec_transfer_config", "ec_manager_config", "weight_transfer_config"),
    *("model_class_overrides", "dp_supervisor_probe_interval_s"),
    *("dp_supervisor_probe_timeout_s", "dp_supervisor_probe_failure_threshold"),
    "disable_log_stats",
}
WATCHED = sorted({*FIXED, "model_tag", "model"})
# What vLLM says when it splits a command otherwise than we do.
OTHERWISE = re.compile(
    "unrecognized arguments|expected .*argument|ambiguous option|ignored explicit"
)

pytestmark = [
    pytest.mark.engine,
    pytest.mark.security,
    pytest.mark.timeout(600),
]


def fixed_arguments(profile):
    """Return what the service appends under a profile."""
    settings = load_settings({"HOME": "/h", "VLLM_PKG_PROFILE": profile})
    command = build_command(
        settings,
        Store(("m",)),
        "Key0123456789ABCDEFGHI",
        engine_version="1",
        is_local_model=False,
    )
    return list(command.argv[3:])


class Judge:
    """Compares what vLLM makes of whole commands with the fixed values."""

    def __init__(self, parser):
        self.parser = parser
        self.denied = 0
        self.fixed = {profile: fixed_arguments(profile) for profile in PROFILES}
        self.expected = {
            profile: self._parse(profile, [["m"]])[0].values for profile in PROFILES
        }

    def _parse(self, profile, commands):
        fixed = self.fixed[profile]
        return self.parser.parse([[*part, *fixed] for part in commands], WATCHED)

    def judge(self, profile, accepted):
        """Return per accepted list what is wrong with it; nothing, or one text."""
        outcomes = self._parse(profile, [list(item.arguments) for item in accepted])
        return [
            self._wrong(profile, item.model, outcome)
            for item, outcome in zip(accepted, outcomes, strict=True)
        ]

    def _wrong(self, profile, model, outcome):
        if outcome.exit_code is not None:
            if outcome.exit_code == 0:
                return f"ends at once: {outcome.error}"
            # A wrong value is for vLLM to refuse, as long as it splits as we do.
            self.denied += 1
            found = OTHERWISE.search(outcome.error)
            return f"split otherwise: {outcome.error}" if found else ""
        wanted = {**self.expected[profile], "model_tag": repr(model)}
        changed = [
            f"{name}: {outcome.values[name]} instead of {wanted[name]}"
            for name in WATCHED
            if outcome.values[name] != wanted[name]
        ]
        return "; ".join(changed)


@pytest.fixture(scope="module", name="parser")
def parser_fixture():
    """The parser of the installed vLLM, started once."""
    with ServeParser() as parser:
        yield parser


@pytest.fixture(scope="module", name="judge")
def judge_fixture(parser):
    """The judge over that parser."""
    return Judge(parser)


def seeded_maker(seed):
    """Return a maker of lists that makes the same ones for the same seed."""
    return ListMaker(OPTIONS, Random(seed))  # noqa: S311  # tests, no secrets


def accept_all(arguments, _options):
    """Stand in for the acceptor, and accept everything."""
    return Accepted("m", tuple(arguments))


def find_violations(judge, accept, lists, profile):
    """Return every accepted list that changes a fixed value, with what it changes."""
    accepted = [
        (arguments, examined)
        for arguments in lists
        if isinstance(examined := accept(arguments, OPTIONS), Accepted)
    ]
    wrong = judge.judge(profile, [examined for _, examined in accepted])
    found = [
        (arguments, text)
        for (arguments, _), text in zip(accepted, wrong, strict=True)
        if text
    ]
    return accepted, found


def test_the_table_is_that_of_the_installed_vllm(parser):
    """The table of options is what the pinned and installed vLLM's parser knows."""
    table = parser.table()
    assert render_table(table) == OPTIONS_FILE.read_text()
    assert table["vllm"] == options_version() == load_manifest().engine_version


def test_every_reserved_option_is_watched(judge):
    """What is reserved is among the values that are compared, and has a value."""
    by_first_name = {name[2:].replace("-", "_") for name in RESERVED_OPTIONS}
    assert by_first_name - FIXED == {"help", "omni"}
    values = judge.expected["startos"]
    assert values["host"] == "'0.0.0.0'"
    assert values["port"] == "8000"
    assert values["download_dir"] == "'/data/models'"
    assert values["api_key"] == "['Key0123456789ABCDEFGHI']"
    assert values["model_tag"] == "'m'"
    assert values["subparser"] == "'serve'"
    # Of the two that vLLM leaves out of the namespace when they are not given.
    unset = {name for name in WATCHED if values[name] == "'not set'"}
    assert unset == {"logging_config", "log_config_file"}


def test_no_accepted_list_changes_a_fixed_value(judge, guarantee):
    """Of all lists that are accepted, none changes a fixed value."""
    seed = int(os.environ.get("VLLM_PKG_SEED") or secrets.randbelow(2**32))
    maker = seeded_maker(seed)
    counted: Counter[str] = Counter()
    violations: list[tuple[str, list[str], str]] = []
    denied_before = judge.denied
    for number in range(LISTS // BATCH):
        profile = PROFILES[number % len(PROFILES)]
        lists = [maker.make() for _ in range(BATCH)]
        accepted, found = find_violations(judge, examine_arguments, lists, profile)
        violations += [(profile, *item) for item in found]
        for _, examined in accepted:
            assert examine_arguments(examined.arguments, OPTIONS) == examined
            counted.update(names_of(examined.arguments))
        counted["accepted"] += len(accepted)
    guarantee(
        "fixed-flags",
        "No accepted argument changes host, port, key, guard or another fixed value",
        tried=LISTS,
        violations=len(violations),
        unit="generated argument lists, read by vLLM's own parser",
        control=f"{len(ATTACKS)} known attacks, without the acceptor",
    )
    # With -s, or on a failure.
    print(  # noqa: T201
        f"VLLM_PKG_SEED={seed}: {LISTS} lists, {counted['accepted']} accepted; "
        f"vLLM refused a value in {judge.denied - denied_before} of them"
    )
    assert not violations, explain(judge, *violations[0], seed)
    # It is only worth something when enough was accepted, of most options.
    assert counted["accepted"] > LISTS * 0.2
    assert len(set(counted) & ALLOWED) > len(ALLOWED) * 0.9


def test_every_allowed_option_is_accepted_and_changes_nothing(judge):
    """Each spelling of each option that is not reserved passes, with a plain value."""
    plain = {Kind.TEXT: "mp", Kind.NUMBER: "1"}
    values = {name: plain.get(option.kind, "{}") for name, option in OPTIONS.items()}
    values |= {name: allowed[0] for name, allowed in ALLOWED_VALUES.items()}
    lists = [
        ["m", name]
        if OPTIONS[name].values is Values.NONE
        else ["m", name, values[name]]
        for name in sorted(ALLOWED)
    ]
    accepted, found = find_violations(judge, examine_arguments, lists, "startos")
    assert [arguments for arguments, _ in accepted] == lists
    assert found == []


def names_of(arguments):
    """Return the names of options that stand in accepted arguments."""
    return {
        name for text in arguments if (name := re.split("[.=]", text)[0]) in OPTIONS
    }


def explain(judge, profile, arguments, text, seed):
    """Return what to show of a violation: the smallest list that shows it."""

    def is_wrong(candidate):
        return bool(find_violations(judge, examine_arguments, [candidate], profile)[1])

    smallest = make_smaller(arguments, is_wrong)
    return f"seed {seed}, {profile}: {smallest} (from {arguments}): {text}"


@pytest.mark.parametrize("name", ATTACKS)
def test_each_known_attack_is_found_and_refused(judge, name, tmp_path):
    """Positive control: without the acceptor the same check finds each known attack."""
    config = tmp_path / "c.yaml"
    config.write_text("middleware: [a.b]\nuds: /s\n")
    attack = [str(config) if part == "CONFIG" else part for part in ATTACKS[name]]
    _, found = find_violations(judge, accept_all, [attack], "startos")
    assert found != []
    assert not isinstance(examine_arguments(attack, OPTIONS), Accepted)


@pytest.mark.parametrize("name", DENIALS)
def test_what_vllm_alone_refuses_is_refused_earlier(judge, name):
    """What vLLM would end with a usage error is refused before it is stored."""
    (outcome,) = judge._parse("startos", [DENIALS[name]])
    assert outcome.exit_code in {0, 1, 2}
    assert not isinstance(examine_arguments(DENIALS[name], OPTIONS), Accepted)


def test_a_violation_is_made_small(judge):
    """A list with a violation is reduced to the arguments that make it."""
    arguments = ["m", "--enforce-eager", "--max-model-len", "8", "--headless", "-tp=1"]

    def is_wrong(candidate):
        _, found = find_violations(judge, accept_all, [candidate], "startos")
        return bool(found) and "headless: True" in found[0][1]

    assert make_smaller(arguments, is_wrong) == ["--hea"]


@pytest.mark.parametrize("name", ["--uds", "--middleware", "--nnodes", "--grpc"])
def test_the_search_finds_a_hole(judge, monkeypatch, name):
    """Positive control: an option that is not reserved any more is found by chance."""
    monkeypatch.delitem(RESERVED_OPTIONS, name)
    maker = seeded_maker(1)
    for _ in range(20_000 // BATCH):
        lists = [maker.make() for _ in range(BATCH)]
        _, found = find_violations(judge, examine_arguments, lists, "standalone")
        if found:
            break
    assert {text.partition(":")[0] for _, text in found} == {name[2:]}


def test_the_same_seed_makes_the_same_lists():
    """A printed seed repeats a run."""
    first, second, other = (
        [maker.make() for _ in range(50)]
        for maker in (seeded_maker(7), seeded_maker(7), seeded_maker(8))
    )
    assert first == second
    assert first != other
