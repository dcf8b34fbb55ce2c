"""The history of health: changes only, and not without end."""

from __future__ import annotations

import json

from support.settings_factory import make_settings
from vllm_pkg.health import history
from vllm_pkg.health.checker import HealthResult, Result
from vllm_pkg.health.history import CHANGES_MAX, note_health, read_history


def _results(settings) -> list[str]:
    return [change["result"] for change in read_history(settings)]


def test_only_changes_are_kept(tmp_path):
    """Percents of a load are no change; another reason of a failure is one."""
    settings = make_settings(tmp_path)
    for result, message in (
        (Result.LOADING, "1 %"),
        (Result.LOADING, "2 %"),
        (Result.SUCCESS, "ready"),
        (Result.FAILURE, "a"),
        (Result.FAILURE, "a"),
        (Result.FAILURE, "b"),
    ):
        note_health(settings, HealthResult(result, message))

    assert _results(settings) == ["loading", "success", "failure", "failure"]
    assert read_history(settings)[-1]["message"] == "b"
    assert settings.health_history_file.stat().st_mode & 0o777 == 0o600


def test_the_oldest_are_dropped(tmp_path):
    """There are never more than the limit."""
    settings = make_settings(tmp_path)
    settings.run_dir.mkdir(parents=True)
    line = json.dumps({"at": "", "result": "success", "message": ""}) + "\n"
    settings.health_history_file.write_text(line * CHANGES_MAX)
    note_health(settings, HealthResult(Result.FAILURE, "x"))

    assert len(_results(settings)) == CHANGES_MAX
    assert _results(settings)[-1] == "failure"


def test_what_is_damaged_is_left_out(tmp_path):
    """Neither a line that is none nor a file that cannot be read stops anything."""
    settings = make_settings(tmp_path)
    settings.run_dir.mkdir(parents=True)
    settings.health_history_file.write_bytes(b'{"result": "success"}\n\xff\n[]\n')
    assert _results(settings) == ["success"]

    settings.health_history_file.unlink()
    settings.health_history_file.mkdir()
    assert read_history(settings) == []
    note_health(settings, HealthResult(Result.FAILURE, "x"))
    assert history.read_history(settings) == []
