"""Running schemathesis over an application in this process, and counting."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
import hypothesis
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing listens there: the application is called in this process.
HOST: Final = "127.0.0.1:11111"
PREFIX: Final = "/api/v1"

_TYPE: Final = b"content-type"
_STREAM: Final = b"text/event-stream"
# A stream that has nothing to tell is left after this time.
SILENCE_S: Final = 0.1

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)


@dataclass
class FuzzReport:
    """
    What was tried, and what was found.

    ``cases`` counts the requests by phase, ``statuses`` the answers by status,
    ``operations`` the requests by operation, and ``problems`` holds one text for each
    check that has failed.
    """

    cases: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def fuzz(
    app: ASGIApp,
    *,
    token: str,
    examples: int,
    passes: int = 1,
) -> FuzzReport:
    """
    Try every operation of an API with what fits its document and what does not.

    Many passes with few requests each are cheaper than one with many: what is generated
    grows with each request of a pass.

    Args:
        app: The application that has the API, called in this process.
        token: What lets in.
        examples: Requests per operation and pass, at most, and a tenth as many chains
            of requests that follow from each other. The first pass also makes the
            requests that follow from the document alone.
        passes: How many, each with other requests.
    """
    report = FuzzReport()
    with pytest.MonkeyPatch.context() as patch:
        # The search for requests that are answered well takes a third of the time.
        patch.setattr(hypothesis, "target", lambda *_, **__: None)
        for seed in range(1, passes + 1):
            schema = _schema(FirstEvents(app), token, examples, seed)
            for event in from_schema(schema).execute():
                if isinstance(event, events.ScenarioFinished):
                    _count(report, event)
                elif isinstance(event, events.NonFatalError | events.FatalError):
                    report.problems.append(str(event))
    return report


class FirstEvents:
    """
    Leaves a stream of events after the first one: it would never end.

    Args:
        app: The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and no more of a stream than its beginning."""
        is_over = False

        async def pass_on(message: Message) -> None:
            nonlocal is_over
            # Here it ends, if the application itself waits for nothing.
            await anyio.lowlevel.checkpoint()
            await send(message)
            if message["type"] == "http.response.start":
                kinds = [value for name, value in message["headers"] if name == _TYPE]
                if any(kind.startswith(_STREAM) for kind in kinds):
                    patience.deadline = anyio.current_time() + SILENCE_S
            elif not message.get("more_body", False):
                is_over = True
            elif b"data:" in message["body"] and patience.deadline < float("inf"):
                patience.cancel()

        with anyio.CancelScope() as patience:
            await self._app(scope, receive, pass_on)
        if patience.cancelled_caught and not is_over:
            await send({"type": "http.response.body", "body": b""})


def _schema(
    app: ASGIApp, token: str, examples: int, seed: int
) -> schemathesis.BaseSchema:
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "base-url": f"http://{HOST}{PREFIX}",
            "headers": {"Authorization": f"Bearer {token}"},
            "generation": {
                "max-examples": examples,
                "no-shrink": True,
                # A session that was made up would stand beside the right token.
                "with-security-parameters": False,
            },
            "phases": {
                # It depends on no chance.
                "coverage": {"enabled": seed == 1},
                # One of its examples is a chain of requests.
                "stateful": {"generation": {"max-examples": max(1, examples // 10)}},
            },
            "checks": {
                "enabled": False,
                **{name: {"enabled": True} for name in CHECKS},
            },
        }
    )
    headers = {"Authorization": f"Bearer {token}", "Host": HOST}
    return schemathesis.openapi.from_asgi(
        f"{PREFIX}/openapi.json", app, config=config, headers=headers
    )


def _count(report: FuzzReport, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    report.cases[event.phase.value] += len(recorder.interactions)
    for case_id, interaction in recorder.interactions.items():
        report.operations[recorder.cases[case_id].value.operation.label] += 1
        if interaction.response is not None:
            report.statuses[interaction.response.status_code] += 1
    for case_id, nodes in recorder.checks.items():
        for node in nodes:
            report.checks[node.name] += 1
            if node.status is Status.FAILURE:
                label = recorder.cases[case_id].value.operation.label
                title = node.failure_info.failure if node.failure_info else ""
                report.problems.append(f"{label}: {node.name}: {title}")
