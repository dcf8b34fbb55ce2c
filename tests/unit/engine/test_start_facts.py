"""What is read of the machine and the installation, for the levers of a start."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.start_facts import (
    has_bytecode,
    physical_cores,
    read_start_facts,
)
from vllm_pkg.engine.start_levers import StartFacts


def _write_cpus(root, siblings):
    for number, text in enumerate(siblings):
        folder = root / f"sys/devices/system/cpu/cpu{number}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{text}\n")


def _install(prefix, *, packages=("torch", "transformers", "vllm"), compiled=()):
    for name in packages:
        folder = prefix / "lib" / "python3.12" / "dist-packages" / name
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        if name in compiled:
            (folder / "__pycache__" / "__init__.cpython-312.pyc").write_bytes(b"")
    return prefix / "bin" / "vllm"


@pytest.mark.parametrize(
    ("siblings", "cpus", "cores"),
    [
        (("0", "1"), {0, 1}, 2),
        (("0,2", "1,3", "0,2", "1,3"), {0, 1, 2, 3}, 2),
        (("0,2", "1,3", "0,2", "1,3"), {0, 2}, 1),
        (("0", "1"), {0, 1, 2}, None),
    ],
)
def test_cores_are_counted_not_threads(tmp_path, siblings, cpus, cores):
    """Two threads of a core count once; an unknown CPU makes it unknown."""
    _write_cpus(tmp_path, siblings)

    assert physical_cores(cpus, tmp_path) == cores


@pytest.mark.parametrize(
    ("compiled", "expected"),
    [
        (("torch", "transformers", "vllm"), True),
        (("torch", "vllm"), False),
        ((), False),
    ],
)
def test_bytecode_must_stand_beside_every_package(tmp_path, compiled, expected):
    """An image made without bytecode is told from one with it."""
    program = _install(tmp_path, compiled=compiled)

    assert has_bytecode(program) is expected


def test_packages_elsewhere_are_left_alone(tmp_path):
    """Where no package is found below the program's prefix, nothing is changed."""
    assert has_bytecode(tmp_path / "bin" / "vllm") is True


def test_facts_of_a_gpu_machine(tmp_path):
    """Where the CPU does not compute, its cores are not looked at."""
    program = str(_install(tmp_path))

    assert read_start_facts(program, {"A": "1"}, is_cpu=False) == StartFacts(
        is_cpu=False, cores=None, has_bytecode=False, set_names=frozenset({"A"})
    )


def test_facts_without_an_engine():
    """Before the engine is installed there is nothing to compile; cores are known."""
    facts = read_start_facts(None, {}, is_cpu=True)

    assert facts.has_bytecode
    assert facts.is_cpu
    assert facts.cores is not None
