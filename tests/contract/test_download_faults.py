"""Downloads from a Hub that is slow, ill or wrong, and ones that are interrupted."""

from __future__ import annotations

import os
import sys

import psutil
import pytest

from support import hub_faults
from support.downloads import (
    FILES,
    WEIGHTS,
    make_downloads,
    size_of_weights,
)
from support.waiting import wait_until
from vllm_pkg.models.download import errors
from vllm_pkg.models.download.ensure import ensure_models
from vllm_pkg.models.download.layout import size_of
from vllm_pkg.models.download.progress import TransferState
from vllm_pkg.models.download.worker import MODULE
from vllm_pkg.models.tiny import tiny_files

CHUNK_BYTES = 65_536


def hold(downloads, hub):
    """Let the weights flow, less than a chunk ahead of the disk, for the first MB."""
    file = hub.repositories["org/tiny"].files("main")[WEIGHTS]
    partial = downloads.folder("org/tiny").partial(file.etag)
    fault = hub_faults.held(
        1_000_000, 1_000_000, CHUNK_BYTES - 1, lambda: size_of(partial) or 0
    )
    hub.fail("org/tiny", WEIGHTS, fault)


def transfers(process):
    """Return the programs that transfer for a process; others may be its children."""
    return [child for child in process.children() if MODULE in child.cmdline()]


def test_a_problem_of_the_server_is_waited_for(downloads, hub):
    """After two answers 500 the third try succeeds, with growing pauses."""
    hub.fail("org/tiny", WEIGHTS, hub_faults.status(500, times=2))

    downloads.ensure("org/tiny")

    assert downloads.names("org/tiny") == FILES
    # The first try brought the other files: its pause does not count as idle.
    assert sum(downloads.clock.pauses_s) == pytest.approx(2.0, rel=0.01)


def test_who_asks_to_wait_is_obeyed(downloads, hub):
    """Retry-After is the pause, not our own figure."""
    hub.fail("org/tiny", WEIGHTS, hub_faults.rate_limited(7))

    downloads.ensure("org/tiny")

    assert sum(downloads.clock.pauses_s) == pytest.approx(7.0, rel=0.01)
    waiting = [item for item in downloads.seen if item.state is TransferState.WAITING]
    assert waiting


def test_who_asks_for_too_long_ends_it(downloads, hub):
    """An hour is not waited for; the error says it."""
    hub.fail("org/tiny", hub_faults.API, hub_faults.rate_limited(3600))

    with pytest.raises(errors.HubRateLimited, match="3600 s"):
        downloads.ensure("org/tiny")


def test_a_server_that_stays_ill_ends_it(downloads, hub):
    """After eight tries that brought nothing the error is told."""
    hub.fail("org/tiny", hub_faults.API, hub_faults.status(503))

    with pytest.raises(errors.HubUnreachable, match="HTTP status 503"):
        downloads.ensure("org/tiny")

    expected_s = 1 + 2 + 4 + 8 + 16 + 32 + 60
    assert sum(downloads.clock.pauses_s) == pytest.approx(expected_s, rel=0.01)


def test_a_broken_connection_costs_no_byte_twice(downloads, hub):
    """After a reset in the middle the rest is fetched, by a range."""
    hub.fail("org/tiny", WEIGHTS, hub_faults.reset(1_500_000))

    downloads.ensure("org/tiny")

    ranges = [item.range for item in hub.requests if item.path.startswith("/content")]
    assert ranges[0] is None
    assert ranges[-1] is not None
    assert ranges[-1].startswith("bytes=")
    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]


def test_a_stalled_connection_is_given_up(tmp_path, hub, model):
    """With no byte for the timeout the transfer starts again where it stood."""
    hub.add("org/tiny", model)
    downloads = make_downloads(tmp_path, hub, stall_timeout_s=1)
    hub.fail("org/tiny", WEIGHTS, hub_faults.stall(1_000_000, times=1))

    downloads.ensure("org/tiny")

    assert downloads.names("org/tiny") == FILES
    assert any(item.is_stalled for item in downloads.seen)
    assert downloads.sent_bytes("org/tiny") == size_of_weights()


