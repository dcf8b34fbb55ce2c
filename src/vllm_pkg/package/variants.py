"""The variants: how the package looks per kind of accelerator."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from vllm_pkg.errors import PackageDataInvalid
from vllm_pkg.package.loading import Localised, PackageModel, Tuple, load_data
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.settings_table import Variant

VARIANT_FILE: Final = "variant.yaml"
CONSTRAINTS_FILE: Final = "constraints.txt"


class RegistryImage(PackageModel):
    """
    A container image that others publish, used unmodified.

    Args:
        source: Tells the kinds of images apart.
        name: Its name without tag.
        tag: The tag of the pinned version.
        digest: What the tag stood for, ``sha256:...``; None: not known.
        digest_missing_because: Why the digest is not known, and who has to find it out.
    """

    source: Literal["registry"]
    name: str
    tag: str
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None
    digest_missing_because: str | None = None

    @model_validator(mode="after")
    def _digest_or_reason(self) -> Self:
        if (self.digest is None) == (self.digest_missing_because is None):
            message = "expected either digest or digestMissingBecause"
            raise ValueError(message)
        return self


class BuiltImage(PackageModel):
    """A container image built from vLLM's sources at a tag of its repository."""

    source: Literal["build"]
    repository: Annotated[str, Field(pattern=r"^https://")]
    ref: str
    dockerfile: str


class DeviceFilter(PackageModel):
    """A device the host must have; patterns are of Rust's regex dialect."""

    device_class: Annotated[
        Literal["display", "processor"],
        Field(alias="class"),
    ]
    driver: str | None
    product: str | None
    vendor: str | None
    description: Localised


class HardwareRequirements(PackageModel):
    """
    What the host must have.

    Args:
        device: Each filter must be met by some device.
        ram: Least memory in bytes; None: any.
    """

    device: Tuple[DeviceFilter]
    ram: Annotated[int, Field(gt=0)] | None


def _version_parts(value: object) -> object:
    if isinstance(value, str) and value.count(".") == 1:
        major, _, minor = value.partition(".")
        if major.isdigit() and minor.isdigit():
            return (int(major), int(minor))
    message = f"expected a Python version such as '3.11', got {value!r}"
    raise ValueError(message)


PythonVersion = Annotated[tuple[int, int], BeforeValidator(_version_parts)]


class PythonRange(PackageModel):
    """Versions of Python the engine runs on: ``least`` up to, but not, ``below``."""

    least: PythonVersion
    below: PythonVersion


class TorchWheel(PackageModel):
    """A build of PyTorch, and the public index that has it."""

    version: str
    extra_index_url: Annotated[str, Field(pattern=r"^https://")]


class EngineDistribution(PackageModel):
    """
    The distribution that is the engine.

    Args:
        distribution: Its name.
        version: Its version.
        with_dependencies: Whether pip resolves its requirements; if not, they are read
            from its metadata and installed in a step of their own.
        leave_out: Names of requirements that are not installed in that step.
    """

    distribution: str
    version: str
    with_dependencies: bool
    leave_out: Tuple[str] = ()


class Alias(PackageModel):
    """A distribution without code, for a name the engine looks itself up under."""

    distribution: str
    version: str


class Library(PackageModel):
    """
    A shared library of the operating system.

    Args:
        file: The name it is loaded by.
        debian_package: What has it on Debian and Ubuntu.
        fedora_package: What has it on Fedora and its relatives.
    """

    file: Annotated[str, Field(pattern=r"^lib[^/]+\.so\.\d+$")]
    debian_package: str
    fedora_package: str


class PipInstallation(PackageModel):
    """
    How pip installs the engine on this machine itself.

    Args:
        kind: Tells the kinds apart.
        python: Versions of Python it runs on.
        disk_gib: Free space the installation needs, in GiB.
        torch: A build of PyTorch to install first; None: the engine brings its own.
        engine: The engine.
        alias: A distribution without code that it needs.
        libraries: Libraries of the operating system that it needs.
        constraints: File beside variant.yaml with the versions of everything else.
        carried: Requirements installed without their own dependencies.
    """

    kind: Literal["pip"]
    python: PythonRange
    disk_gib: Annotated[int, Field(gt=0)]
    torch: TorchWheel | None = None
    engine: EngineDistribution
    alias: Alias | None = None
    libraries: Tuple[Library] = ()
    constraints: Literal["constraints.txt"]
    carried: Tuple[str]


class NoInstallation(PackageModel):
    """Why the engine is not installed on this machine itself, and what to do."""

    kind: Literal["container"]
    reason: str
    container_command: str


class VariantSpec(PackageModel):
    """One variant of the package."""

    variant: Annotated[Variant, Field(strict=False)]
    image: Annotated[RegistryImage | BuiltImage, Field(discriminator="source")]
    arches: Annotated[Tuple[Literal["x86_64", "aarch64"]], Field(min_length=1)]
    nvidia_container: bool
    hardware_acceleration: bool
    hardware_requirements: HardwareRequirements
    bare_metal: Annotated[PipInstallation | NoInstallation, Field(discriminator="kind")]


@cache
def load_variants() -> dict[Variant, VariantSpec]:
    """
    Read all variants, with the pinned version of vLLM filled in.

    Raises:
        PackageDataInvalid: a file is missing or wrong; the message names the key.
    """
    version = load_manifest().engine_version
    specs = {item: _load(item, version) for item in Variant}
    for name, spec in specs.items():
        if spec.variant is not name:
            raise PackageDataInvalid(
                f"variants/{name}/{VARIANT_FILE}: variant: "
                f"expected {name.value!r}, got {spec.variant.value!r}"
            )
    return specs


def _load(variant: Variant, version: str) -> VariantSpec:
    names = ("variants", variant.value, VARIANT_FILE)
    return load_data(VariantSpec, *names, vllm=version)
