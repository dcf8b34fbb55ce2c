"""The machine and its programs in words."""

from __future__ import annotations

import pytest

from support.machine_looks import GIB, machine
from vllm_pkg.hardware.nvml_users import GpuUser
from vllm_pkg.portal.pages.machine.rows import (
    gpu_rows,
    program_rows,
    question,
    rest_rows,
    summarize,
)
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts
from vllm_pkg.service.processes import Verb, program_of

EN = load_texts("en")
SPACE = "\N{NO-BREAK SPACE}"
NOW_S = 1_000_000.0


def _program(name, state, *, pid=0, start=0, stop=0, exit_status=0):
    return program_of(
        {
            "name": name,
            "statename": state,
            "pid": pid,
            "now": 1000,
            "start": start,
            "stop": stop,
            "exitstatus": exit_status,
        }
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, f"1 GPU with 24.0{SPACE}GiB of memory; 64.0{SPACE}GiB of main memory."),
        (
            {"tier": "cpu", "gpus": []},
            (
                f"4 processor cores and 64.0{SPACE}GiB of main memory: models are "
                "served from the CPU."
            ),
        ),
        (
            {"tier": None, "gpus": []},
            f"Nothing here can serve a model; 64.0{SPACE}GiB of main memory.",
        ),
        (
            {"gpus": [machine()["gpus"][0] | {"memoryGib": None}]},
            f"1 GPU, which shares 64.0{SPACE}GiB of main memory.",
        ),
    ],
)
def test_the_first_line_says_what_there_is(changes, sentence):
    """GPUs with memory, GPUs without, the CPU, or nothing that can be used."""
    assert summarize(EN, machine(**changes)) == sentence


def test_a_gpu_says_what_it_does_and_for_whom():
    """Memory, load, temperature and power, and who has how much of the memory."""
    users = {
        0: (
            GpuUser(7, "vllm", 17 * GIB),
            GpuUser(8, "game", GIB),
            GpuUser(9, "", None),
        )
    }

    (row,) = gpu_rows(EN, machine(), users, frozenset({7}))

    assert row.name == "GPU 0: Test GPU"
    assert row.facts == (
        f"18.0 of 24.0{SPACE}GiB in use",
        "80% busy",
        "60 °C",
        "250 W",
    )
    assert row.percent == 75.0
    assert row.users == (
        f"The engine of this service: 17.0{SPACE}GiB (process 7)",
        f"game: 1.0{SPACE}GiB (process 8)",
        "A process that cannot be seen from here: an unknown amount (process 9)",
    )


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"memoryGib": None, "freeGib": None}, "Shares the main memory"),
        ({"freeGib": None}, f"24.0{SPACE}GiB of memory"),
    ],
)
def test_a_gpu_that_tells_little_has_no_bar(changes, fact):
    """Where nobody knows what is free there is no share of it."""
    silent = {"busyPercent": None, "temperatureC": None, "powerW": None}
    gpu = machine()["gpus"][0] | silent | changes

    (row,) = gpu_rows(EN, machine(gpus=[gpu]), {}, frozenset())

    assert (row.facts, row.percent, row.users) == ((fact,), None, ())


def test_the_rest_of_the_machine_has_a_value_each():
    """Processor, memory, disk and network, known or not."""
    known = dict(rest_rows(EN, machine()))
    unknown = dict(
        rest_rows(
            EN,
            machine(
                cpu={"cores": 1, "percent": None},
                memory={"totalBytes": GIB, "freeBytes": None},
                network={"receivedBytesPerS": None, "sentBytesPerS": 1},
            ),
        )
    )

    assert known == {
        "Processor": "4 cores, 25% busy",
        "Main memory": f"48.0 of 64.0{SPACE}GiB in use",
        "Disk of the service": f"200.0{SPACE}GiB of 400.0{SPACE}GiB free",
        "Network": f"2.0{SPACE}MiB/s received, 1.0{SPACE}MiB/s sent",
    }
    assert unknown["Processor"] == "1 core"
    assert unknown["Main memory"] == f"1.0{SPACE}GiB"
    assert unknown["Network"] == "Not known"


def test_programs_are_told_in_the_order_of_interest():
    """The engine first, strangers last; what makes sense can be done with each."""
    rows = program_rows(
        EN,
        [
            _program("stranger", "RUNNING", pid=5, start=990),
            _program("portal", "RUNNING", pid=4, start=990),
            _program("keeper", "BACKOFF"),
            _program("fetcher", "STOPPED", start=1, stop=2, exit_status=3),
            _program("engine", "RUNNING", pid=12, start=400),
        ],
        NOW_S,
    )

    told = [(row.title, row.state, row.tone, row.verbs) for row in rows]
    assert told == [
        ("Engine", "Running", "good", (Verb.RESTART, Verb.STOP)),
        ("Fetcher", "Stopped", "bad", (Verb.START,)),
        ("Keeper", "Starting again", "busy", ()),
        ("Portal", "Running", "good", (Verb.RESTART,)),
        ("stranger", "Running", "good", ()),
    ]
    assert rows[0].facts == ("Process 12",)
    assert rows[0].started_s == NOW_S - 600
    assert rows[1].facts == ("Ended with code 3",)
    assert rows[1].started_s is None
    assert (rows[0].about != "", rows[4].about) == (True, "")


def test_a_row_that_only_grows_older_is_the_same_row():
    """The page would else be drawn anew at each look, and the focus be lost."""
    program = [_program("engine", "RUNNING", pid=1, start=400)]

    assert program_rows(EN, program, 1.0) == program_rows(EN, program, 2.0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_interrupts_something_is_asked_first(language):
    """Every verb that a row offers has its question, but for a plain start."""
    texts = load_texts(language)
    programs = [
        _program(name, state, pid=1, start=1)
        for name in ("engine", "fetcher", "keeper", "portal")
        for state in ("RUNNING", "FATAL", "EXITED", "STARTING", "STOPPING", "UNKNOWN")
    ]

    for row in program_rows(texts, programs, NOW_S):
        for verb in row.verbs:
            asked = question(texts, row, verb)
            assert (asked is None) is (verb is Verb.START)
            assert asked is None or row.title in asked.title
