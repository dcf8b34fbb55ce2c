"""The last minutes of the machine, and the lines that show them."""

from __future__ import annotations

import pytest

from support.machine_looks import GIB, machine
from vllm_pkg.portal.pages.machine.chart import HEIGHT, WIDTH, lines, scale_end
from vllm_pkg.portal.pages.machine.charts import charts
from vllm_pkg.portal.pages.machine.history import History, used_bytes, values_of
from vllm_pkg.portal.texts.catalogue import load_texts


def test_a_history_is_bounded():
    """The oldest values go; what could not be read is a gap."""
    history = History(samples_max=3)

    for value in ({"cpu": 1.0}, {"cpu": 2.0}, {}, {"cpu": 4.0}):
        history.add(value)

    assert len(history) == 3
    assert history.series("cpu") == (2.0, None, 4.0)
    assert history.series("sent") == (None, None, None)


def test_one_look_gives_the_values_that_are_known():
    """Used memory is total less free; GPUs are told apart by their place."""
    assert values_of(machine()) == {
        "cpu": 25.0,
        "memory": 48.0 * GIB,
        "received": 2.0 * 1024**2,
        "sent": 1024.0**2,
        "gpu-0-busy": 80.0,
        "gpu-0-memory": 18.0 * GIB,
    }


def test_what_nobody_can_tell_has_no_value():
    """The first look has no rates, and some GPUs tell neither memory nor load."""
    gpu = {"memoryGib": None, "freeGib": None, "busyPercent": None}
    unknown = machine(
        gpus=[gpu],
        cpu={"percent": None},
        memory={"totalBytes": 1, "freeBytes": None},
        network={"receivedBytesPerS": None, "sentBytesPerS": None},
    )

    assert values_of(unknown) == {}
    assert used_bytes({"memoryGib": 24.0, "freeGib": None}) is None
    assert used_bytes({"memoryGib": 24.0, "freeGib": 25.0}) == 0.0


@pytest.mark.parametrize(
    ("values", "least", "end"),
    [
        ((), 10, 10),
        ((3.0, None), 10, 10),
        ((11.0,), 10, 20),
        ((20.0,), 10, 20),
        ((21.0, 4.0), 10, 50),
        ((99.0,), 10, 100),
    ],
)
def test_a_scale_ends_at_a_round_number(values, least, end):
    """All values are in it, and it does not change with each of them."""
    assert scale_end(values, least) == end


def test_the_newest_value_stands_at_the_right():
    """A full scale is at the top, nothing at the bottom, and the left stays empty."""
    (line,) = lines((0.0, 100.0), 100.0, 11)

    assert line == f"{WIDTH - WIDTH / 10:.1f},{HEIGHT - 2:.1f} {WIDTH:.1f},2.0"


def test_gaps_part_the_lines():
    """Nothing is drawn over a gap; one value alone is a short line."""
    drawn = lines((1.0, 2.0, None, 3.0, None), 10.0, 5)

    assert [len(points.split()) for points in drawn] == [2, 2]
    assert lines((None,), 10.0, 5) == ()


def test_values_beyond_the_scale_stay_inside():
    """What is above is drawn at the top, what is below at the bottom."""
    (line,) = lines((-5.0, 50.0), 10.0, 2)

    assert line == f"0.0,{HEIGHT - 2:.1f} {WIDTH:.1f},2.0"


def test_charts_say_what_they_show():
    """Each has its present value, and its highest one for those who do not see it."""
    history = History()
    for used in (10.0, 18.0):
        history.add(values_of(machine()) | {"gpu-0-memory": used * GIB})

    shown = charts(load_texts("en"), machine(), history)

    assert [chart.title for chart in shown] == [
        "Memory of GPU 0 in use",
        "GPU 0 busy",
        "Processor",
        "Main memory in use",
        "Received from the network",
        "Sent to the network",
    ]
    assert shown[0].value == "18.0\N{NO-BREAK SPACE}GiB"
    assert "18.0" in shown[0].label
    assert "at the highest" in shown[0].label
    assert [chart.value for chart in shown[1:3]] == ["80%", "25%"]
    assert all(chart.lines for chart in shown)


def test_what_was_never_told_has_no_chart():
    """A machine without values has no charts; a GPU of unknown size has a scale."""
    texts, history = load_texts("en"), History()

    assert charts(texts, machine(), history) == ()

    history.add({"gpu-0-memory": 5.0})
    gpu = machine()["gpus"][0] | {"memoryGib": None}
    (chart,) = charts(texts, machine(gpus=[gpu]), history)
    assert chart.title == "Memory of GPU 0 in use"
