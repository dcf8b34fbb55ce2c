"""Logs page by page: back to the oldest line, and live on, across rotated files."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import InvalidArgument, NotFound, StateUnreadable
from vllm_pkg.service import log_list, log_pages
from vllm_pkg.service.log_pages import LogPage, Position, read_news, read_page

if TYPE_CHECKING:
    from pathlib import Path

    from vllm_pkg.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty folder of logs."""
    made = make_settings(tmp_path)
    made.logs_dir.mkdir(parents=True)
    return made


def _texts(page: LogPage) -> list[str]:
    return [line.text for line in page.lines]


def _write_parts(settings: Settings, data: bytes, sizes: list[int]) -> None:
    """Cut bytes into files as rotation does, the oldest with the highest number."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    pieces.append(data)
    for number, piece in enumerate(reversed(pieces)):
        name = "engine.log" + (f".{number}" if number else "")
        (settings.logs_dir / name).write_bytes(piece)


@pytest.mark.parametrize("seed", range(30))
def test_paging_back_gives_every_line_once(settings, monkeypatch, seed):
    """However the log is cut into files and blocks, all its lines come, in order."""
    luck = random.Random(seed)  # noqa: S311  # no secret is made of it
    monkeypatch.setattr(log_pages, "BLOCK_BYTES", luck.choice([1, 7, 64, 4096]))
    lines = [f"line {n}{'x' * luck.randrange(40)}" for n in range(luck.randrange(90))]
    data = "".join(f"{line}\n" for line in lines).encode()
    cuts = sorted(luck.randrange(len(data) + 1) for _ in range(luck.randrange(4)))
    sizes = [b - a for a, b in zip([0, *cuts], cuts, strict=False)]
    _write_parts(settings, data, sizes)

    found: list[str] = []
    before = None
    while True:
        page = read_page(settings, "engine", luck.choice([1, 3, 10]), before)
        found = _texts(page) + found
        before = page.before
        if before is None:
            break

    assert found == lines


@pytest.mark.parametrize("seed", range(30))
def test_news_after_a_page_are_what_was_added(settings, monkeypatch, seed):
    """Lines come once each, also when files are renamed in between."""
    luck = random.Random(seed)  # noqa: S311
    monkeypatch.setattr(log_pages, "NEWS_BYTES_MAX", luck.choice([120, 4096]))
    path = settings.logs_dir / "engine.log"
    path.write_bytes(b"old\n")
    page = read_page(settings, "engine")
    assert page.after is not None
    after, found, written = page.after, list[str](), list[str]()
    for number in range(40):
        if luck.random() < 0.2:
            for old in range(40, 0, -1):
                part = settings.logs_dir / f"engine.log.{old}"
                if part.exists():
                    part.rename(settings.logs_dir / f"engine.log.{old + 1}")
            path.rename(settings.logs_dir / "engine.log.1")
        line = f"line {number}{'y' * luck.randrange(50)}"
        written.append(line)
        with path.open("ab") as stream:
            stream.write(f"{line}\n".encode())
        if luck.random() < 0.7:
            after = _read_all(settings, after, found)
    _read_all(settings, after, found)

    assert found == written


def _read_all(settings: Settings, after: Position, found: list[str]) -> Position:
    while True:
        news = read_news(settings, "engine", after)
        found += _texts(news)
        assert news.after is not None
        if news.after == after:
            return after
        after = news.after


def test_a_line_that_has_not_ended_is_open(settings):
    """A progress bar is shown as it is now, and is a line only when it has ended."""
    path = settings.logs_dir / "engine.log"
    path.write_bytes(b"first\n10%\r20%")
    page = read_page(settings, "engine")
    assert page.after is not None

    assert _texts(page) == ["first"]
    assert page.open is not None
    assert page.open.text == "20%"

    with path.open("ab") as stream:
        stream.write(b"\r100%\nnext\n")
    news = read_news(settings, "engine", page.after)

    assert _texts(news) == ["100%", "next"]
    assert news.open is None


def test_a_line_longer_than_a_page_does_not_stop_reading(settings, monkeypatch):
    """A monster without an end comes in pieces, forwards and backwards."""
    monkeypatch.setattr(log_pages, "NEWS_BYTES_MAX", 100)
    monkeypatch.setattr(log_pages, "PAGE_BYTES_MAX", 100)
    monkeypatch.setattr(log_pages, "BLOCK_BYTES", 50)
    path = settings.logs_dir / "engine.log"
    path.write_bytes(b"begin\n" + b"z" * 1000)

    page = read_page(settings, "engine", 5)
    pages = 1
    while page.before is not None:
        page = read_page(settings, "engine", 5, page.before)
        pages += 1
    inode = path.stat().st_ino
    found: list[str] = []
    end = _read_all(settings, Position(inode, 0), found)

    assert pages < 30
    assert found[0] == "begin"
    assert "".join(found[1:]).count("z") == 1000 - (end.offset < 1006) * (
        1006 - end.offset
    )


def test_a_log_that_was_cut_goes_on_at_its_end(settings):
    """The middle of a start's log is taken out when it is too long."""
    path = settings.logs_dir / "engine.log"
    path.write_bytes(b"0123456789\n" * 10)
    page = read_page(settings, "engine")
    assert page.after is not None
    path.write_bytes(b"short\n")

    news = read_news(settings, "engine", page.after)

    assert news.lines == ()
    assert news.after == Position(path.stat().st_ino, 6)


