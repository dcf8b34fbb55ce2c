"""A function that is called in a program of its own."""

from __future__ import annotations

import os
import sys

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine import apart, prctl
from vllm_pkg.engine.apart import call_apart
from vllm_pkg.engine.fit_check import assess_here
from vllm_pkg.errors import EngineError, FieldProblem, InvalidArgument, SettingsInvalid
from vllm_pkg.models.local import LocalModel, ensure_local_model, find_places
from vllm_pkg.models.sizing.verdict import Verdict


def test_the_result_comes_back_from_another_process():
    """It is another process, and what it answers is a plain value."""
    pid, parent = call_apart(os.getpid), call_apart(os.getppid)

    assert pid != os.getpid()
    assert parent == os.getpid()


def test_what_it_prints_is_no_answer(capfd):
    """Its standard output is our standard error."""
    assert call_apart(print, "hello") is None

    out, err = capfd.readouterr()
    assert (out, err) == ("", "hello\n")


def test_an_assessment_survives_the_way(tmp_path):
    """The values of an estimate come back as they are."""
    settings = make_settings(tmp_path)
    ensure_local_model(settings, LocalModel.TINY)
    model = str(find_places(settings).local_models / "tiny")
    arguments = (model, "--max-model-len", "512")

    here = assess_here(settings, arguments)
    there = call_apart(assess_here, settings, arguments)

    assert there.verdict is Verdict.RUNS
    assert there.situation is not None
    assert here.situation is not None
    assert there.situation.architecture == here.situation.architecture
    assert there.situation.weights_bytes == here.situation.weights_bytes


def test_an_error_is_raised_here(tmp_path):
    """With its class, its message, its hint and its fields."""
    settings = make_settings(tmp_path)

    with pytest.raises(InvalidArgument) as caught:
        call_apart(assess_here, settings, ("org/name", "--no-such-option"))

    with pytest.raises(InvalidArgument) as expected:
        assess_here(settings, ("org/name", "--no-such-option"))
    assert caught.value.as_json() == expected.value.as_json()
    assert all(isinstance(field, FieldProblem) for field in caught.value.fields)


def test_a_crash_is_told():
    """What is no error of ours ends the program, and is an error of the engine's."""
    with pytest.raises(EngineError, match="chdir ended with code 1"):
        call_apart(os.chdir, "/no/such/folder")


def test_a_program_that_cannot_start_is_told(monkeypatch):
    """Such as when the interpreter is gone."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    with pytest.raises(EngineError, match="no program can be started: No such file"):
        call_apart(os.getpid)


def test_an_error_that_is_returned_is_raised():
    """A value that is an error counts as one."""
    with pytest.raises(SettingsInvalid, match="it is wrong"):
        call_apart(SettingsInvalid, "it is wrong")


def test_without_a_parent_nothing_is_done(monkeypatch):
    """Who asked has ended meanwhile."""
    monkeypatch.setattr(prctl, "end_with_parent", lambda: False)

    assert apart.main() == 1
