"""The loop of the recorder, over a real pipe."""

from __future__ import annotations

import os

import pytest

from support.fake_clock import FakeClock
from vllm_pkg.engine.recorder.copying import copy_output
from vllm_pkg.engine.recorder.hiding import Hider
from vllm_pkg.engine.recorder.log_file import StartLog
from vllm_pkg.engine.recorder.output import Output


class Watcher:
    """A watcher that fails at a given call, and ends the pipe when it has looked."""

    def __init__(self, writing, fails_at=None):
        self.calls = []
        self.writing = writing
        self.fails_at = fails_at

    def wait_s(self):
        """Look at once, until it has."""
        return 0.0 if "look" not in self.calls else None

    def feed(self, chunk):
        """Take a chunk."""
        self._note(chunk)

    def look(self):
        """Look, and let there be more to read."""
        os.write(self.writing, b"second")
        os.close(self.writing)
        self._note("look")

    def _note(self, what):
        self.calls.append(what)
        if what == self.fails_at:
            message = "a mistake"
            raise RuntimeError(message)


@pytest.mark.parametrize("fails_at", [None, b"first", "look"])
def test_output_and_log_get_all_whatever_the_watcher_does(tmp_path, fails_at):
    """A watcher that fails is given up; not a byte is lost."""
    reading, writing = os.pipe()
    os.write(writing, b"first")
    watcher = Watcher(writing, fails_at)
    target = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    log = StartLog(tmp_path / "log")
    if fails_at == b"first":
        os.close(writing)

    copy_output(reading, Output(target), log, watcher, FakeClock(), hider=Hider(b""))
    os.close(reading)
    os.close(target)
    log.close()

    whole = b"first" if fails_at == b"first" else b"firstsecond"
    assert (tmp_path / "out").read_bytes() == whole
    assert (tmp_path / "log").read_bytes() == whole
    assert (
        watcher.calls
        == {
            None: [b"first", "look", b"second"],
            b"first": [b"first"],
            "look": [b"first", "look"],
        }[fails_at]
    )


def test_without_a_watcher_it_copies(tmp_path):
    """Where no record says which start it is, the output is passed on and kept."""
    reading, writing = os.pipe()
    os.write(writing, b"all")
    os.close(writing)
    target = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)

    log = StartLog(None)
    copy_output(reading, Output(target), log, None, FakeClock(), hider=Hider(b""))
    os.close(reading)
    os.close(target)

    assert (tmp_path / "out").read_bytes() == b"all"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"key=Key0123456789 end", b"key=*** end"),
        # Nothing more comes, so it was not the secret.
        (b"all but Key01234567", b"all but Key01234567"),
    ],
)
def test_the_secret_is_in_neither_output_nor_log(tmp_path, said, kept):
    """Also what it was held back for at the end comes out."""
    reading, writing = os.pipe()
    os.write(writing, said)
    os.close(writing)
    target = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    log = StartLog(tmp_path / "log")

    hider = Hider(b"Key0123456789")
    copy_output(reading, Output(target), log, None, FakeClock(), hider=hider)
    os.close(reading)
    os.close(target)
    log.close()

    assert (tmp_path / "out").read_bytes() == kept
    assert (tmp_path / "log").read_bytes() == kept
