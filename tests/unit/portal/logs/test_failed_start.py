"""Tests for finding the log in which a failure is told."""

from __future__ import annotations

import pytest

from support.settings_factory import make_settings
from vllm_pkg.portal.logs.failed_start import log_of_failure
from vllm_pkg.service.log_list import list_logs


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with the logs of two starts."""
    settings = make_settings(tmp_path)
    settings.logs_dir.mkdir(parents=True)
    (settings.logs_dir / "engine.log").write_text("boom\nbang\n")
    (settings.logs_dir / "engine-20261128T100000Z.log").write_text("boom\n")
    (settings.logs_dir / "engine-20261128T110000Z.log").write_text("boom\nbang\n")
    return settings


@pytest.mark.parametrize(
    ("evidence", "log"),
    [("boom", "start-20261128T110000Z"), ("nowhere", "engine")],
)
def test_the_newest_start_that_tells_it_is_chosen(settings, evidence, log):
    """Where no start's log has the line, the log of all of them is left."""
    assert log_of_failure(list_logs(settings), evidence) == log


def test_a_log_that_cannot_be_read_is_passed_over(settings):
    """A start's log that has become unreadable does not hide the one before."""
    logs = list_logs(settings)
    newest = settings.logs_dir / "engine-20261128T110000Z.log"
    newest.unlink()
    newest.symlink_to(newest)

    assert log_of_failure(logs, "boom") == "start-20261128T100000Z"
