"""The recorder as a real process, at the end of the pipe that an engine writes to."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from support.service import free_port
from support.settings_factory import make_settings
from support.tools import require
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.state import atomic, records

if TYPE_CHECKING:
    from pathlib import Path

RECORDER = (sys.executable, "-m", "vllm_pkg.engine.recorder")
MEBIBYTE = 1024 * 1024


@dataclass
class Recorder:
    """
    A recorder over volumes of its own; the test stands in the engine's place.

    Args:
        folder: Both volumes stand below it.
        stdout: Where it passes the output on; None: a file that `passed_on` reads.
        log_file: The log of the start.
    """

    folder: Path
    stdout: int | None = None
    log_file: Path | None = None
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Write the record of a start, and begin."""
        self.settings = make_settings(self.folder)
        atomic.make_folder(self.settings.run_dir)
        self.log_file = self.log_file or self.settings.logs_dir / "engine-1.log"
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        start = records.StartRecord(
            process=processes.own_identity(),
            started_s=BootClock().now_s(),
            host="127.0.0.1",
            port=free_port(),
            model="tiny",
            key="key",
            log_file=str(self.log_file),
        )
        records.write_record(self.settings.start_file, start)
        with (self.folder / "stdout").open("wb") as stdout:
            self.process = subprocess.Popen(
                RECORDER,
                stdin=subprocess.PIPE,
                stdout=stdout if self.stdout is None else self.stdout,
                env=os.environ | {"VLLM_PKG_MAIN": str(self.settings.main)},
                # As the daemon starts it.
                preexec_fn=processes._be_deaf,  # noqa: PLW1509
            )

    def write(self, data: bytes) -> None:
        """Say something as the engine."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self) -> int:
        """End as the engine does, and return the recorder's exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(30)

    def start(self) -> records.StartRecord:
        """Return the record of the start."""
        start = records.read_start(self.settings)
        assert start is not None
        return start

    def wait_phase(self, phase: str) -> records.StartRecord:
        """Wait until the record has that phase."""
        return wait_until(
            lambda: self.start() if self.start().phase == phase else None, 20, phase
        )

    @property
    def passed_on(self) -> bytes:
        """What it has written on stdout."""
        return (self.folder / "stdout").read_bytes()

    @property
    def log(self) -> bytes:
        """What stands in the log of the start."""
        assert self.log_file is not None
        return self.log_file.read_bytes() if self.log_file.exists() else b""


@pytest.fixture(name="make_recorder")
def make_recorder_fixture(tmp_path):
    """Start recorders, and end what is left of them."""
    made: list[Recorder] = []

    def make(**options):
        made.append(Recorder(options.pop("folder", tmp_path), **options))
        return made[-1]

    yield make
    for recorder in made:
        with recorder.process as process:
            process.kill()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a line\nwithout an end",
        bytes(range(256)) * 100,
        b"bar:   5%\rbar:  10%\r\n\xff\xfe\x00\n",
    ],
    ids=["nothing", "no end", "all bytes", "bars"],
)
def test_all_bytes_come_out_as_they_were(make_recorder, data):
    """Whatever the engine writes is passed on and kept unchanged, to the last byte."""
    recorder = make_recorder()
    recorder.write(data)

    assert recorder.end() == 0
    assert recorder.passed_on == data
    assert recorder.log == data


def test_a_line_of_50_mb_is_one_of_many(make_recorder):
    """It comes out whole, the log keeps its ends, and the phase after it is seen."""
    recorder = make_recorder()
    line = b"x" * (50 * 1000 * 1000)
    recorder.write(line)
    recorder.write(b"\n")
    recorder.wait_phase("starting")
    wait_until(lambda: len(recorder.passed_on) > len(line), 20, "the line")
    wait_until(lambda: _says(recorder, "load"), 20, "a phase after it")

    assert recorder.end() == 0
    assert recorder.passed_on[: len(line) + 1] == line + b"\n"
    assert len(recorder.log) < 17 * MEBIBYTE
    assert b"bytes were left out]" in recorder.log


def _says(recorder, phase):
    # In the second of the flood the lines are not read: an engine says more than one.
    recorder.write(b"Starting to load model x...\n")
    return recorder.start().phase == phase


