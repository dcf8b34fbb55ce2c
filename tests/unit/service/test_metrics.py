"""Figures for Prometheus, in its text format."""

from __future__ import annotations

import pytest

from support.settings_factory import make_settings
from vllm_pkg.service import jobs, metrics
from vllm_pkg.service.metrics import Metric, format_metrics
from vllm_pkg.service.status import collect


def test_labels_and_texts_are_escaped():
    """A name with quotes, a backslash or a newline cannot break the format."""
    metric = Metric("m", "a\\b\nc", (({"l": 'say "hi"\\\n'}, 1),))

    assert format_metrics([metric]) == (
        '# HELP m a\\\\b\\nc\n# TYPE m gauge\nm{l="say \\"hi\\"\\\\\\n"} 1\n'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (True, "1"),
        (False, "0"),
        (0.25, "0.25"),
        (2.0**60, str(2**60)),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
    ],
)
def test_numbers_are_written_as_prometheus_reads_them(value, text):
    """Whole numbers are whole, and what is no number has its name."""
    assert format_metrics([Metric("m", "t", (({}, value),))]).splitlines()[2] == (
        f"m {text}"
    )


def test_what_is_not_known_is_left_out():
    """A metric without any value is not named at all."""
    assert format_metrics([Metric("m", "t", (({}, None),)), Metric("n", "t", ())]) == ""


def test_one_result_and_one_phase_are_set(tmp_path):
    """Of the results of health just one is 1; without a start no phase is."""
    settings = make_settings(tmp_path)
    state = collect(settings)
    state["start"] = {"phase": "load", "readyAfterS": 12.5}
    text = metrics.metrics_text(settings, state)
    lines = text.splitlines()

    assert 'vllm_pkg_health{result="disabled"} 1' in lines
    assert 'vllm_pkg_health{result="success"} 0' in lines
    assert 'vllm_pkg_phase{phase="load"} 1' in lines
    assert 'vllm_pkg_phase{phase="ready"} 0' in lines
    assert "vllm_pkg_start_seconds 12.5" in lines
    assert "vllm_pkg_tasks 1" in lines
    assert "vllm_pkg_requests_total 0" in lines


def test_downloads_and_gpus_have_labels(tmp_path):
    """Each download that runs and each GPU is told apart."""
    path = tmp_path / "machine.json"
    path.write_text(
        '{"system_memory_gib": 64, "gpus": [{"vendor": "nvidia", "index": 0, "name":'
        ' "X", "compute_capability": "9.0", "memory_gib": 80}]}'
    )
    settings = make_settings(tmp_path, VLLM_PKG_HARDWARE=str(path))
    progress = {"repository": "org/x", "bytes_done": 5, "bytes_total": 9}
    with jobs.reporting(settings, jobs.Kind.PULL, "org/x", None) as reporter:
        reporter.progress(progress)
        lines = metrics.metrics_text(settings, None).splitlines()
    (job,) = jobs.list_jobs(settings)

    label = f'{{id="{job.id}",repository="org/x"}}'
    assert f"vllm_pkg_download_done_bytes{label} 5" in lines
    assert f"vllm_pkg_download_size_bytes{label} 9" in lines
    gpu = '{vendor="nvidia",gpu="0"}'
    assert f"vllm_pkg_gpu_memory_size_bytes{gpu} {80 * 2**30}" in lines
    assert not [line for line in lines if line.startswith("vllm_pkg_health")]