def test_a_slow_line_is_no_stall(tmp_path, hub, model):
    """Bytes that come slowly, and for longer than the timeout, are waited for."""
    hub.add("org/tiny", model)
    downloads = make_downloads(tmp_path, hub, stall_timeout_s=1)
    hub.fail("org/tiny", WEIGHTS, hub_faults.slow(1_500_000))
    began_s = downloads.clock.now_s()

    downloads.ensure("org/tiny")

    assert downloads.sent_bytes("org/tiny") == size_of_weights()
    speeds = [item.bytes_per_s for item in downloads.seen if item.bytes_per_s]
    # A busy machine is slower than the line; what is told follows what came.
    average = size_of_weights() / (downloads.clock.now_s() - began_s)
    assert average / 2 < max(speeds) < 3_000_000


def test_a_frozen_program_is_replaced(tmp_path, hub, model):
    """The watchdog kills a transfer that does nothing at all, and goes on over HTTP."""
    hub.add("org/tiny", model, has_xet=True)
    downloads = make_downloads(tmp_path, hub, stall_timeout_s=2)
    hub.fail("org/tiny", hub_faults.XET, hub_faults.stall(0))

    downloads.ensure("org/tiny")

    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]
    assert downloads.sent_bytes("org/tiny", hub_faults.XET) == 0
    assert downloads.sent_bytes("org/tiny") == size_of_weights()


def test_xet_is_used_where_it_works(downloads, hub, model):
    """The bytes come from Xet storage, and their hash is checked like any other's."""
    hub.add("org/xet", model, has_xet=True)

    downloads.ensure("org/xet")

    assert downloads.content("org/xet", WEIGHTS) == tiny_files()[WEIGHTS]
    assert downloads.sent_bytes("org/xet", hub_faults.XET) > size_of_weights()
    assert downloads.sent_bytes("org/xet") == 0


def test_xet_goes_on_with_what_is_there(downloads, hub, model):
    """What plain HTTP has brought is not fetched again over Xet."""
    hub.add("org/xet", model, has_xet=True)
    file = hub.repositories["org/xet"].files("main")[WEIGHTS]
    partial = downloads.folder("org/xet").partial(file.etag)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(tiny_files()[WEIGHTS][:2_000_000])

    downloads.ensure("org/xet")

    sent = downloads.sent_bytes("org/xet", hub_faults.XET)
    assert downloads.content("org/xet", WEIGHTS) == tiny_files()[WEIGHTS]
    assert 0 < sent < size_of_weights() - 2_000_000 + 2 * CHUNK_BYTES


def test_xet_that_fails_is_replaced_by_http(downloads, hub, model):
    """An error of Xet storage is no error of the download."""
    hub.add("org/xet", model, has_xet=True)
    hub.fail("org/xet", hub_faults.XET, hub_faults.status(404))

    downloads.ensure("org/xet")

    assert downloads.content("org/xet", WEIGHTS) == tiny_files()[WEIGHTS]
    assert downloads.sent_bytes("org/xet") == size_of_weights()


def test_a_program_that_dies_is_replaced(downloads, hub):
    """When the kernel kills the transfer, as for memory, another one goes on."""
    hold(downloads, hub)
    killed: list[psutil.Process] = []

    def kill_once():
        if not killed and downloads.partial_bytes() > 300_000:
            killed.extend(transfers(psutil.Process()))
            killed[0].kill()
            hub.fail("org/tiny", WEIGHTS)
        return False

    downloads.ensure("org/tiny", is_cancelled=kill_once)

    assert len(killed) == 1
    assert downloads.names("org/tiny") == FILES
    assert downloads.sent_bytes("org/tiny") < size_of_weights() + CHUNK_BYTES


def test_what_is_fetched_twice_is_counted(downloads, hub):
    """The control: without the partial file the Hub has sent more than a chunk more."""
    hold(downloads, hub)
    with pytest.raises(errors.DownloadCancelled):
        downloads.ensure(
            "org/tiny", is_cancelled=lambda: downloads.partial_bytes() > 300_000
        )
    file = hub.repositories["org/tiny"].files("main")[WEIGHTS]
    downloads.folder("org/tiny").partial(file.etag).unlink()
    hub.fail("org/tiny", WEIGHTS)

    downloads.ensure("org/tiny")

    assert downloads.sent_bytes("org/tiny") > size_of_weights() + 300_000


