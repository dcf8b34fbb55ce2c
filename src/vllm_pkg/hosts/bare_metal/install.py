"""
Install the engine beside the package: ``python -m vllm_pkg.hosts.bare_metal.install``.

It may be interrupted and run again at any time, and it ends at once when there is
nothing to do. What pip says goes to a log file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine.processes import run_command
from vllm_pkg.errors import ServiceError
from vllm_pkg.hardware.probe import ROOT
from vllm_pkg.hosts.bare_metal.installer import PROGRAM, Installer
from vllm_pkg.hosts.bare_metal.libraries import FOLDER, absent
from vllm_pkg.hosts.bare_metal.metadata import Site, own_site
from vllm_pkg.hosts.bare_metal.plan import (
    AliasStep,
    Facts,
    LibraryStep,
    PipStep,
    RequirementsStep,
    Step,
    choose_variant,
    plan_installation,
    required,
    unmet,
)
from vllm_pkg.package.loading import data_file
from vllm_pkg.package.variants import (
    NoInstallation,
    PipInstallation,
    VariantSpec,
    load_variants,
)
from vllm_pkg.settings import load_settings
from vllm_pkg.settings_table import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.hosts.bare_metal.running import RunCommand

LOG_NAME: Final = "vllm-pkg-install.log"
_INTERRUPTED: Final = 130


def find_facts(
    spec: PipInstallation | None, site: Site, constraints: Path, free_gib: float
) -> Facts:
    """
    Find out what an installation starts from.

    Args:
        spec: How the variant is installed; None: it is not.
        site: Where the packages are.
        constraints: The variant's file of versions.
        free_gib: Free space there, in GiB.
    """
    installed = site.installed()
    missing: tuple[str, ...] = ()
    if spec and not spec.engine.with_dependencies:
        names = site.requirements(spec.engine.distribution)
        missing = unmet(required(names, spec.engine.leave_out), installed)
    return Facts(
        python=sys.version_info[:2],
        free_gib=free_gib,
        installed=installed,
        unmet=missing,
        has_program=site.has_program(PROGRAM),
        absent_libraries=absent(spec.libraries) if spec else (),
        is_alias_ours=bool(
            spec and spec.alias and site.is_ours(spec.alias.distribution)
        ),
        engines=tuple(
            item.bare_metal.engine.distribution
            for item in load_variants().values()
            if isinstance(item.bare_metal, PipInstallation)
        ),
        constraints=constraints,
    )


def select_variant(
    wanted: str | None, environ: Mapping[str, str], root: Path = ROOT
) -> tuple[VariantSpec, tuple[str, ...]]:
    """
    Decide which variant to install: the one asked for, else the one that fits.

    Args:
        wanted: Name of a variant; None or empty: VLLM_PKG_VARIANT, else the hardware.
        environ: The environment.
        root: Where ``proc`` and ``sys`` are.
    Returns:
        The variant, and notes for people.
    """
    if wanted:
        environ = {**environ, "VLLM_PKG_VARIANT": wanted}
    settings = load_settings(environ)
    if settings.variant is not None:
        return load_variants()[settings.variant], ()
    # Only here: the bindings of the drivers take time to load.
    from vllm_pkg.hardware.detect import detect_hardware  # noqa: PLC0415

    variants = load_variants()
    rocm = variants[Variant.ROCM].bare_metal
    command = rocm.container_command if isinstance(rocm, NoInstallation) else ""
    variant, notes = choose_variant(detect_hardware(settings, root=root), command)
    return variants[variant], notes


def main(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    site: Site | None = None,
    run: RunCommand = run_command,
) -> int:
    """
    Run the installer.

    Args:
        argv: Arguments without the program's name.
        environ: The environment.
        site: Where the packages are; None: where this Python has them.
        run: Runs pip.
    Returns:
        Exit code.
    """
    options = _parse(argv)
    site = site or own_site()
    try:
        document = _install(options, environ, site, run)
    except ServiceError as error:
        if options.json:
            print(json.dumps(error.as_json()))  # noqa: T201
        else:
            print(f"error: {error.message}; {error.hint}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted; run it again to go on", file=sys.stderr)  # noqa: T201
        return _INTERRUPTED
    if options.json:
        print(json.dumps(document, indent=2))  # noqa: T201
    return 0


def _install(
    options: argparse.Namespace, environ: Mapping[str, str], site: Site, run: RunCommand
) -> dict[str, Any]:
    report = _silent if options.json else _print
    spec, notes = select_variant(options.variant, environ)
    for note in notes:
        report(f"note: {note}")
    target = spec.bare_metal if isinstance(spec.bare_metal, PipInstallation) else None
    facts = find_facts(target, site, _constraints(spec.variant), _free_gib(site))
    steps = plan_installation(spec.bare_metal, facts)
    if not steps:
        report(f"vLLM for {spec.variant} is installed, nothing to do")
    elif options.dry_run:
        for step in steps:
            report(f"{step.title}: {describe(step)}")
    elif target:
        log_file = site.packages.parent / LOG_NAME
        installer = Installer(site, log_file, report, run)
        report(f"Installing vLLM for {spec.variant}; pip's output: {log_file}")
        installer.carry_out(steps)
        installer.check(target)
        report(f"vLLM for {spec.variant} is installed")
    return {
        "variant": spec.variant.value,
        "notes": list(notes),
        "steps": [{"name": step.name, "what": describe(step)} for step in steps],
        "done": not options.dry_run or not steps,
    }


def describe(step: Step) -> str:
    """Return what a step runs or writes, one line."""
    match step:
        case PipStep():
            return ", else ".join(f"pip {' '.join(args)}" for args in step.attempts)
        case RequirementsStep():
            left_out = ", ".join(step.leave_out)
            return (
                f"pip install -c {step.constraints} <requirements of "
                f"{step.distribution} without {left_out}>"
            )
        case AliasStep():
            return f"write {step.alias.distribution}-{step.alias.version}.dist-info"
        case LibraryStep():
            return f"put {step.library.file} into {FOLDER}"


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m vllm_pkg.hosts.bare_metal.install",
        description="Install the engine beside the package.",
    )
    parser.add_argument(
        "--variant",
        choices=[item.value for item in Variant],
        help="which engine; default: VLLM_PKG_VARIANT, else what fits the hardware",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be done"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document and nothing else"
    )
    return parser.parse_args(argv)


def _constraints(variant: Variant) -> Path:
    # pip wants a file: the package is always installed as a folder, never as a zip.
    return Path(str(data_file("variants", variant.value, "constraints.txt")))


def _free_gib(site: Site) -> float:
    return shutil.disk_usage(site.packages).free / 2**30


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _silent(_line: str) -> None:
    """Say nothing: the output is one JSON document."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
