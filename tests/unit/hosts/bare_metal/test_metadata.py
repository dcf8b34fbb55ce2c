"""Metadata of installed distributions, on real folders and with real pip."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vllm_pkg.hosts.bare_metal.metadata import Site, own_site, write_alias
from vllm_pkg.package.variants import Alias

ALIAS = Alias(distribution="vllm", version="9.9.0+cpu")


@pytest.fixture
def site(tmp_path):
    """An empty site."""
    packages, programs = tmp_path / "packages", tmp_path / "bin"
    packages.mkdir()
    programs.mkdir()
    return Site(packages, programs)


def add(site, folder, metadata, **files):
    """Write a distribution by hand."""
    path = site.packages / folder
    path.mkdir()
    (path / "METADATA").write_text(metadata)
    for name, text in files.items():
        (path / name).write_text(text)


def test_installed_reads_names_and_versions(site):
    """Names come out canonical; what an interrupted pip left does not count."""
    add(site, "Big_Name-1.0.dist-info", "Name: Big_Name\nVersion: 1.0\n")
    add(site, "~ig_name-0.9.dist-info", "Name: other\nVersion: 0.9\n")
    (site.packages / "empty-1.0.dist-info").mkdir()
    assert site.installed() == {"big-name": "1.0"}


def test_requirements_are_those_of_the_metadata(site):
    """Requirements are returned as they stand there; an absent name has none."""
    text = "Name: a\nVersion: 1\nRequires-Dist: b>=2\nRequires-Dist: c; extra == 'x'\n"
    add(site, "a-1.dist-info", text)
    add(site, "d-1.dist-info", "Name: d\nVersion: 1\n")
    assert site.requirements("A") == ("b>=2", "c; extra == 'x'")
    assert site.requirements("d") == ()
    assert site.requirements("e") == ()


def test_has_program(site):
    """A program is there when its file is."""
    assert not site.has_program("vllm")
    (site.programs / "vllm").touch()
    assert site.has_program("vllm")


def test_own_site_knows_this_python():
    """The Python that runs the tests has pytest, and its programs are found."""
    site = own_site()
    assert site.installed()["pytest"]
    assert site.has_program("pytest")


def test_an_alias_can_be_found_and_is_ours(site):
    """The written distribution has its name, version and writer, and nothing else."""
    folder = write_alias(site, ALIAS)
    assert folder.name == "vllm-9.9.0+cpu.dist-info"
    assert site.installed() == {"vllm": "9.9.0+cpu"}
    assert site.is_ours("vllm")
    assert sorted(item.name for item in site.packages.iterdir()) == [folder.name]


def test_a_foreign_distribution_is_not_ours(site):
    """What pip installed is told apart from what we wrote."""
    add(site, "vllm-1.dist-info", "Name: vllm\nVersion: 1\n", INSTALLER="pip\n")
    assert not site.is_ours("vllm")
    add(site, "torch-1.dist-info", "Name: torch\nVersion: 1\n")
    assert not site.is_ours("torch")


def test_an_older_alias_is_replaced_and_a_foreign_one_stays(site):
    """Of the same name only what we wrote is removed."""
    write_alias(site, Alias(distribution="vllm", version="9.8.0+cpu"))
    add(site, "vllm-1.dist-info", "Name: vllm\nVersion: 1\n", INSTALLER="pip\n")
    write_alias(site, ALIAS)
    assert sorted(item.name for item in site.packages.iterdir()) == [
        "vllm-1.dist-info",
        "vllm-9.9.0+cpu.dist-info",
    ]


def test_writing_goes_on_after_an_interruption(site):
    """A half-written folder of an earlier try is in nobody's way."""
    half = site.packages / ".vllm-9.9.0+cpu.dist-info.tmp"
    half.mkdir()
    (half / "rest").touch()
    write_alias(site, ALIAS)
    write_alias(site, ALIAS)
    assert sorted(item.name for item in site.packages.iterdir()) == [
        "vllm-9.9.0+cpu.dist-info"
    ]


def test_pip_can_remove_the_alias(tmp_path):
    """Real pip lists the written distribution and uninstalls it without a trace."""
    environment = tmp_path / "venv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", environment], check=True
    )
    (packages,) = environment.glob("lib/python*/site-packages")
    site = Site(packages, environment / "bin")
    write_alias(site, ALIAS)
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]
    listed = subprocess.run(
        [*pip, "list", "--format=freeze"], check=True, capture_output=True, text=True
    )
    assert "vllm==9.9.0+cpu" in listed.stdout
    subprocess.run([*pip, "uninstall", "-y", "vllm"], check=True, capture_output=True)
    assert list(packages.iterdir()) == []