def test_a_position_of_a_file_that_is_gone_ends_the_history(settings):
    """What was rotated away is no error: there is nothing before it."""
    (settings.logs_dir / "engine.log").write_bytes(b"new\n")

    page = read_page(settings, "engine", 10, Position(1, 5))
    news = read_news(settings, "engine", Position(1, 5))

    assert page == LogPage((), None, None)
    assert _texts(news) == ["new"]


def test_a_log_without_a_file_is_empty(settings):
    """Before the first start there is nothing, and that is no error."""
    after = Position(1, 2)

    assert read_page(settings, "host") == LogPage((), None, None)
    assert read_news(settings, "host", after) == LogPage((), None, after)
    assert list_ids(settings) == []


def list_ids(settings: Settings) -> list[str]:
    """Return the names of all logs."""
    return [log.id for log in log_list.list_logs(settings)]


def test_each_start_has_a_log_of_its_own(settings):
    """The newest start comes first, and what only looks like one is left out."""
    for name in (
        *("engine.log", "engine.log.1", "host.log", "fetcher.log"),
        *("engine-20260102T030405Z.log", "engine-20260103T030405Z.log"),
        *("engine-20269999T999999Z.log", "engine-x.log", "else.log"),
    ):
        (settings.logs_dir / name).write_bytes(b"text\n")

    logs = log_list.list_logs(settings)

    assert [log.id for log in logs] == [
        *("engine", "host", "fetcher"),
        *("start-20260103T030405Z", "start-20260102T030405Z"),
    ]
    assert logs[0].size_bytes == 10
    assert logs[3].as_json()["startedAt"] == "2026-01-03T03:04:05+00:00"
    assert _texts(read_page(settings, "start-20260102T030405Z")) == ["text"]


@pytest.mark.parametrize(
    "log_id",
    ["", "x", "../secrets", "engine.log", "start-", "start-20260101T000000Z", "é"],
)
def test_other_names_are_no_logs(settings, log_id):
    """A name leads to a known file, or to none."""
    with pytest.raises(NotFound):
        read_page(settings, log_id)


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "1-2-3", "a-b", "1-٣", "1 -2"])
def test_a_position_is_checked(text):
    """What no answer has given is refused."""
    with pytest.raises(InvalidArgument):
        Position.parse(text)


def test_a_position_survives_its_text():
    """What an answer gives can be given back."""
    position = Position(12, 34)

    assert Position.parse(str(position)) == position


def test_the_whole_text_is_all_files_oldest_first(settings):
    """A download is what the files hold, byte for byte."""
    data = bytes(range(256)) * 5
    _write_parts(settings, data, [300, 400])

    assert b"".join(log_list.read_text(settings, "engine")) == data


def test_a_folder_in_place_of_a_log_is_told(settings):
    """What cannot be read is an error that names the file."""
    (settings.logs_dir / "engine.log").mkdir()

    with pytest.raises(StateUnreadable, match=r"engine\.log"):
        read_page(settings, "engine")
