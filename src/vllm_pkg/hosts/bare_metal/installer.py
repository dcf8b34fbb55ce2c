"""Carrying a plan out: runs pip, writes metadata, and explains what failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.processes import run_command
from vllm_pkg.errors import InstallFailed
from vllm_pkg.hosts.bare_metal import failures
from vllm_pkg.hosts.bare_metal.libraries import add_library
from vllm_pkg.hosts.bare_metal.metadata import Site, write_alias
from vllm_pkg.hosts.bare_metal.plan import (
    AliasStep,
    LibraryStep,
    PipStep,
    RequirementsStep,
    Step,
    required,
)
from vllm_pkg.hosts.bare_metal.running import pip_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vllm_pkg.hosts.bare_metal.running import RunCommand
    from vllm_pkg.package.variants import PipInstallation

PROGRAM: Final = "vllm"


@dataclass(frozen=True)
class Installer:
    """
    Carries a plan out.

    Args:
        site: Where the packages go.
        log_file: Where pip's output goes.
        report: Takes lines of progress for people.
        run: Runs pip.
    """

    site: Site
    log_file: Path
    report: Callable[[str], None]
    run: RunCommand = run_command

    def carry_out(self, steps: Sequence[Step]) -> None:
        """
        Do all steps.

        Raises:
            InstallFailed: one failed; what was done before it stays.
            StateWriteFailed: the folder of packages cannot be written.
        """
        for number, step in enumerate(steps, start=1):
            self.report(f"[{number}/{len(steps)}] {step.title}")
            try:
                self._do(step)
            except OSError as error:
                what = f"installing {step.title} failed: {error}"
                raise InstallFailed(what) from error

    def _do(self, step: Step) -> None:
        match step:
            case PipStep():
                self._run_pip(step.title, step.attempts)
            case RequirementsStep():
                self._run_pip(step.title, (self._requirements(step),))
            case AliasStep():
                write_alias(self.site, step.alias)
            case LibraryStep():
                add_library(self.site, step.library, self.run, self.log_file)

    def check(self, spec: PipInstallation) -> None:
        """
        Make sure that the engine can be found under the names it is looked up by.

        Raises:
            InstallFailed: it cannot.
        """
        known = spec.alias or spec.engine
        if self.site.installed().get(known.distribution) != known.version:
            what = f"{known.distribution} {known.version} is still not installed"
            raise InstallFailed(what, hint=f"read {self.log_file}")
        if not self.site.has_program(PROGRAM):
            what = f"there is no program {self.site.programs / PROGRAM}"
            raise InstallFailed(what, hint=f"read {self.log_file}")

    def _requirements(self, step: RequirementsStep) -> tuple[str, ...]:
        names = self.site.requirements(step.distribution)
        wanted = required(names, step.leave_out)
        return ("install", "-c", str(step.constraints), *wanted)

    def _run_pip(self, title: str, attempts: tuple[tuple[str, ...], ...]) -> None:
        failure = None
        for arguments in attempts:
            if failure is not None:
                self.report(f"      {failure.summary}; trying the public index")
            failure = self._try_pip(arguments)
            if failure is None:
                return
            if failure.cause in {failures.Cause.DISK, failures.Cause.PERMISSION}:
                break
        if failure is not None:
            raise InstallFailed(
                f"installing {title} failed: {failure.summary}",
                hint=f"{failure.hint}; pip's output is in {self.log_file}",
            )

    def _try_pip(self, arguments: tuple[str, ...]) -> failures.Failure | None:
        argv = pip_command(arguments)
        with self.log_file.open("ab") as log:
            log.write(f"$ {' '.join(argv)}\n".encode())
            start_bytes = log.tell()
        code = self.run(argv, log_file=self.log_file)
        if code == 0:
            return None
        with self.log_file.open("rb") as log:
            log.seek(start_bytes)
            output = log.read().decode(errors="replace")
        return failures.explain(output, code)