def test_models_from_elsewhere_are_left_to_the_engine(downloads, hub):
    """With ModelScope switched on the Hub is not even asked."""
    report = ensure_models(
        downloads.settings,
        ("org/tiny",),
        downloads.environ | {"VLLM_USE_MODELSCOPE": "True"},
        downloads.seen.append,
        lambda: False,
    )

    assert (report.is_complete, report.repositories, hub.requests) == (False, (), [])


def test_wrong_content_is_never_kept(downloads, hub):
    """A file of the right length with another hash is thrown away and fetched again."""
    hub.fail("org/tiny", WEIGHTS, hub_faults.corrupt(times=1))

    downloads.ensure("org/tiny")

    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]


def test_content_that_stays_wrong_is_an_error(downloads, hub):
    """After three tries it is told, and nothing of it is left."""
    hub.fail("org/tiny", WEIGHTS, hub_faults.corrupt())

    with pytest.raises(errors.DownloadCorrupt, match=f"{WEIGHTS}: what arrives is"):
        downloads.ensure("org/tiny")

    assert WEIGHTS not in downloads.names("org/tiny")
    assert downloads.partial_bytes() == 0


def test_a_file_that_is_too_short_is_an_error(downloads, hub):
    """Who sends less than announced is asked for the rest, and then not believed."""
    hub.fail("org/tiny", WEIGHTS, hub_faults.short(1000))

    with pytest.raises(errors.DownloadCorrupt, match="less than it announces"):
        downloads.ensure("org/tiny")

    assert downloads.partial_bytes() == size_of_weights() - 1000


def test_cancelling_keeps_what_has_arrived(downloads, hub):
    """A cancelled download ends at once; the next one goes on with it."""
    hold(downloads, hub)

    with pytest.raises(errors.DownloadCancelled):
        downloads.ensure(
            "org/tiny", is_cancelled=lambda: downloads.partial_bytes() > 300_000
        )
    kept = downloads.partial_bytes()
    hub.fail("org/tiny", WEIGHTS)
    downloads.ensure("org/tiny")

    assert kept > 300_000
    assert downloads.sent_bytes("org/tiny") < size_of_weights() + CHUNK_BYTES


def test_a_kill_costs_less_than_one_chunk(downloads, hub, tmp_path):
    """
    ``kill -9`` of the command in the middle of the download ends the transfer too, and
    the next command fetches less than one chunk twice.
    """
    hold(downloads, hub)
    command = [sys.executable, "-m", "vllm_pkg", "model", "pull", "org/tiny", "--json"]
    main = str(tmp_path / "main")
    environ = os.environ | downloads.environ | {"VLLM_PKG_MAIN": main}

    with psutil.Popen(command, env=environ, stdout=-1, stderr=-3) as pulling:
        wait_until(lambda: downloads.partial_bytes() > 400_000, 30, "bytes arrive")
        workers = transfers(pulling)
        pulling.kill()
        wait_until(
            lambda: not any(one.is_running() for one in workers), 10, "no transfer"
        )
    kept = downloads.partial_bytes()
    hub.fail("org/tiny", WEIGHTS)
    report = downloads.ensure("org/tiny")

    assert workers
    assert kept > 400_000
    assert downloads.sent_bytes("org/tiny") - size_of_weights() < CHUNK_BYTES
    assert report.bytes_fetched < size_of_weights()
    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]


def test_a_blob_that_lost_its_end_is_fetched_again(downloads):
    """What a loss of power has cut is found by its size, and mended."""
    downloads.ensure("org/tiny")
    folder = downloads.folder("org/tiny")
    pointer = folder.pointer(folder.commit_of("main"), WEIGHTS)
    os.truncate(pointer, 1000)

    downloads.ensure("org/tiny")

    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]


def test_a_partial_file_with_holes_does_not_become_a_model(downloads, hub):
    """What a loss of power has left of a partial file is found by its hash."""
    file = hub.repositories["org/tiny"].files("main")[WEIGHTS]
    partial = downloads.folder("org/tiny").partial(file.etag)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(1_000_000))

    downloads.ensure("org/tiny")

    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]
