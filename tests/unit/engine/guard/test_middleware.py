"""The guard around a stub of the engine: who passes, and what all others are told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine.guard import middleware, refusals
from vllm_pkg.engine.guard.middleware import Guard
from vllm_pkg.engine.guard.usage import Usage, read_usage
from vllm_pkg.errors import StateWriteFailed
from vllm_pkg.state import atomic, keys
from vllm_pkg.state.secrets import Role

if TYPE_CHECKING:
    from pathlib import Path

PRIMARY = "Primary0123456789ABCDE"
ENGINE = "Engine0123456789ABCDEF"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
AUTH = b"authorization"
MISSING = "This needs one API key, in the header 'Authorization: Bearer <key>'."


@dataclass
class Service:
    """A guard over files of a test; the application inside notes what reaches it."""

    folder: Path
    environ: dict[str, str]
    reached: list[dict[str, Any]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    guard: Guard | None = None

    @property
    def settings(self):
        """Where the files are."""
        return make_settings(self.folder)

    async def inside(self, scope, receive, send):
        """Stand for the engine."""
        self.reached.append(scope)
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def start(self):
        """Set the guard up."""
        self.guard = Guard(self.inside, self.environ)
        return self

    def call(self, scope):
        """Send one connection and return what came back."""
        self.sent = []

        async def receive():
            return {"type": f"{scope['type']}.startup"}

        async def send(message):
            self.sent.append(message)

        async def run():
            assert self.guard is not None
            await self.guard(scope, receive, send)

        asyncio.run(run())
        return self.sent

    def ask(self, method, path, *headers, kind="http", **more):
        """Send a request and return its status; 200 only if it got inside."""
        self.reached.clear()
        scope = {"type": kind, "path": path, "headers": list(headers), **more}
        if kind == "http":
            scope["method"] = method
        sent = self.call(scope)
        status = sent[0].get("status", sent[0]["type"])
        assert (status == 200) == bool(self.reached)
        return status

    def body(self):
        """Return the error of the last answer."""
        headers = dict(self.sent[0]["headers"])
        assert headers[b"content-type"] == b"application/json"
        assert headers[b"content-length"] == str(len(self.sent[1]["body"])).encode()
        return json.loads(self.sent[1]["body"])["error"]


def bearer(key):
    """Return the header that presents a key."""
    return AUTH, b"Bearer " + (key if isinstance(key, bytes) else key.encode())


@pytest.fixture(name="fresh")
def fresh_fixture(tmp_path):
    """A service whose guard is not set up yet."""
    settings = make_settings(tmp_path)
    settings.main.mkdir()
    settings.public.mkdir()
    settings.credentials_file.write_text(json.dumps({"apiKey": PRIMARY}))
    environ = {
        "VLLM_PKG_MAIN": str(settings.main),
        "VLLM_PKG_PUBLIC": str(settings.public),
        "VLLM_PKG_GUARD_KEY": ENGINE,
    }
    return Service(tmp_path, environ)


@pytest.fixture(name="service")
def service_fixture(fresh):
    """A service with its guard."""
    return fresh.start()


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health"), ("GET", "/ping"), ("POST", "/ping")]
)
def test_open_routes_need_nothing(service, method, path):
    """Health is answered without a key, and its request is passed on as it came."""
    headers = ((b"host", b"h"), bearer("anything"))
    assert service.ask(method, path) == 200
    assert service.ask(method, path, *headers) == 200
    assert service.reached[0]["headers"] == list(headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/invocations"),
        ("POST", "/tokenize"),
        ("POST", "/score"),
        ("GET", "/metrics"),
        ("GET", "/version"),
        ("GET", "/docs"),
        ("POST", "/scale_elastic_ep"),
        ("POST", "/collective_rpc"),
        ("GET", "/nothing"),
        ("DELETE", "/health"),
        ("OPTIONS", "/v1/models"),
        ("OPTIONS", "/health"),
        ("GET", "//health"),
        ("GET", "/health/"),
    ],
)
def test_nothing_else_passes_without_a_key(service, method, path):
    """Everything but health answers 401 without a key and with a wrong one."""
    assert service.ask(method, path) == 401
    assert service.body() == {
        "message": MISSING,
        "type": "invalid_request_error",
        "param": None,
        "code": "missing_api_key",
    }
    assert dict(service.sent[0]["headers"])[b"www-authenticate"] == b"Bearer"
    assert service.ask(method, path, bearer("wrong")) == 401
    assert service.body()["code"] == "invalid_api_key"
    assert dict(service.sent[0]["headers"])[b"www-authenticate"] == b"Bearer"


@pytest.mark.parametrize(
    "value",
    [
        *(b"\xff\xfe\xfd", "schlüssel".encode(), b"\0", b"", b" ", b"None", b"null"),
        *(ENGINE.encode(), PRIMARY[1:].encode(), PRIMARY.lower().encode()),
        b"x" * 1024 * 1024,
    ],
)
def test_strange_keys_are_refused(service, value):
    """No bytes of any kind or length open the port, the engine's own key included."""
    assert service.ask("GET", "/v1/models", bearer(value)) == 401


def test_two_keys_in_one_request_are_refused(service):
    """Even if both are right: the engine must not be able to see another one."""
    twice = (bearer(PRIMARY), bearer(PRIMARY))
    assert service.ask("GET", "/v1/models", *twice) == 401


