"""Sentences that the real program puts together, for those who have to know them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from support.sizing_cases import FULL, architecture, cpu_machine, gpu_machine
from vllm_pkg.actions import forms
from vllm_pkg.actions.delete_model_cache import size_text
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.engine.acceptor import accept_arguments
from vllm_pkg.engine.arguments import split_arguments
from vllm_pkg.engine.diagnosis.changes import describe_changes
from vllm_pkg.engine.exit_report import report_exit
from vllm_pkg.engine.options import load_options
from vllm_pkg.errors import InvalidArgument
from vllm_pkg.health.switch_text import describe_switch
from vllm_pkg.models.download.disk_plan import DiskPlan, Removable, format_bytes
from vllm_pkg.models.download.explain import error_for
from vllm_pkg.models.download.retry import Cause, Failure
from vllm_pkg.models.sizing.arguments import read_arguments
from vllm_pkg.models.sizing.assess import Assessment
from vllm_pkg.models.sizing.estimate import Situation
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.models.sizing.verdict import Verdict, decide
from vllm_pkg.models.sizing.wording import describe
from vllm_pkg.state.records import SettingChange
from vllm_pkg.state.store import ModelSelection
from vllm_pkg.state.switch import Selected, Switch, SwitchPhase
from vllm_pkg.state.switch_file import SwitchProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = "2026-01-01T00:00:00+00:00"
PATH = ("config", "value", "args")
_TEXT_RULE = forms.Pattern(
    regex="^[a-z]+/[a-z]+$", description="a token without spaces"
)
_CHOICES = {"a": "A", "b": "B", "c": "C"}
FIELDS: tuple[tuple[forms.Field, Any], ...] = (
    (forms.text("T", required=True), ""),
    (forms.text("T", required=True), 3),
    (forms.text("T", required=True), "a\0"),
    (forms.text("T", required=True, minLength=1, maxLength=1), "ab"),
    (forms.text("T", required=True, minLength=3), "ab"),
    (forms.text("T", required=True, maxLength=3), "abcd"),
    (forms.text("T", required=True, patterns=[_TEXT_RULE]), "a b"),
    (forms.text("T", required=True, masked=True, patterns=[_TEXT_RULE]), "a b"),
    (forms.text("T", required=True, masked=True), 3),
    (forms.number("T", required=True, integer=True), "x"),
    (forms.number("T", required=True, integer=True), 1.5),
    (forms.number("T", required=True, integer=False), float("inf")),
    (forms.number("T", required=True, integer=True, min=1), 0),
    (forms.number("T", required=True, integer=True, max=1), 3),
    (forms.number("T", required=True, integer=False, step=0.5), 0.7),
    (forms.toggle("T", default=False), "x"),
    (forms.tri_state("T", default=None), "x"),
    (forms.select("T", _CHOICES, default="a"), "x"),
    (forms.select("T", {}, default=None), None),
    (forms.select("T", _CHOICES, default="a", disabled=["b"]), "b"),
    (forms.multiselect("T", _CHOICES, minLength=1), []),
    (forms.multiselect("T", _CHOICES, minLength=2), ["a"]),
    (forms.multiselect("T", _CHOICES, maxLength=1), ["a", "b"]),
    (forms.multiselect("T", _CHOICES, maxLength=2), ["a", "b", "c"]),
    (forms.multiselect("T", _CHOICES), ["a", "a"]),
    (forms.multiselect("T", _CHOICES), "x"),
    (forms.list_of("T", forms.text_items(), minLength=1), []),
    (forms.list_of("T", forms.text_items(), minLength=2), ["a"]),
    (forms.list_of("T", forms.text_items(), maxLength=1), ["a", "b"]),
    (forms.list_of("T", forms.text_items(), maxLength=2), ["a", "b", "c"]),
    (forms.color("T", required=True), "red"),
    (forms.datetime("T", required=True, inputmode="date"), "x"),
    (forms.datetime("T", required=True, inputmode="time"), "x"),
    (forms.datetime("T", required=True), "x"),
    (
        forms.datetime("T", required=True, inputmode="date", min="2026-01-10"),
        "2026-01-01",
    ),
    (forms.datetime("T", required=True, inputmode="time", max="12:00"), "13:00"),
    (
        forms.file("T", required=True, extensions=[".pem", ".crt"]),
        {"path": "a.txt", "commitment": {"hash": "x", "size": 1}},
    ),
    (
        forms.union(
            "T",
            {
                "a": forms.variant("A", {}),
                "b": forms.variant("A model in the cache - it is empty", {}),
            },
            default="a",
            disabled=["b"],
        ),
        {"selection": "b", "value": {}},
    ),
)
TYPED = (
    "",
    "--max-model-len 8192",
    "org/m --zzqqxxzz",
    "org/m --max-model-lenn 8192",
    "org/m --host 0.0.0.0",
    "org/m --hos 0.0.0.0",
    "org/m --max-model-len",
    "org/m other/m",
    "org/m --enforce-eager other/m",
    "org/m --enforce-eager=1",
    "org/m --model other/m",
    "org/m '--max-model-len 8192'",
    "org/m --seed.x=1",
    "org/m --compilation-config.a..b=1",
    "org/m --compilation-config {x",
    "org/m --speculative-config.model=a.b",
    "org/m --uvicorn-log-level debug",
    "org/m -- x",
    "org/m \x01",
    "org/m \u2013x",
    "org/m 'open",
    "org/m \\",
)


def field_problems() -> Iterator[str]:
    """Yield what the check of each kind of field says to something wrong."""
    for field, value in FIELDS:
        try:
            validate_input({"t": field}, {"t": value})
        except InvalidArgument as error:
            yield from (problem.message for problem in error.fields)
        else:
            raise AssertionError(field, value)


def argument_problems() -> Iterator[str]:
    """Yield what is said to arguments that are refused."""
    for text in TYPED:
        try:
            accept_arguments(split_arguments(text, PATH), load_options(), PATH)
        except InvalidArgument as error:
            yield from (problem.message for problem in error.fields)
        else:
            raise AssertionError(text)


def download_errors() -> Iterator[str]:
    """Yield what is said about each way in which a transfer ends, and about disks."""
    for cause in Cause:
        for status, file in ((404, ""), (401, ""), (403, "model.safetensors")):
            for wait_s in (None, 3.0):
                failure = Failure(
                    cause,
                    "broken pipe",
                    status=status,
                    file=file,
                    retry_after_s=wait_s,
                )
                transfer = error_for(failure, "org/m", "main")
                yield from (transfer.message, transfer.hint)
    old = Removable("org/old", 5 * GIB, 0.0)
    for plan in (
        DiskPlan(9 * GIB, GIB),
        DiskPlan(9 * GIB, 6 * GIB, removable=(old,)),
        DiskPlan(90 * GIB, 6 * GIB, removable=(old,)),
    ):
        error = plan.error()
        yield from (error.message, error.hint)
    for size_bytes in (3, 3 * 1024, 3 * 1024**2, 3 * 1024**3, 3 * 1024**4):
        yield from (size_text(size_bytes), format_bytes(size_bytes))


def exit_reports() -> Iterator[str]:
    """Yield what is said about engines that have ended."""
    for code in (1, 2, -9, -15, 5):
        for lines in ((), ("ValueError: something odd",)):
            report = report_exit(code, lines)
            yield from (report.summary, report.hint)
    changes = (
        SettingChange("--a", "1"),
        SettingChange("--b"),
        SettingChange("--c", is_removed=True),
    )
    yield describe_changes(changes)


def fit_answers() -> Iterator[str]:
    """Yield what is said about models that run, run with a change, or do not run."""
    for weights_gib, machine, values in (
        (2, gpu_machine(24), {}),
        (2, cpu_machine(), {}),
        (2, gpu_machine(24, 24), {"--tensor-parallel-size": "2"}),
        (14, gpu_machine(24), {"--max-model-len": "32768"}),
        (90, gpu_machine(24), {}),
        (90, gpu_machine(24, 24), {"--tensor-parallel-size": "2"}),
        (2, gpu_machine(24), {"--tensor-parallel-size": "2"}),
        (2, gpu_machine(24, free_gib=9), {}),
        (2, gpu_machine(24), {"--max-model-len": "99999"}),
    ):
        model = architecture(*[FULL] * 32)
        situation = Situation(model, round(weights_gib * GIB), machine)
        decision = decide(situation, read_arguments(values))
        yield from describe(
            Assessment(
                "org/m", decision.verdict, decision=decision, situation=situation
            )
        )
    for hint in ("", "ask again with vllm-pkg model fit"):
        reason = "the Hub has not answered within 5 s"
        yield from describe(Assessment("org/m", Verdict.UNKNOWN, reason, hint))


def switch_notes() -> Iterator[str]:
    """Yield what is said about switches of models."""
    new, old = (
        Selected((name,), (), ModelSelection("custom", name))
        for name in ("org/new", "org/old")
    )
    switch = Switch("id", new, old, AT, AT)
    for is_stalled, total, eta_s in (
        (False, 0, None),
        (False, 2**30, None),
        (False, 2**30, 9.0),
        (False, 2**30, 130.0),
        (True, 2**30, None),
    ):
        yield describe_switch(
            switch,
            SwitchProgress("id", "org/new", 2**28, total, 1e6, eta_s, is_stalled, 9.0),
        )
    yield describe_switch(replace(switch, phase=SwitchPhase.PREPARED), None)


def all_produced() -> list[str]:
    """Return all of them."""
    return [
        *field_problems(),
        *argument_problems(),
        *download_errors(),
        *exit_reports(),
        *fit_answers(),
        *switch_notes(),
    ]
