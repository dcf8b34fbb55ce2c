"""The pinned version of vLLM stands in one place."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from vllm_pkg.package.manifest import load_manifest

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "variants", "scripts", ".ci")
FILES = ("Makefile", "manifest.yaml", "pyproject.toml")


def places(root, version):
    """Return where a version stands as a value: comments may explain with it."""
    folders = [path for name in FOLDERS for path in (root / name).rglob("*")]
    found = []
    for path in sorted([*folders, *(root / name for name in FILES)]):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or name.startswith("src/vllm_pkg/_data"):
            continue
        if path.suffix not in {"", ".py", ".toml", ".txt", ".yaml"}:
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if re.search(
                rf"(?<![\d.]){re.escape(version)}(?![\d.])", line.split("#")[0]
            ):
                found.append(f"{name}:{number}")
    return found


def test_the_pinned_version_stands_in_the_manifest_only():
    """No other file that a program reads repeats the version."""
    (place,) = places(ROOT, load_manifest().engine_version)
    assert place.startswith("manifest.yaml:")


@pytest.mark.parametrize(
    "name", ["Makefile", "src/vllm_pkg/cli.py", "variants/cpu/variant.yaml", ".ci/run"]
)
def test_a_second_place_is_found(tmp_path, name):
    """A file that repeats the version is found."""
    for folder in ("variants", "src/vllm_pkg", ".ci"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for file in FILES:
        shutil.copy(ROOT / file, tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    version = load_manifest().engine_version
    path.write_text(f"# {version}\nengine = vllm=={version}\nother = {version}.1\n")
    assert places(tmp_path, version)[-1 if name > "manifest" else 0] == f"{name}:2"
