"""Passing on to readers who are slow, stuck or gone, over real pipes."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import threading

import pytest

from vllm_pkg.engine.recorder.output import Output

MEBIBYTE = 1024 * 1024


@pytest.fixture(name="pipe")
def pipe_fixture():
    """The ends of a pipe."""
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.fixture(name="pair")
def pair_fixture():
    """Two ends of a socket, which cannot be opened anew."""
    ends = socket.socketpair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    yield ends
    for end in ends:
        end.close()


def read_all(descriptor, got):
    """Read slowly until the end."""
    while chunk := os.read(descriptor, 1000):
        got.append(chunk)


@pytest.mark.parametrize("kind", ["pipe", "another user's pipe", "socket"])
def test_all_arrives_unchanged(pipe, pair, monkeypatch, kind):
    """A slow reader gets every byte of more than there is room for."""

    def refuse(*_):
        raise PermissionError

    reading, writing = pipe
    if kind == "socket":
        reading, writing = (end.fileno() for end in pair)
    with monkeypatch.context() as patch:
        if kind == "another user's pipe":
            patch.setattr("vllm_pkg.engine.recorder.output.os.open", refuse)
        output = Output(writing)
    data = os.urandom(3 * MEBIBYTE)
    got: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(reading, got))
    reader.start()
    output.write(data[:100])
    output.write(data[100:])
    output.close()
    if kind == "socket":
        pair[1].close()
    else:
        os.close(writing)
    reader.join()

    assert b"".join(got) == data


def test_a_reader_who_is_stuck_is_left_behind(pipe):
    """Nobody waits for him twice; when he goes on, what he missed is told."""
    reading, writing = pipe
    output = Output(writing, patience_s=0.01)
    output.write(b"a" * (MEBIBYTE + 1000))
    output.write(b"b" * 1000)
    first = os.read(reading, 2 * MEBIBYTE)

    output.write(b"c" * 10)
    rest = os.read(reading, 2 * MEBIBYTE)
    output.close()

    assert first == b"a" * MEBIBYTE
    assert rest == b"\n[vllm-pkg: 2000 bytes were not passed on]\n" + b"c" * 10


def test_a_reader_who_is_stuck_behind_a_socket_is_left_behind(pair):
    """The same holds where writing could wait: it is not begun."""
    output = Output(pair[1].fileno(), patience_s=0.01)

    output.write(b"a" * MEBIBYTE)

    assert output._is_stuck
    assert 0 < output._missing_bytes < MEBIBYTE


def test_a_terminal_that_is_held_is_left_behind():
    """Ctrl-S in the terminal stops what is shown, and not the engine."""
    master, slave = pty.openpty()
    output = Output(slave, patience_s=0.01)

    output.write(b"a" * MEBIBYTE)
    output.close()
    os.close(slave)
    os.close(master)

    assert 0 < output._missing_bytes < MEBIBYTE


def test_a_reader_who_is_gone_is_no_error(pipe):
    """After its end nothing is tried any more."""
    reading, writing = pipe
    output = Output(writing)
    os.close(reading)

    output.write(b"x" * 10_000)
    output.write(b"y")

    assert output._is_gone


def test_a_full_disk_is_tried_again(tmp_path, monkeypatch):
    """What cannot be written is left out, and told once there is space."""
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    output = Output(descriptor)
    real_write = os.write

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vllm_pkg.engine.recorder.output.os.write", full)
    output.write(b"lost")
    monkeypatch.setattr("vllm_pkg.engine.recorder.output.os.write", real_write)
    output.write(b"kept")
    os.close(descriptor)

    assert path.read_bytes() == b"\n[vllm-pkg: 4 bytes were not passed on]\nkept"


def test_a_descriptor_that_is_closed_is_no_error():
    """Started without a stdout, it copies into the log alone."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)

    output = Output(writing)
    output.write(b"x")

    assert output._is_gone
