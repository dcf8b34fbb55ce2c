"""Every configuration of every preset, against the vLLM that is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.vllm_introspection import introspect
from vllm_pkg.hardware.facts import Gpu, Hardware, Tier, Vendor
from vllm_pkg.models.fit import fit_preset
from vllm_pkg.models.local import Places
from vllm_pkg.models.presets import load_presets

if TYPE_CHECKING:
    from support.vllm_introspection import Introspection

pytestmark = [pytest.mark.engine, pytest.mark.timeout(330)]

LOCAL_MODELS = Path("/local-models")
# vLLM refuses a template that does not exist; its image has these.
TEMPLATES = (
    "tool_chat_template_llama3.2_json.jinja",
    "tool_chat_template_gemma4.jinja",
)
# One card per tier, of a kind that computes FP8 where the tier is AMD's.
CARDS = {
    Tier.NVIDIA_BLACKWELL: (Vendor.NVIDIA, "12.0"),
    Tier.NVIDIA_HOPPER: (Vendor.NVIDIA, "9.0"),
    Tier.NVIDIA_OLDER: (Vendor.NVIDIA, "8.6"),
    Tier.AMD: (Vendor.AMD, "gfx942"),
}
TYPED_WRONG = {
    "wrong tool parser": ["m", "--enable-auto-tool-choice", "--tool-call-parser", "qx"],
    "wrong reasoning parser": ["m", "--reasoning-parser", "qwen33"],
    "wrong option": ["m", "--moe-backends", "triton"],
    "wrong value": ["m", "--kv-cache-dtype", "fp9"],
    "wrong method": ["m", "--speculative-config", '{"method":"guess"}'],
    "wrong template": ["m", "--chat-template", "/none/such.jinja"],
    "bitsandbytes": [
        "unsloth/Mistral-Small-3.2-24B-Instruct-2506-bnb-4bit",
        "--quantization",
        "bitsandbytes",
        "--load-format",
        "bitsandbytes",
        "--tokenizer-mode",
        "mistral",
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "mistral",
    ],
}


def machine(tier: Tier, memory_gib: int, cards: int) -> Hardware:
    """Return a machine of a tier with as many equal cards."""
    gpus: tuple[Gpu, ...] = ()
    if tier is not Tier.CPU:
        vendor, capability = CARDS[tier]
        size_gib = memory_gib / cards
        gpus = tuple(
            Gpu(vendor, index, "card", capability, size_gib) for index in range(cards)
        )
    return Hardware(tier, memory_gib, memory_gib, gpus, "test", ())


def every_command(templates: Path) -> dict[str, list[str]]:
    """Return the final arguments per preset, tier, step and number of cards."""
    places = Places(templates, LOCAL_MODELS)
    commands = {}
    for preset in load_presets():
        for tier, configuration in preset.tiers.items():
            for step in configuration.context:
                for cards in (1, 2) if tier is not Tier.CPU else (1,):
                    hardware = machine(tier, step.memory_gib, cards)
                    fit = fit_preset(preset, hardware, places)
                    name = f"{preset.id} {tier} {step.memory_gib} GiB, {cards} cards"
                    commands[name] = list(fit.serve_args)
    return commands


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The final arguments of every configuration, where vLLM's templates exist."""
    templates = tmp_path_factory.mktemp("templates")
    for name in TEMPLATES:
        (templates / name).touch()
    return every_command(templates)


@pytest.fixture(scope="module")
def answers(commands) -> Introspection:
    """What the installed vLLM says about the wrong commands, and then all others."""
    return introspect([*TYPED_WRONG.values(), *commands.values()])


def test_pinned_version(answers):
    """The installed vLLM is the one that the presets were checked against."""
    assert answers.version.startswith("0.32.")


def test_every_configuration_is_accepted(commands, answers):
    """Options, values, parsers, methods and formats of all presets are vLLM's own."""
    found = {
        name: problems
        for index, name in enumerate(commands, len(TYPED_WRONG))
        if (problems := answers.problems(index))
    }
    assert found == {}


def test_every_configuration_was_asked(commands, answers):
    """All 54 configurations have a command, and vLLM reads what the fit decided."""
    assert len({name.rsplit(" ", 4)[0] for name in commands}) == 54
    for index, arguments in enumerate(commands.values(), len(TYPED_WRONG)):
        values = answers.parsed[index]["values"]
        length = arguments[arguments.index("--max-model-len") + 1]
        assert values["model"] == arguments[0]
        assert values["max_model_len"] == int(length)
    shared = list(commands).index("qwen36-27b nvidia-older 25 GiB, 2 cards")
    values = answers.parsed[len(TYPED_WRONG) + shared]["values"]
    assert values["tensor_parallel_size"] == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wrong tool parser", "tool parser 'qx' is not registered"),
        ("wrong reasoning parser", "reasoning parser 'qwen33' is not registered"),
        ("wrong option", "unrecognized arguments: --moe-backends"),
        ("wrong value", "argument --kv-cache-dtype: invalid choice: 'fp9'"),
        ("wrong method", "speculative method 'guess' is not registered"),
        ("wrong template", "/none/such.jinja"),
        ("bitsandbytes", "quantization method 'bitsandbytes' is not registered"),
        ("bitsandbytes", "load format 'bitsandbytes' is not registered"),
    ],
)
def test_checker_finds_what_is_wrong(answers, name, expected):
    """Positive control: the same checker finds each mistake and names it."""
    index = list(TYPED_WRONG).index(name)
    assert any(expected in problem for problem in answers.problems(index))
