"""
What to do so that the engine is installed: decided from facts, without I/O.

An installation that was interrupted goes on where it stopped: each step is left out
when the facts show that it is done, and an empty plan means that all of it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from vllm_pkg.errors import InstallFailed
from vllm_pkg.hardware.facts import Tier, Vendor
from vllm_pkg.package.variants import (
    Alias,
    Library,
    NoInstallation,
    PipInstallation,
)
from vllm_pkg.settings_table import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from vllm_pkg.hardware.facts import Hardware

_NVIDIA_TIERS: Final = (Tier.NVIDIA_BLACKWELL, Tier.NVIDIA_HOPPER, Tier.NVIDIA_OLDER)
_FRESH: Final = "make a fresh environment: make clean setup"


@dataclass(frozen=True)
class Facts:
    """
    What an installation starts from.

    Args:
        python: Version of the Python that runs, such as ``(3, 11)``.
        free_gib: Free space where the packages go, in GiB.
        installed: Version of each installed distribution, by canonical name.
        unmet: Requirements of the installed engine that are not met.
        has_program: Whether the program ``vllm`` is there.
        absent_libraries: File names of needed libraries that cannot be loaded.
        is_alias_ours: Whether the installed alias was written by this package.
        engines: Names of the distributions that are the engine of some variant.
        constraints: File with the versions of everything that is not pinned itself.
    """

    python: tuple[int, int]
    free_gib: float
    installed: Mapping[str, str]
    unmet: tuple[str, ...]
    has_program: bool
    absent_libraries: tuple[str, ...]
    is_alias_ours: bool
    engines: tuple[str, ...]
    constraints: Path


@dataclass(frozen=True)
class PipStep:
    """
    One run of pip.

    Args:
        name: Short name, for logs and JSON.
        title: What it installs, for people.
        attempts: Arguments of pip; the next ones are tried when the ones before fail.
    """

    name: str
    title: str
    attempts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class RequirementsStep:
    """
    One run of pip with the requirements that an installed distribution names.

    They are known only once the distribution is there; `required` selects them.
    """

    name: str
    title: str
    distribution: str
    leave_out: tuple[str, ...]
    constraints: Path


@dataclass(frozen=True)
class AliasStep:
    """Writing a distribution without code."""

    name: str
    title: str
    alias: Alias


@dataclass(frozen=True)
class LibraryStep:
    """Putting a library of the operating system beside the packages."""

    name: str
    title: str
    library: Library


Step = PipStep | RequirementsStep | AliasStep | LibraryStep


def choose_variant(
    hardware: Hardware, container_command: str
) -> tuple[Variant, tuple[str, ...]]:
    """
    Choose the variant for a machine.

    Args:
        hardware: What the machine is.
        container_command: How vLLM runs on AMD GPUs, for a machine that may have one.
    Returns:
        The variant, and notes that explain it to people.
    """
    if hardware.tier in _NVIDIA_TIERS:
        return Variant.NVIDIA, ()
    if hardware.tier is Tier.AMD:
        return Variant.ROCM, ()
    notes = hardware.notes
    if hardware.tier is None:
        notes += ("the GPU cannot be used: installing the engine for the CPU",)
    if Vendor.AMD in hardware.unseen:
        notes += (f"on a discrete AMD GPU vLLM runs like this: {container_command}",)
    return Variant.CPU, notes


def plan_installation(
    installation: PipInstallation | NoInstallation, facts: Facts
) -> tuple[Step, ...]:
    """
    Decide what is left to do.

    Args:
        installation: What the variant says.
        facts: What is there.
    Returns:
        The steps in order; empty when the engine is installed and whole.
    Raises:
        InstallFailed: it cannot work here; the error says what to do instead.
    """
    if isinstance(installation, NoInstallation):
        command = installation.container_command
        raise InstallFailed(
            installation.reason,
            hint=f"set VLLM_PKG_VARIANT=cpu to use the CPU, or run: {command}",
        )
    _refuse_python(installation, facts.python)
    _refuse_other_engine(installation, facts)
    steps = _steps(installation, facts)
    if steps and facts.free_gib < installation.disk_gib:
        raise InstallFailed(
            f"the engine needs {installation.disk_gib} GiB of free disk space, "
            f"and there are {facts.free_gib:.1f} GiB",
            hint="free some disk space and run it again",
        )
    return steps


def required(requirements: Sequence[str], leave_out: Sequence[str]) -> tuple[str, ...]:
    """
    Select the requirements that hold on this machine.

    Args:
        requirements: As the metadata of a distribution names them.
        leave_out: Names that are not wanted.
    Returns:
        The requirements without their markers.
    """
    without = {canonicalize_name(name) for name in leave_out}
    selected = []
    for text in requirements:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) in without:
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        requirement.marker = None
        selected.append(str(requirement))
    return tuple(selected)


def unmet(requirements: Sequence[str], installed: Mapping[str, str]) -> tuple[str, ...]:
    """
    Return the requirements that no installed distribution meets.

    Args:
        requirements: Without markers, as `required` returns them.
        installed: Version of each installed distribution, by canonical name.
    """
    missing = []
    for text in requirements:
        requirement = Requirement(text)
        version = installed.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(
            version, prereleases=True
        ):
            missing.append(text)
    return tuple(missing)


def _steps(installation: PipInstallation, facts: Facts) -> tuple[Step, ...]:
    # Libraries first: they are what a person may have to see to.
    steps: list[Step] = [
        LibraryStep("library", f"{library.file} of {library.debian_package}", library)
        for library in installation.libraries
        if library.file in facts.absent_libraries
    ]
    return (*steps, *_pip_steps(installation, facts))


def _pip_steps(installation: PipInstallation, facts: Facts) -> tuple[Step, ...]:
    steps: list[Step] = []
    torch, engine, alias = installation.torch, installation.engine, installation.alias
    if torch and facts.installed.get("torch") != torch.version:
        constraints = ("-c", str(facts.constraints))
        plain = ("install", f"torch=={torch.version}", *constraints)
        public = (*plain, "--extra-index-url", torch.extra_index_url)
        title = f"PyTorch {torch.version}"
        steps.append(PipStep("torch", title, (plain, public)))
    has_engine = facts.has_program and _has(facts, engine.distribution, engine.version)
    if not has_engine:
        steps.append(_engine_step(installation, facts))
    has_alias = alias is None or _has(facts, alias.distribution, alias.version)
    # The alias is written last, so it also stands for requirements that are complete.
    is_complete = has_engine and has_alias and not facts.unmet
    if not engine.with_dependencies and not is_complete:
        steps.append(
            RequirementsStep(
                "requirements",
                f"what {engine.distribution} needs",
                engine.distribution,
                engine.leave_out,
                facts.constraints,
            )
        )
    if alias and not has_alias:
        title = f"metadata of {alias.distribution} {alias.version}"
        steps.append(AliasStep("alias", title, alias))
    for text in installation.carried:
        if unmet((text,), facts.installed):
            arguments = ("install", "--no-deps", text)
            steps.append(PipStep("carried", text, (arguments,)))
    return tuple(steps)


def _engine_step(installation: PipInstallation, facts: Facts) -> PipStep:
    engine = installation.engine
    arguments = ["install", f"{engine.distribution}=={engine.version}"]
    if engine.with_dependencies:
        arguments += ["-c", str(facts.constraints)]
    else:
        arguments.append("--no-deps")
    if engine.distribution in facts.installed:
        # There, but without its program: pip would say that it is satisfied.
        arguments.append("--force-reinstall")
    title = f"vLLM: {engine.distribution} {engine.version}"
    return PipStep("engine", title, (tuple(arguments),))


def _has(facts: Facts, name: str, version: str) -> bool:
    return facts.installed.get(canonicalize_name(name)) == version


def _refuse_python(installation: PipInstallation, python: tuple[int, int]) -> None:
    least, below = installation.python.least, installation.python.below
    if least <= python < below:
        return
    newest = f"{below[0]}.{below[1] - 1}"
    raise InstallFailed(
        f"this is Python {python[0]}.{python[1]}, and the engine runs on "
        f"{least[0]}.{least[1]} to {newest}",
        hint=f"make clean, then name another one: make setup PYTHON=python{newest}",
    )


def _refuse_other_engine(installation: PipInstallation, facts: Facts) -> None:
    alias = installation.alias
    own = {installation.engine.distribution}
    if alias:
        own.add(alias.distribution)
    for name in facts.engines:
        if name not in own and name in facts.installed:
            what = f"{name} {facts.installed[name]}, the engine of another variant,"
            raise InstallFailed(f"{what} is installed in this environment", hint=_FRESH)
    if alias is None or facts.is_alias_ours:
        return
    found = facts.installed.get(alias.distribution, alias.version)
    if found != alias.version:
        what = f"{alias.distribution} {found} is installed in this environment"
        raise InstallFailed(f"{what}, and it is not ours to replace", hint=_FRESH)