def test_a_flood_comes_out_whole(make_recorder):
    """150 MB as fast as the pipe takes them arrive as they were, on a slow reader."""
    reading, writing = os.pipe()
    recorder = make_recorder(stdout=writing)
    os.close(writing)
    block = os.urandom(MEBIBYTE)
    digest = hashlib.sha256()
    with subprocess.Popen(
        [sys.executable, "-c", COUNTING], stdin=reading, stdout=subprocess.PIPE
    ) as reader:
        os.close(reading)
        for _ in range(150):
            digest.update(block)
            recorder.write(block)
        code = recorder.end()
        told, _ = reader.communicate()

    assert code == 0
    assert json.loads(told) == [150 * MEBIBYTE, digest.hexdigest()]
    # 4 MiB of its beginning, 2 MiB of its end at least, 16 MiB at most.
    assert 6 * MEBIBYTE < len(recorder.log) < 17 * MEBIBYTE
    assert recorder.log.startswith(block)
    assert recorder.log.endswith(block)


# Prints how many bytes came, and their digest.
COUNTING = """\
import hashlib, json, sys
digest, count = hashlib.sha256(), 0
while chunk := sys.stdin.buffer.read1(65536):
    digest.update(chunk)
    count += len(chunk)
print(json.dumps([count, digest.hexdigest()]))
"""


def test_signals_that_end_the_engine_do_not_end_it(make_recorder):
    """Told to end, it goes on until the engine's last word."""
    recorder = make_recorder()
    recorder.write(b"first\n")
    wait_until(lambda: recorder.passed_on, 20, "the first word")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        recorder.process.send_signal(number)
    recorder.write(b"last\n")

    assert recorder.end() == 0
    assert recorder.log == b"first\nlast\n"


def test_a_reader_who_goes_away_ends_nothing(make_recorder):
    """With a closed stdout the engine can go on writing, and the log has it all."""
    reading, writing = os.pipe()
    os.close(reading)
    recorder = make_recorder(stdout=writing)
    os.close(writing)
    for _ in range(4):
        recorder.write(b"x" * MEBIBYTE)

    assert recorder.end() == 0
    assert recorder.log == b"x" * 4 * MEBIBYTE


def test_a_log_that_cannot_be_made_ends_nothing(make_recorder, tmp_path):
    """Where there is no folder for it, the output is passed on all the same."""
    folder = tmp_path / "logs"
    recorder = make_recorder(log_file=folder / "engine-1.log")
    folder.rmdir()
    recorder.write(b"all\n")

    assert recorder.end() == 0
    assert recorder.passed_on == b"all\n"


def test_progress_survives_its_readers(make_recorder):
    """It is state and no event: whoever reads the record later sees where it is."""
    recorder = make_recorder()
    first = recorder.wait_phase("starting")
    recorder.write(b"Starting to load model x...\n")
    recorder.write(b"Loading safetensors checkpoint shards:  50% Completed | 1/2\r")
    second = recorder.wait_phase("load")
    third = wait_until(
        lambda: recorder.start() if recorder.start().phase_percent else None, 20, "50 %"
    )

    assert first.phases == second.phases[1:]
    assert (second.phase, third.phase_percent) == ("load", 50.0)
    assert third.percent == 47.5
    assert recorder.end() == 0
    assert recorder.start() == third


def test_without_a_record_it_copies(make_recorder):
    """A record that is gone or damaged costs the progress, and no byte."""
    recorder = make_recorder()
    recorder.settings.start_file.write_text("{")
    recorder.write(b"Starting to load model x...\n")

    assert recorder.end() == 0
    assert recorder.passed_on == b"Starting to load model x...\n"
    assert recorder.settings.start_file.read_text() == "{"


@pytest.fixture(name="small_disk")
def small_disk_fixture(tmp_path):
    """A file system of 1 MiB."""
    require(os.geteuid() == 0, "only root can mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False
    )
    require(mounted.returncode == 0, "no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_nothing(make_recorder, small_disk, tmp_path):
    """4 MiB onto a disk of 1 MiB: all is passed on, the log has what there is room."""
    target = os.open(tmp_path / "elsewhere", os.O_WRONLY | os.O_CREAT)
    recorder = make_recorder(folder=small_disk, stdout=target)
    os.close(target)
    block = b"x" * 1023 + b"\n"
    for _ in range(4096):
        recorder.write(block)

    assert recorder.end() == 0
    assert (tmp_path / "elsewhere").read_bytes() == block * 4096
    assert 0 < len(recorder.log) < MEBIBYTE
    assert block * 1024 != recorder.log
    assert block * 4096 != recorder.log
    assert recorder.start().model == "tiny"
