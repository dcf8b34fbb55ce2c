"""T28: which of uvicorn's log levels write the key of a handshake into the log."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from support.canary import CANARY, with_key
from support.handshakes import logged_by_uvicorn
from support.tools import require
from vllm_pkg.engine.reserved import ALLOWED_VALUES

pytestmark = [pytest.mark.engine, pytest.mark.security]

LEVELS = ("critical", "error", "warning", "info", "debug", "trace")
ALLOWED = ALLOWED_VALUES["--uvicorn-log-level"]


def test_t28_no_allowed_log_level_shows_a_key(guarantee):
    """T28: a websocket's handshake is logged with its headers by the others only."""
    require(find_spec("uvicorn"), "vLLM is missing")
    logs = {level: logged_by_uvicorn(level, CANARY) for level in LEVELS}
    hits = with_key(logs)
    guarantee(
        "T28",
        "No log level that may be chosen has the key of a websocket logged",
        tried=len(ALLOWED),
        violations=len({*hits} & {*ALLOWED}),
        unit="log levels of uvicorn",
        control="at debug and trace the search finds it",
    )

    assert {*hits} == {*LEVELS} - {*ALLOWED}
