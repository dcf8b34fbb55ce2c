"""Tests for logs that are read once for all who look at them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from nicegui import core

from vllm_pkg.errors import StateUnreadable
from vllm_pkg.portal.logs import document as document_module
from vllm_pkg.portal.logs.document import LogDocument, LogShelf, Reader
from vllm_pkg.portal.logs.view import View
from vllm_pkg.service.log_levels import Level


def _reader(document: LogDocument) -> Reader:
    reader = Reader(View(document.lines), stale_from=None, is_anew=False)
    document.readers.append(reader)
    return reader


@pytest.fixture(name="document")
def document_fixture(log):
    """A document of the log."""
    with contextlib.closing(LogDocument(log)) as document:
        yield document


@pytest.fixture(name="log")
def log_fixture(tmp_path):
    """The path of a log with two lines."""
    path = tmp_path / "engine.log"
    path.write_text("INFO: one\nERROR: two\n")
    return path


def test_readers_are_told_which_lines_have_changed(log, document):
    """A progress line that is written over is one line that changes."""
    reader = _reader(document)
    document.read_more()
    assert document.lines.texts[:2] == ["INFO: one", "ERROR: two"]
    assert reader.stale_from == 0

    reader.stale_from = None
    document.read_more()
    assert reader.stale_from is None

    with log.open("a") as stream:
        stream.write("10%\r20%\r")
    document.read_more()

    assert reader.stale_from == 2
    assert len(document.lines) == 3
    assert document.lines.texts[2] == "20%"
    assert document.lines.count(Level.ERROR) == 1


def test_a_log_that_is_cut_gets_other_numbers(log, document):
    """The recorder takes out the middle of a long log: it is read from its start."""
    reader = _reader(document)
    document.read_more()

    log.write_text("x\n")
    document.read_more()

    assert reader.is_anew
    assert reader.stale_from == 0
    assert document.lines.texts == ["x", ""]
    assert reader.view.lines is document.lines


def test_the_oldest_of_very_many_lines_are_dropped(log, document, monkeypatch):
    """Memory is bounded, and the reader knows that older lines are left out."""
    monkeypatch.setattr(document_module, "LINES_MAX", 100)
    monkeypatch.setattr(document_module, "DROPPED_AT_ONCE", 20)
    log.write_text("".join(f"{n}\n" for n in range(101)))
    reader = _reader(document)

    document.read_more()

    assert len(document.lines) == 81
    assert document.lines.texts[0] == "20"
    assert document.is_cut
    assert reader.is_anew


def test_a_log_that_cannot_be_read_says_why_until_it_can(log, document):
    """The error stands in the document, and goes with the next good look."""
    log.unlink()
    log.symlink_to(log)
    document.read_more()
    document.read_more()
    assert isinstance(document.error, StateUnreadable)

    log.unlink()
    log.write_text("a\n")
    document.read_more()

    assert document.error is None
    assert document.lines.texts == ["a", ""]


def test_a_log_is_open_for_as_long_as_somebody_reads_it(log, monkeypatch):
    """Two readers share one document, and after the last one nothing is left."""

    async def read() -> None:
        monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
        shelf = LogShelf()
        async with shelf.reading(log) as (first, _):
            async with shelf.reading(log) as (second, reader):
                assert first is second
                await asyncio.wait_for(reader.news.wait(), 10)
                assert len(second.lines) == 2
            assert shelf.documents == {log: first}
        assert shelf.documents == {}
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*tasks), 10)

    asyncio.run(read())
