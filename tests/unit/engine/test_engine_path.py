"""The link through which an engine's own Python finds this package alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import vllm_pkg
from support.settings_factory import make_settings
from vllm_pkg.engine.engine_path import is_own_program, link_package
from vllm_pkg.errors import StateWriteFailed

PACKAGE = Path(vllm_pkg.__file__).parent


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with empty volumes."""
    return make_settings(tmp_path)


def test_programs_of_our_environment_are_own():
    """A program beside our Python imports what we import; another one does not."""
    assert is_own_program(str(Path(sys.executable).parent / "vllm"))
    assert not is_own_program("/elsewhere/bin/vllm")


def test_the_folder_holds_the_package_alone(settings):
    """A Python without any packages imports the guard through it."""
    link_package(settings)
    link_package(settings)
    assert [path.name for path in settings.engine_path_dir.iterdir()] == ["vllm_pkg"]
    code = "from vllm_pkg.engine.guard.middleware import Guard; print(Guard.__name__)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(settings.engine_path_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "Guard\n", done.stderr


def test_a_link_to_another_place_is_corrected(settings):
    """After an update the package may lie somewhere else."""
    settings.engine_path_dir.mkdir(parents=True)
    link = settings.engine_path_dir / "vllm_pkg"
    link.symlink_to("/nowhere")
    link_package(settings)
    assert link.resolve() == PACKAGE


def test_a_link_that_cannot_be_made_is_an_error(settings):
    """The engine must not start without its guard."""
    (settings.engine_path_dir / "vllm_pkg").mkdir(parents=True)
    with pytest.raises(StateWriteFailed, match="engine-path/vllm_pkg"):
        link_package(settings)