def test_the_engine_gets_its_own_key(service):
    """A client's key opens the port and never reaches the engine."""
    headers = ((b"host", b"h"), (b"x-api-key", b"x"), bearer(PRIMARY))
    scope_headers = list(headers)
    assert service.ask("POST", "/v1/chat/completions", *headers) == 200
    assert service.reached[0]["headers"] == [(b"host", b"h"), bearer(ENGINE)]
    assert scope_headers == list(headers)


def test_anthropics_header_is_accepted_on_its_paths(service):
    """There and nowhere else."""
    header = (b"x-api-key", PRIMARY.encode())
    assert service.ask("POST", "/v1/messages", header) == 200
    assert service.reached[0]["headers"] == [bearer(ENGINE)]
    assert service.ask("GET", "/v1/models", header) == 401


def test_administration_needs_an_administrators_key(service):
    """A user's key is told 403; an administrator's opens these and all others."""
    admin = keys.add_key(service.settings, "ops", Role.ADMIN, None, NOW)
    service.start()
    assert service.ask("POST", "/sleep", bearer(PRIMARY)) == 403
    assert service.body()["code"] == "admin_key_needed"
    assert service.ask("POST", "/sleep", bearer(admin.key)) == 200
    assert service.ask("GET", "/v1/models", bearer(admin.key)) == 200


@pytest.mark.parametrize("path", ["/nothing", "//v1/models", "/V1/models", "/", ""])
def test_unknown_paths_are_not_found_with_a_key(service, path):
    """They never reach the engine, and the answer does not repeat them."""
    assert service.ask("GET", path, bearer(PRIMARY)) == 404
    assert service.body()["message"] == "There is nothing at this address."


def test_a_wrong_method_is_told_the_right_ones(service):
    """With a key the answer to a wrong method names those that exist."""
    assert service.ask("DELETE", "/health", bearer(PRIMARY)) == 405
    assert dict(service.sent[0]["headers"])[b"allow"] == b"GET, HEAD"
    assert service.ask("GET", "/v1/realtime", bearer(PRIMARY)) == 404
    assert service.ask("GET", "/sleep", bearer(PRIMARY)) == 403


@pytest.mark.parametrize("root", ["/", "/v1", "/v1/responses", "x"])
def test_a_root_path_opens_nothing(service, root):
    """With a root path paths mean something else, so none is known any more."""
    assert service.ask("GET", "/health", root_path=root) == 401
    path = "/v1/responses/sleep"
    assert service.ask("GET", path, bearer(PRIMARY), root_path=root) == 404
    assert service.ask("GET", path, bearer(PRIMARY), root_path="") == 200


PREFLIGHT = ((b"origin", b"https://a"), (b"access-control-request-method", b"POST"))


def test_a_preflight_passes_only_where_cors_is_configured(fresh):
    """OPTIONS is a method like any other, unless the engine was given origins."""
    fresh.start()
    assert fresh.ask("OPTIONS", "/v1/models", *PREFLIGHT) == 401
    assert fresh.ask("OPTIONS", "/v1/models", *PREFLIGHT, bearer(PRIMARY)) == 405
    fresh.environ["VLLM_PKG_GUARD_CORS"] = "1"
    fresh.start()
    assert fresh.ask("OPTIONS", "/v1/models", *PREFLIGHT) == 200
    assert fresh.ask("OPTIONS", "/v1/models", PREFLIGHT[0]) == 401
    assert fresh.ask("OPTIONS", "/sleep", *PREFLIGHT) == 401
    assert fresh.ask("OPTIONS", "/nothing", *PREFLIGHT) == 401
    assert fresh.ask("GET", "/v1/models", *PREFLIGHT) == 401


def test_a_websocket_is_refused_before_it_is_accepted(service):
    """With the server's extension it gets the HTTP answer, without it it is closed."""
    assert service.ask("", "/v1/realtime", kind="websocket") == "websocket.close"
    more: dict[str, Any] = {
        "kind": "websocket",
        "extensions": {"websocket.http.response": {}},
    }
    assert service.ask("", "/v1/realtime", **more) == 401
    assert [item["type"] for item in service.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert service.body()["code"] == "missing_api_key"
    assert service.ask("", "/health", **more) == 401
    assert service.ask("", "/health", bearer(PRIMARY), **more) == 404
    assert service.ask("", "/v1/realtime", bearer("x"), **more) == 401
    assert service.ask("", "/v1/realtime", bearer(PRIMARY), **more) == 200
    assert service.reached[0]["headers"] == [bearer(ENGINE)]


def test_no_answer_repeats_a_request(service):
    """Bodies and headers of refusals hold nothing that the client sent."""
    canary = "Canary0123456789"
    for path, key in ((f"/{canary}", PRIMARY), ("/v1/models", canary)):
        assert service.ask("GET", path, bearer(key), (b"x", canary.encode())) >= 400
        assert canary not in str(service.sent)
        assert PRIMARY not in str(service.sent)


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
    assert read_usage(service.settings.key_usage_dir)["primary"].requests == 2


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
        await asyncio.sleep(0.001)
        await service.guard._flushing

    asyncio.run(run())
    usage = read_usage(folder)["primary"]
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
    assert read_usage(folder)["primary"].requests == 4


def test_refusals_are_made_once():
    """Every refusal is JSON in OpenAI's shape, with all four members."""
    made = [
        item for item in vars(refusals).values() if isinstance(item, refusals.Refusal)
    ]
    assert len(made) == 5
    for refusal in made:
        error = json.loads(refusal.body)["error"]
        assert list(error) == ["message", "type", "param", "code"]
