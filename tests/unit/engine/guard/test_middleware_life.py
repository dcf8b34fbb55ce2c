"""The guard's own life: its set-up, its end, and what it writes down between."""

from __future__ import annotations

import asyncio
import json

import pytest

from support.guarded import PRIMARY, bearer
from vllm_pkg.engine.guard import middleware, refusals
from vllm_pkg.engine.guard.key_ring import primary_id
from vllm_pkg.engine.guard.middleware import Guard
from vllm_pkg.engine.guard.usage import Usage, read_usage
from vllm_pkg.errors import StateWriteFailed
from vllm_pkg.state import atomic
from vllm_pkg.state.secrets import hash_key

PRIMARY_ID = primary_id(hash_key(PRIMARY))


@pytest.mark.parametrize("key", [None, "", "a b", "ü"])
def test_a_guard_without_the_engines_key_lets_nobody_in(fresh, key):
    """It refuses all, health included, and fails the start of the server."""
    fresh.environ["VLLM_PKG_GUARD_KEY"] = key or ""
    if key is None:
        del fresh.environ["VLLM_PKG_GUARD_KEY"]
    assert_closed(fresh)


def test_a_guard_without_files_lets_nobody_in(fresh):
    """Without credentials.json nothing is served."""
    fresh.settings.credentials_file.unlink()
    assert_closed(fresh)


def test_a_guard_with_wrong_settings_lets_nobody_in(fresh):
    """A profile that does not exist keeps everything closed too."""
    fresh.environ["VLLM_PKG_PROFILE"] = "nonsense"
    assert_closed(fresh)


def test_a_guard_with_a_fault_lets_nobody_in(fresh, monkeypatch):
    """An error that nobody has thought of keeps everything closed as well."""
    monkeypatch.setattr(middleware, "own_identity", lambda: 1 / 0)
    assert_closed(fresh)


def assert_closed(service):
    """Check that a guard refuses everything and fails the start."""
    service.start()
    assert service.ask("GET", "/health") == 503
    assert service.ask("GET", "/v1/models", bearer(PRIMARY)) == 503
    service.reached.clear()
    (message,) = service.call({"type": "lifespan"})
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"]
    assert service.reached == []


def test_the_lifespan_passes(service):
    """The application inside starts and ends as without a guard."""
    assert service.call({"type": "lifespan"}) == [{"type": "lifespan.startup.complete"}]


def test_the_process_environment_is_the_default(fresh, monkeypatch):
    """Nothing but the application is given to a middleware by vLLM."""
    for name, value in fresh.environ.items():
        monkeypatch.setenv(name, value)
    fresh.guard = Guard(fresh.inside)
    assert fresh.ask("GET", "/v1/models", bearer(PRIMARY)) == 200


def test_requests_are_written_down_at_the_end(service):
    """What was counted is on disk when the server has ended; refusals do not count."""
    for key in (PRIMARY, "wrong", PRIMARY):
        service.ask("GET", "/v1/models", bearer(key))
    service.ask("GET", "/health")
    # Monitoring is no use of a key.
    service.ask("GET", "/metrics", bearer(PRIMARY))
    service.call({"type": "lifespan"})
    assert read_usage(service.settings.key_usage_dir)[PRIMARY_ID].requests == 2


def test_requests_are_written_down_now_and_then(service, monkeypatch):
    """The first request starts a timer; one write follows for all up to then."""
    monkeypatch.setattr(middleware, "FLUSH_INTERVAL_S", 0.0)
    folder = service.settings.key_usage_dir
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/models",
        "headers": [bearer(PRIMARY)],
    }

    async def ignore(*_):
        return {}

    async def run():
        for _ in range(3):
            await service.guard(dict(scope), ignore, ignore)
        # Timers run in their order, so the guard's is over when this one is.
        is_over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.0, is_over.set)
        await is_over.wait()
        await service.guard._flushing

    asyncio.run(run())
    usage = read_usage(folder)[PRIMARY_ID]
    assert isinstance(usage, Usage)
    assert usage.requests == 3


def test_a_full_disk_does_not_stop_requests(service, monkeypatch, caplog):
    """Counts that cannot be written are lost with a line in the log, no request is."""

    def fail(*_args, **_more):
        raise StateWriteFailed("the disk is full")

    monkeypatch.setattr(atomic, "write_file", fail)
    assert service.ask("GET", "/v1/models", bearer(PRIMARY)) == 200
    service.call({"type": "lifespan"})
    assert "counts of requests were not written" in caplog.text


def test_counts_of_an_earlier_start_are_added_up(fresh, monkeypatch, caplog):
    """A start folds the files of ended processes; if it cannot, it still starts."""
    folder = fresh.settings.key_usage_dir
    folder.mkdir(parents=True)
    (folder / "1-1.json").write_text(
        '{"keys": {"primary": {"requests": 4, "last_used_s": 1.0}}}'
    )
    with monkeypatch.context() as patch:

        def fail(*_args, **_more):
            raise StateWriteFailed("the disk is full")

        patch.setattr(atomic, "write_file", fail)
        fresh.start()
        assert "were not added up" in caplog.text
    fresh.start()
    assert not (folder / "1-1.json").exists()
    # Under the one id that older versions counted primary keys under, until now.
    assert {key: item.requests for key, item in read_usage(folder).items()} == {
        PRIMARY_ID: 4
    }


def test_refusals_are_made_once():
    """Every refusal is JSON in OpenAI's shape, with all four members."""
    made = [
        item for item in vars(refusals).values() if isinstance(item, refusals.Refusal)
    ]
    assert len(made) == 5
    for refusal in made:
        error = json.loads(refusal.body)["error"]
        assert list(error) == ["message", "type", "param", "code"]
