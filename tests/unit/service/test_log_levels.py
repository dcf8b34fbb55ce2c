"""Tests for telling how grave a line of a log is."""

from __future__ import annotations

import pytest

from vllm_pkg.service.log_levels import Level, level_of


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("(EngineCore pid=9) ERROR 11-21 20:00:01 [core.py:700] boom", Level.ERROR),
        ("(APIServer pid=9) INFO 11-21 20:00:01 [api.py:7] error: no", Level.INFO),
        ("(APIServer pid=1) (Worker_TP0 pid=2) ERROR 11-28 no", Level.ERROR),
        ("WARNING 11-21 20:00:01 [arg.py:1] careful", Level.WARNING),
        ("FATAL gone", Level.ERROR),
        ("INFO:     Application startup complete.", Level.INFO),
        ("(APIServer pid=9) INFO:     127.0.0.1:1 - GET /health", Level.INFO),
        ("WARNING:root:careful", Level.WARNING),
        ("CRITICAL: boom", Level.ERROR),
        ("2026-11-28 16:09:54,123 WARN No file matches", Level.WARNING),
        ("2026-11-28 16:09:54,123 CRIT Supervisor is running", Level.ERROR),
        ("[2026-11-28T16:09:54Z] DEBUG details", Level.DEBUG),
        ("[INFO] told", Level.INFO),
        ("[W1128 16:00:00.123456 socket.cpp:1] warned", Level.WARNING),
        ("E1128 16:00:00.123456 12 x.cc:1] failed", Level.ERROR),
        ("Traceback (most recent call last):", Level.ERROR),
        ("(EngineCore pid=9) ValueError: no such model", Level.ERROR),
        ("torch.OutOfMemoryError: CUDA out of memory", Level.ERROR),
        ("KeyboardInterrupt", Level.ERROR),
        ("error: the model does not fit; choose another", Level.ERROR),
        ("/a/b.py:12: UserWarning: old", Level.WARNING),
        ("Loading shards: 10%", Level.OTHER),
        ("INFORMATION is no level", Level.OTHER),
        ("the last ERROR was long ago", Level.OTHER),
        ("", Level.OTHER),
    ],
)
def test_a_line_tells_its_level(line, level):
    """The forms in which vLLM, uvicorn, supervisord and libraries write a level."""
    assert level_of(line, Level.DEBUG) is level


@pytest.mark.parametrize("before", Level)
def test_an_indented_line_belongs_to_the_one_before(before):
    """The source lines of a traceback are as grave as its first line."""
    assert level_of("    raise ValueError('ERROR')", before) is before
