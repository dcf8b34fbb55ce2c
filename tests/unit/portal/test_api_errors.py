"""The one shape of errors, and answers that their models describe."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from vllm_pkg import errors as tree
from vllm_pkg.health.switch_text import switches_json
from vllm_pkg.models.download import errors as download_errors
from vllm_pkg.portal.api import errors, streams
from vllm_pkg.portal.api.shapes_service import FailureShape, SwitchesShape
from vllm_pkg.state.records import FailureRecord, SettingChange
from vllm_pkg.state.switch import Selected, Switch, Switches, SwitchPhase, Waiting
from vllm_pkg.state.switch_file import SwitchProgress


def _tree(root):
    found = [root]
    for child in root.__subclasses__():
        found += _tree(child)
    return found


def test_every_error_has_a_status_that_the_document_declares():
    """No error of the package surprises a client of the API."""
    kinds = _tree(tree.ServiceError)
    statuses = {kind.http_status for kind in kinds}

    assert statuses - set(errors.RESPONSES) == set()
    assert {download_errors.DownloadError, streams.TooManyStreams} <= set(kinds)


@pytest.fixture
def client():
    """A client of an application in which everything goes wrong."""
    app = FastAPI()

    @app.get("/mistake")
    def mistake():
        raise RuntimeError("secret-detail")

    @app.get("/refusal")
    def refusal():
        raise tree.InvalidArgument(
            "no", fields=(tree.FieldProblem(("a", "b"), "wrong"),)
        )

    errors.install(app)
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


def test_a_mistake_tells_nothing_of_itself(client, caplog):
    """Strangers learn that it happened, and the log which kind it was."""
    answer = client.get("/mistake")

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "secret-detail" not in answer.text
    assert "RuntimeError" in caplog.text


def test_a_refused_form_names_its_fields(client):
    """The fields go along, with their paths."""
    answer = client.get("/refusal")

    assert answer.status_code == 400
    assert answer.json()["error"]["fields"] == [
        {"path": ["a", "b"], "message": "wrong"}
    ]


def test_every_phase_of_a_switch_is_described():
    """Whatever a switch goes through fits the model of the answer."""
    selected = Selected(("org/one",))
    change = SettingChange("--max-model-len", "1024")
    progress = SwitchProgress(
        "id", "org/one", 1, 2, 3.5, None, is_stalled=False, updated_s=4.5
    )
    for phase in SwitchPhase:
        switch = Switch(
            id="id",
            phase=phase,
            target=selected,
            previous=Selected(()),
            requested_at="2026-01-01T00:00:00Z",
            changed_at="2026-01-01T00:00:00Z",
            reason="It broke.",
            hint="Mend it.",
            changes=(change,),
        )
        waiting = Waiting("next", selected, "2026-01-01T00:00:00Z")
        document = switches_json(Switches(switch, waiting), progress)

        shape = SwitchesShape.model_validate(document)

        assert shape.model_dump(mode="json", by_alias=True) == document


def test_a_failure_is_described_with_all_it_has():
    """A record with every field fits the model of the answer."""
    record = FailureRecord(
        at="2026-01-01T00:00:00+00:00",
        at_s=1.0,
        boot_id="boot",
        summary="It ended.",
        hint="Mend it.",
        exit_code=-9,
        is_final=True,
        starts=3,
        log_tail=("last",),
        cause="oom",
        explanation="Too much.",
        evidence="OutOfMemory",
        changes=(SettingChange("--max-model-len", None, is_removed=True),),
        selection="abc",
        fix="Less.",
        pid=7,
    )

    for one in (record, replace(record, cause=None, exit_code=None, pid=None)):
        assert FailureShape.model_validate(asdict(one)).summary == "It ended."
