"""A built wheel carries the files of the package themselves, not links to them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READ = """
import vllm_pkg
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.package.variants import load_variants
print(vllm_pkg.__file__)
print(load_manifest().id, *load_variants())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the repository as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "manifest.yaml",
        "variants/nvidia/variant.yaml",
        "variants/rocm/variant.yaml",
        "variants/cpu/variant.yaml",
        "variants/cpu/constraints.txt",
    ],
)
def test_the_wheel_holds_the_content_of_the_data(wheel, name):
    """Each data file is in the wheel, byte for byte, and as a regular file."""
    with zipfile.ZipFile(wheel) as archive:
        entry = archive.getinfo(f"vllm_pkg/_data/{name}")
        assert archive.read(entry) == (ROOT / name).read_bytes()
    assert (entry.external_attr >> 16) & 0o170000 in {0, 0o100000}


def test_the_package_of_the_wheel_reads_its_own_data(wheel, tmp_path):
    """Unpacked elsewhere, the package finds and understands its data."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    # Not under coverage: this copy is gone when the report is made.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        str(tmp_path / "vllm_pkg" / "__init__.py"),
        "vllm nvidia rocm cpu",
    ]
