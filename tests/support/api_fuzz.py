"""Running schemathesis over an application in this process, and counting."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from vllm_pkg.portal.api.errors import error_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

TOKEN: Final = "fuzz-0123456789"  # noqa: S105  # of the test

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
    app: ASGIApp, *, examples: int, seed: int, left_out: Iterable[str] = ()
) -> FuzzReport:
    """
    Try every operation of an application with what fits its document and what does not.

    Args:
        app: The application, called in this process.
        examples: Requests per operation, at most, beside those of its document; and
            a tenth as many chains of requests that follow from each other.
        seed: Makes the same requests again.
        left_out: Paths that are not tried.
    """
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "headers": {"Authorization": f"Bearer {TOKEN}"},
            "generation": {
                "max-examples": examples,
                "no-shrink": True,
                # A session that was made up would stand beside the right token.
                "with-security-parameters": False,
            },
            # One of its examples is a chain of requests.
            "phases": {
                "stateful": {"generation": {"max-examples": max(1, examples // 10)}}
            },
            "checks": {
                "enabled": False,
                **{name: {"enabled": True} for name in CHECKS},
            },
        }
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    schema: schemathesis.BaseSchema = schemathesis.openapi.from_asgi(
        "/openapi.json", app, config=config, headers=headers
    )
    for path in left_out:
        schema = schema.exclude(path=path)
    report = FuzzReport()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _count(report, event)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            report.problems.append(str(event))
    return report


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


class TokenGuard:
    """
    Lets in who gives the token, and no one else.

    Args:
        app: The application behind it.
        token: The token.
    """

    def __init__(self, app: ASGIApp, token: str = TOKEN) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, or refuse."""
        given = dict(scope.get("headers", ())).get(b"authorization")
        if scope["type"] != "http" or given == self._expected:
            await self._app(scope, receive, send)
            return
        refusal = error_answer(401, "missing-token", "no token", "give it")
        await refusal(scope, receive, send)
