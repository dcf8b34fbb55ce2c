"""T15: the table of the engine's states, all of it."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vllm_pkg.hosts.standalone.states import (
    TRANSITIONS,
    EngineEvent,
    EngineState,
    IllegalTransition,
    next_state,
)

# Written out once more: what leads where. Everything else must raise.
LEGAL = """
unknown: start>starting run>loading idle>unconfigured answer>ready stall>stalled
unknown: stopping>stopping stop>stopped exit>backoff give-up>fatal
stopped: start>starting
starting: run>loading stopping>stopping exit>backoff give-up>fatal
unconfigured: answer>ready stopping>stopping exit>backoff give-up>fatal
loading: idle>unconfigured answer>ready stopping>stopping exit>backoff give-up>fatal
ready: stall>stalled stopping>stopping exit>backoff give-up>fatal
stalled: stopping>stalled stop>backoff exit>backoff give-up>fatal
stopping: stop>stopped
backoff: start>starting stop>stopped
fatal: start>starting
"""


def _legal():
    table = {}
    for line in LEGAL.strip().splitlines():
        state, _, pairs = line.partition(": ")
        for pair in pairs.split():
            event, _, target = pair.partition(">")
            table[EngineState(state), EngineEvent(event)] = EngineState(target)
    return table


def test_t15_every_pair_goes_where_it_should_or_raises(guarantee):
    """T15: every pair of state and event is tried; one not in the table raises."""
    legal = _legal()
    wrong = []
    for state in EngineState:
        for event in EngineEvent:
            try:
                found = next_state(state, event)
            except IllegalTransition:
                found = None
            if found != legal.get((state, event)):
                wrong.append((state, event, found))
    tried = len(EngineState) * len(EngineEvent)
    guarantee(
        "T15",
        "Every event of the engine leads where the table says, or is refused",
        tried=tried,
        violations=len(wrong),
        unit="pairs of state and event",
        control="a table with one entry changed is found",
    )

    assert tried == 90
    assert wrong == []


def test_a_changed_table_is_found(monkeypatch):
    """The comparison sees one entry that leads elsewhere."""
    changed = {EngineEvent.START: EngineState.READY}
    monkeypatch.setitem(TRANSITIONS, EngineState.FATAL, changed)

    pair = (EngineState.FATAL, EngineEvent.START)

    assert next_state(*pair) != _legal()[pair]


def test_the_error_names_both():
    """An event that cannot come is named with the state."""
    with pytest.raises(IllegalTransition, match="'stall' cannot come in state 'fatal'"):
        next_state(EngineState.FATAL, EngineEvent.STALL)


class EngineLife(RuleBasedStateMachine):
    """Any order of events: processes are started only where none is."""

    def __init__(self) -> None:
        super().__init__()
        self.state = EngineState.STOPPED
        self.engines = 0

    @rule(event=st.sampled_from(EngineEvent))
    def take(self, event):
        """Take an event, as far as it can come."""
        try:
            self.state = next_state(self.state, event)
        except IllegalTransition:
            return
        if event is EngineEvent.START:
            self.engines += 1
        if event in {EngineEvent.STOP, EngineEvent.EXIT, EngineEvent.GIVE_UP}:
            # A planned start that is cancelled ends no process.
            self.engines = 0

    @invariant()
    def at_most_one_engine(self):
        """There is never a second engine, and none where the state says so."""
        assert self.engines <= 1
        without = {EngineState.STOPPED, EngineState.BACKOFF, EngineState.FATAL}
        assert (self.engines == 0) == (self.state in without)


TestEngineLife = EngineLife.TestCase
TestEngineLife.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, database=None
)
