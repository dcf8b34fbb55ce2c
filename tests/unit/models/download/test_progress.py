"""How far a download is, how fast, and whether it fits on the disk."""

from __future__ import annotations

import pytest

from vllm_pkg.models.download.disk_plan import DiskPlan, Removable, format_bytes
from vllm_pkg.models.download.progress import Speed, Transfer, TransferState

GIB = 1024**3


def test_a_transfer_as_a_document():
    """Programs get whole numbers."""
    transfer = Transfer("org/name", TransferState.DOWNLOADING, 1, 3, 25, 100, 12.6, 5.7)

    assert transfer.percent == 25.0
    assert transfer.as_json() == {
        "repository": "org/name",
        "state": "downloading",
        "files_done": 1,
        "files_total": 3,
        "bytes_done": 25,
        "bytes_total": 100,
        "bytes_per_s": 13,
        "eta_s": 6,
    }


def test_a_transfer_of_which_nothing_is_known():
    """No division by zero, and no guess."""
    transfer = Transfer("org/name", TransferState.LISTING)

    assert (transfer.percent, transfer.is_stalled) == (0.0, False)
    assert transfer.as_json()["eta_s"] is None
    assert Transfer("org/name", TransferState.STALLED).is_stalled


def test_the_speed_follows_slowly():
    """A steady line has its speed at once; a change shows within some seconds."""
    speed = Speed(0.0, 0)
    for second in range(1, 11):
        speed = speed.measured(second, second * 100)
    steady = speed.bytes_per_s
    still = speed.measured(18.0, 1000)

    assert speed.measured(10.0, 99_999) == speed
    assert steady == pytest.approx(100.0)
    assert still.bytes_per_s == pytest.approx(36.8, abs=0.1)
    assert speed.measured(20.0, 0).bytes_per_s == pytest.approx(28.65, abs=0.1)


def test_how_long_it_still_takes():
    """Nobody can tell without a speed."""
    assert Speed(0.0, 0, 10.0).eta_s(50) == 5.0
    assert Speed(0.0, 0).eta_s(50) is None
    assert Speed(0.0, 0, 0.5).eta_s(50) is None


@pytest.mark.parametrize(
    ("needed", "free", "reserve", "expected"),
    [(10, 20, 10, 0), (10, 20, 11, 1), (0, 0, 10, 0), (10, 0, 0, 10)],
)
def test_what_is_missing_on_the_disk(needed, free, reserve, expected):
    """The reserve counts, but not for who needs nothing."""
    assert DiskPlan(needed, free, reserve).shortfall_bytes == expected


def test_what_could_go():
    """Those not used for longest, as many as it takes and no more."""
    models = (
        Removable("org/new", 9 * GIB, 30.0),
        Removable("org/old", 2 * GIB, 10.0),
        Removable("org/middle", 3 * GIB, 20.0),
    )
    plan = DiskPlan(6 * GIB, 3 * GIB, GIB, models)

    error = plan.error()

    assert [model.key for model in plan.suggested] == ["org/old", "org/middle"]
    assert error.message == (
        "the download needs 6.0 GiB, 3.0 GiB are free and 1.0 GiB of that have to stay"
        " free: 4.0 GiB are missing"
    )
    assert error.hint == (
        "remove what is not needed: org/old (2.0 GiB), org/middle (3.0 GiB)"
    )


def test_when_nothing_would_be_enough():
    """It says so, and names the largest."""
    models = tuple(Removable(f"org/m{size}", size, 1.0) for size in range(1, 8))
    plan = DiskPlan(100, 0, 0, models)

    assert plan.suggested == ()
    assert plan.error().hint == (
        "use a larger disk; removing every other model would not be enough:"
        " org/m7 (7 B), org/m6 (6 B), org/m5 (5 B), org/m4 (4 B), org/m3 (3 B)"
        " and 2 more"
    )
    assert "no other model" in DiskPlan(100, 0, 0).error().hint


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**5, "5120.0 TiB")],
)
def test_sizes_for_people(size_bytes, expected):
    """In the largest unit that fits."""
    assert format_bytes(size_bytes) == expected
