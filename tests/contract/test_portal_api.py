"""The API of the real portal over a real socket, with volumes of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.downloads import write_model
from support.hub_server import HubServer
from support.portal_api import PortalApi
from support.waiting import wait_until
from vllm_pkg.engine.recorder.log_file import begin_log
from vllm_pkg.service.processes import Verb
from vllm_pkg.state.identity import ProcessIdentity, is_alive

REPOSITORY = "org/name"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    """A portal of an instance that has never run."""
    folder = tmp_path_factory.mktemp("portal")
    logs = folder / "main" / "logs"
    logs.mkdir(parents=True)
    lines = [f"INFO 01-01 00:00:00 [a.py:1] line {n}\n" for n in range(12_345)]
    (logs / "engine.log.1").write_text("".join(lines[:4_000]))
    (logs / "engine.log").write_text("".join(lines[4_000:]))
    with HubServer() as hub:
        hub.add(REPOSITORY, write_model(folder / "model"))
        with PortalApi(folder, {"HF_ENDPOINT": hub.url}) as server:
            yield server


@pytest.mark.parametrize(
    "path",
    [
        *("/status", "/health", "/tasks", "/starts", "/machine", "/switch", "/keys"),
        *("/actions", "/actions/set-model/input", "/presets", "/models", "/downloads"),
        *("/checks", "/logs", "/processes", "/openapi.json"),
    ],
)
def test_what_can_be_read_is_json(portal, path):
    """Each part of the state answers, on an instance where nothing has happened."""
    status, document = portal.api("GET", path)

    assert status == 200
    assert isinstance(document, dict | list)


def test_the_state_is_that_of_the_command_line(portal):
    """One collector serves both; no model is selected here."""
    _, document = portal.api("GET", "/status")
    _, checks = portal.api("GET", "/health")

    assert document["health"] == checks[0]
    assert document["health"]["result"] == "disabled"
    assert [task["actionId"] for task in document["tasks"]] == ["set-model"]


def test_an_action_runs_and_its_effect_is_seen(portal):
    """A key that is added is listed, without the key itself."""
    given = {"name": "phone", "role": "user", "expiresDays": None}
    _, form = portal.api("GET", "/actions/add-api-key/input")
    given = {name: given.get(name) for name in form["spec"]}
    status, result = portal.api("POST", "/actions/add-api-key/run", {"input": given})
    _, keys = portal.api("GET", "/keys")

    assert status == 200, result
    assert result["version"] == "1"
    assert "phone" in [key["name"] for key in keys]
    assert not re.search(r'"[A-Za-z0-9]{22}"', json.dumps(keys))


def test_a_wrong_input_names_its_field(portal):
    """The error stands at the field that caused it, as in the command line."""
    wrong = {"config": {"selection": "custom", "value": {"args": '"open', "env": []}}}
    status, document = portal.api("POST", "/actions/set-model/run", {"input": wrong})

    assert status == 400
    assert document["error"]["fields"][0]["path"] == ["config", "value", "args"]


@pytest.mark.parametrize(
    ("request_made", "refusal"),
    [
        (("GET", "/nothing", None), (404, "not-found")),
        (("GET", "/nothing%0A", None), (404, "not-found")),
        (("GET", "/", None), (404, "not-found")),
        (("PUT", "/status", None), (405, "method-not-allowed")),
        (("GET", "/actions/nothing/input", None), (404, "unknown-action")),
        (("GET", "/logs/nothing", None), (404, "not-found")),
        (("GET", "/logs/nothing/events", None), (404, "not-found")),
        (("GET", "/logs/..%2Fsecrets", None), (404, "not-found")),
        (("GET", "/logs/engine?lines=x", None), (422, "invalid-argument")),
        (("GET", "/logs/engine?before=1", None), (422, "invalid-argument")),
        (("GET", "/models/fit", None), (422, "invalid-argument")),
        (("GET", "/models/fit?model=%00", None), (422, "invalid-argument")),
        (("GET", "/downloads/0123456789ab", None), (404, "not-found")),
        (("DELETE", "/downloads/start", None), (404, "not-found")),
        (("DELETE", "/checks/0123456789ab", None), (404, "not-found")),
        (("POST", "/switch/cancel", None), (409, "not-allowed-in-state")),
        (("POST", "/processes/engine/stop", None), (409, "host-not-running")),
        (("POST", "/processes/engine/kill", None), (422, "invalid-argument")),
        (("POST", "/models/pull", {}), (422, "no-model-selected")),
        (("POST", "/models/pull", {"model": "no-preset"}), (422, "preset-unknown")),
        (("POST", "/models/pull", {"model": "--help"}), (422, "invalid-argument")),
        (("POST", "/models/pull", {"unknown": 1}), (422, "invalid-argument")),
        (("POST", "/models/pull", b"{"), (400, "malformed-body")),
        (("POST", "/models/pull", b'{"model": NaN}'), (400, "malformed-body")),
        (("POST", "/models/pull", b'{"a": 1e999}'), (400, "malformed-body")),
        (("POST", "/models/pull", b'{"a": "\\ud800"}'), (400, "malformed-body")),
        (("POST", "/models/pull", b"\xff"), (400, "malformed-body")),
        (("POST", "/models/pull", b"[" * 100_000), (400, "malformed-body")),
        (("POST", "/models/pull", b"[" * 40 + b"]" * 40), (400, "malformed-body")),
        (("POST", "/models/pull", b"1" * 5000), (400, "malformed-body")),
        (("POST", "/models/pull", b" " * 1024**2 + b"{}"), (413, "body-too-large")),
    ],
)
def test_every_failure_has_the_one_shape(portal, request_made, refusal):
    """A code, what is wrong, and what to do; never more, and never a 5xx."""
    status, document = portal.api(*request_made)

    assert (status, document["error"]["code"]) == refusal
    assert set(document) == {"error"}
    assert set(document["error"]) <= {"code", "message", "hint", "fields"}
    assert document["error"]["message"]
    assert document["error"]["hint"]


def test_a_body_that_is_no_json_is_refused(portal):
    """A form of another site cannot be sent, whatever it holds."""
    headers = {"Content-Type": "text/plain"}
    status, document = portal.api("POST", "/models/verify", b"{}", **headers)

    assert (status, document["error"]["code"]) == (415, "not-json")


def _wait_over(portal, path):
    def over():
        _, found = portal.api("GET", path)
        return None if found["state"] in {"running", "stalled"} else found

    return wait_until(over, 120, f"the end of {path}")


def test_a_download_that_fails_says_why(portal):
    """It is accepted at once, and ends with the error that the command would print."""
    status, began = portal.api("POST", "/models/pull", {"model": "org/none"})
    done = _wait_over(portal, f"/downloads/{began['id']}")

    assert status == 202
    assert began["state"] == "running"
    assert (done["state"], done["model"]) == ("failed", "org/none")
    assert done["error"]["code"] == "repository-hidden"


def test_a_model_is_fetched_checked_and_removed(portal):
    """The whole life of a model in the cache, by the API alone."""
    _, began = portal.api("POST", "/models/pull", {"model": REPOSITORY})
    fetched = _wait_over(portal, f"/downloads/{began['id']}")
    _, cache = portal.api("GET", "/models")
    checked = {"model": REPOSITORY, "full": True}
    _, check = portal.api("POST", "/models/verify", checked)
    found = _wait_over(portal, f"/checks/{check['id']}")
    _, plan = portal.api("GET", f"/models/removal-plan?model={REPOSITORY}")
    wrong = {"model": REPOSITORY, "plan": "0" * 16}
    changed, error = portal.api("POST", "/models/removal", wrong)
    status, report = portal.api(
        "POST", "/models/removal", {"model": REPOSITORY, "plan": plan["id"]}
    )
    _, emptied = portal.api("GET", "/models")

    assert fetched["state"] == "done", fetched
    assert fetched["bytesDone"] == fetched["bytesTotal"] > 0
    assert [model["model"] for model in cache["models"]] == [REPOSITORY]
    assert found["state"] == "done"
    assert found["result"]["files"] == 5
    assert found["result"]["damaged"] == 0
    assert (changed, error["error"]["code"]) == (409, "not-allowed-in-state")
    assert status == 200
    assert report["freedBytes"] == plan["freesBytes"] > 0
    assert emptied["models"] == []


def test_a_download_outlives_the_portal(tmp_path):
    """A portal that is killed leaves the download alone; the next one can end it."""
    # A Hub that takes the connection and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as hub:
        address = f"http://127.0.0.1:{hub.getsockname()[1]}"
        variables = {"HF_ENDPOINT": address}
        with PortalApi(tmp_path, variables) as first:
            _, began = first.api("POST", "/models/pull", {"model": REPOSITORY})
            assert first.process is not None
            first.process.kill()
            first.process.wait()
        with PortalApi(tmp_path, variables) as second:
            _, found = second.api("GET", f"/downloads/{began['id']}")
            status, _ = second.api("DELETE", f"/downloads/{began['id']}")
            _, ended = second.api("GET", f"/downloads/{began['id']}")
            again, _ = second.api("DELETE", f"/downloads/{began['id']}")

    assert found["state"] in {"running", "stalled"}
    assert (status, ended["state"], again) == (204, "cancelled", 409)
    record = tmp_path / "main" / "run" / "jobs" / began["id"] / "record.json"
    process = ProcessIdentity(**json.loads(record.read_text())["process"])
    wait_until(lambda: not is_alive(process, process.boot_id), 20, "its end")


def test_logs_page_back_to_the_first_line(portal):
    """10,000 lines at once, then those before, across the rotated file."""
    _, last = portal.api("GET", "/logs/engine")
    _, first = portal.api("GET", f"/logs/engine?before={last['before']}")
    texts = [line["text"] for line in first["lines"] + last["lines"]]

    assert len(last["lines"]) == 10_000
    assert first["before"] is None
    assert [int(text.rpartition(" ")[2]) for text in texts] == list(range(12_345))
    assert last["lines"][0]["level"] == "info"


def test_a_log_is_downloaded_as_text(portal):
    """All of it, as a file."""
    status, text = portal.api("GET", "/logs/engine/text")

    assert status == 200
    assert text.count("\n") == 12_345


def test_a_log_streams_its_history_and_then_what_comes(portal):
    """A stream that is taken up again goes on where it ended, and misses nothing."""
    logs = portal.folder / "main" / "logs"
    (logs / "host.log").write_text("one\ntwo\n")
    with portal.stream("/logs/host/events?lines=1") as stream:
        events = stream.events()
        history = next(events)
        with (logs / "host.log").open("a") as log:
            log.write("three\n")
        news = next(events)
    with (logs / "host.log").open("a") as log:
        log.write("four\n")
    headers = {"Last-Event-ID": news.id}
    with portal.stream("/logs/host/events", **headers) as stream:
        later = next(stream.events())

    assert history.name == "history"
    assert [line["text"] for line in history.json()["lines"]] == ["two"]
    assert news.name == "lines"
    assert [line["text"] for line in news.json()["lines"]] == ["three"]
    assert [line["text"] for line in later.json()["lines"]] == ["four"]


def test_a_stream_of_a_log_waits_for_its_first_line(portal):
    """A log that has no file yet is followed from its first line on."""
    with portal.stream("/logs/fetcher/events") as stream:
        events = stream.events()
        history = next(events)
        (portal.folder / "main" / "logs" / "fetcher.log").write_text("hello\n")
        news = next(events)

    assert history.json()["lines"] == []
    assert [line["text"] for line in news.json()["lines"]] == ["hello"]


def test_each_start_has_its_log(portal):
    """The logs of starts are listed by their times."""
    begin_log(portal.folder / "main" / "logs", ["begun"], datetime.now(UTC))
    _, logs = portal.api("GET", "/logs")
    start = next(log for log in logs if log["id"].startswith("start-"))
    _, page = portal.api("GET", f"/logs/{start['id']}")

    assert start["startedAt"] is not None
    assert [line["text"] for line in page["lines"]] == ["begun"]


def test_a_stream_begins_with_the_present_state(portal):
    """Also one that is taken up again: it never shows less than there is."""
    with portal.stream("/events") as stream:
        first = next(stream.events())
        kind = stream.answer.headers["Content-Type"]
    headers = {"Last-Event-ID": first.id}
    with portal.stream("/events", **headers) as stream:
        again = next(stream.events())
    with portal.stream("/events", **{"Last-Event-ID": "\xff nonsense"}) as stream:
        odd = next(stream.events())

    assert kind.startswith("text/event-stream")
    assert {first.name, again.name, odd.name} == {"state"}
    assert again.json()["version"] == first.json()["version"]
    assert int(again.id) >= int(first.id)


def test_a_change_is_streamed(portal):
    """What happens beside the portal is seen by all who watch, in a second or two."""
    with portal.stream("/events") as stream:
        events = stream.events()
        next(events)
        failure = portal.folder / "main" / "store.json"
        failure.write_text("{")
        problem = next(event for event in events if event.name == "problem")
        failure.unlink()
        state = next(event for event in events if event.name == "state")

    assert problem.json()["error"]["code"] == "state-corrupt"
    assert state.json()["model"]["source"] is None
    assert int(state.id) > int(problem.id)


def test_a_hundred_streams_are_served_and_freed(portal):
    """Each begins with the state; those that hang up leave nothing behind."""
    folder = Path(f"/proc/{portal.process.pid}/fd")
    before = _count(folder)
    streams = [portal.stream("/events") for _ in range(100)]
    firsts = [next(stream.events()).name for stream in streams]
    during = _count(folder)
    for stream in streams:
        stream.__exit__()

    assert firsts == ["state"] * 100
    # One of before may have been about to be closed.
    assert during >= before + 90
    wait_until(lambda: _count(folder) <= before + 2, 20, "the streams' end")
    assert portal.ask("GET", "/healthz")[0] == 503


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def test_pollers_are_told_in_a_word(portal):
    """503 while no model is selected, and 200 for who wants the body only."""
    status, told = portal.ask("GET", "/healthz")
    always, same = portal.ask("GET", "/healthz?always=200")
    head, nothing = portal.ask("HEAD", "/healthz")
    refused, error = portal.ask("POST", "/healthz", {})

    assert (status, always, head, refused) == (503, 200, 503, 405)
    assert told == same
    assert told["status"] == "disabled"
    assert told["message"]
    assert nothing == ""
    assert error["error"]["code"] == "method-not-allowed"


def test_metrics_are_well_formed(portal):
    """Each line is a comment or a sample, as Prometheus reads them."""
    status, text = portal.api("GET", "/metrics")
    sample = re.compile(r'[a-z_]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)*\})? [-+0-9.eE]+')
    odd = [
        line
        for line in text.splitlines()
        if not line.startswith(("# HELP ", "# TYPE ")) and not sample.fullmatch(line)
    ]

    assert status == 200
    assert odd == []
    assert 'vllm_pkg_health{result="disabled"} 1' in text.splitlines()
    assert "vllm_pkg_requests_total 0" in text.splitlines()


def test_the_document_names_both_ways_to_be_let_in(portal):
    """A session's cookie or the token; and each operation can refuse."""
    _, document = portal.api("GET", "/openapi.json")
    schemes = document["components"]["securitySchemes"]
    operations = [
        operation for path in document["paths"].values() for operation in path.values()
    ]

    assert {scheme["type"] for scheme in schemes.values()} == {"apiKey", "http"}
    assert len(operations) >= 30
    for operation in operations:
        assert {"session", "token"} == {n for one in operation["security"] for n in one}
        assert {"400", "401", "403", "429"} <= set(operation["responses"])
    assert {verb.value for verb in Verb} == set(
        document["components"]["schemas"]["Verb"]["enum"]
    )


def test_a_portal_with_open_streams_ends_at_once(tmp_path):
    """A signal ends the streams, too: nothing waits for those who listen."""
    with PortalApi(tmp_path) as server, server.stream("/events") as stream:
        next(stream.events())
        assert server.process is not None
        began_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(15)

    assert code in {0, -signal.SIGTERM}
    assert time.monotonic() - began_s < 10
