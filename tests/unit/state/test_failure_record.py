"""The record of a failure with its named cause."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from support.settings_factory import make_settings
from vllm_pkg.state.records import (
    FailureRecord,
    SettingChange,
    read_failure,
    write_record,
)

PLAIN = FailureRecord("t", 2.0, "b", "s", "h", None, True, 3, ("l",))  # noqa: FBT003
NAMED = FailureRecord(
    at="t",
    at_s=2.0,
    boot_id="b",
    summary="s",
    hint="h",
    exit_code=1,
    is_final=True,
    starts=1,
    cause="context-exceeds-model",
    explanation="Too long.",
    evidence="ValueError: too long",
    changes=(
        SettingChange("--max-model-len", "2048"),
        SettingChange("--revision", is_removed=True),
        SettingChange("VLLM_CPU_KVCACHE_SPACE", "4"),
    ),
    selection="0a1b",
    fix="f",
    pid=7,
)


def test_the_cause_is_read_back(tmp_path):
    """Everything about the cause survives, the changes in their order."""
    settings = make_settings(tmp_path)
    write_record(settings.failure_file, NAMED)

    assert read_failure(settings) == NAMED


def test_a_record_of_an_older_version_has_no_cause(tmp_path):
    """A record without the new fields is understood as before."""
    settings = make_settings(tmp_path)
    document = asdict(PLAIN)
    for name in (
        *("cause", "explanation", "evidence", "changes", "selection"),
        *("fix", "pid"),
    ):
        del document[name]
    settings.run_dir.mkdir(parents=True)
    settings.failure_file.write_text(json.dumps(document))

    assert read_failure(settings) == PLAIN


@pytest.mark.parametrize("changes", [1, [1], [{"name": "x"}], None])
def test_changes_that_cannot_be_understood_make_it_absent(tmp_path, changes):
    """A change is never guessed."""
    settings = make_settings(tmp_path)
    settings.run_dir.mkdir(parents=True)
    document = asdict(NAMED) | {"changes": changes}
    settings.failure_file.write_text(json.dumps(document))

    assert read_failure(settings) is None


def test_options_and_variables():
    """An option begins with a dash."""
    assert [change.is_option for change in NAMED.changes] == [True, True, False]
