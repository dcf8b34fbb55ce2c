"""Imports point one way, and the program never imports the engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).parent / "lint-imports"
LAYERS = (
    "cli",
    "portal",
    "service",
    "hosts",
    "actions",
    "engine",
    "health",
    "models",
    "state",
    "hardware",
    "package",
    "settings",
    "settings_table",
    "errors",
    "clock",
)


def lint(folder):
    """Run the linter with the configuration in a folder; return code and output."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"}
    done = subprocess.run(
        [LINTER, "--config", folder / "pyproject.toml", "--no-cache"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def package(tmp_path):
    """A package with all layers and the project's own contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    folder = tmp_path / "src" / "vllm_pkg"
    folder.mkdir(parents=True)
    for name in ("__init__", *LAYERS):
        (folder / f"{name}.py").touch()
    return tmp_path


def test_the_package_keeps_the_contracts():
    """No import of this package points the wrong way or at the engine."""
    code, output = lint(ROOT)
    assert code == 0, output
    assert "3 kept, 0 broken" in output


def test_a_package_without_violations_passes(package):
    """The contracts accept imports that point the right way."""
    text = "import vllm_pkg.state\nimport vllm_pkg.errors\n"
    (package / "src" / "vllm_pkg" / "cli.py").write_text(text)
    code, output = lint(package)
    assert code == 0, output


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("errors", "vllm_pkg.settings"),
        ("state", "vllm_pkg.models"),
        ("engine", "vllm_pkg.health"),
        ("health", "vllm_pkg.actions"),
        ("hosts", "vllm_pkg.cli"),
        ("service", "vllm_pkg.portal"),
        ("portal", "vllm_pkg.cli"),
        ("cli", "nicegui"),
        ("cli", "torch"),
        ("models", "vllm.config"),
    ],
)
def test_a_wrong_import_is_found(package, module, imported):
    """An import that points the wrong way breaks a contract, which names both."""
    text = f"import {imported}\n"
    (package / "src" / "vllm_pkg" / f"{module}.py").write_text(text)
    code, output = lint(package)
    assert code == 1
    assert "2 kept, 1 broken" in output
    assert f"vllm_pkg.{module} -> {imported.removesuffix('.config')}" in output
