"""Running schemathesis over an application in this process, and counting."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp

# Nothing listens there: the application is called in this process.
HOST: Final = "127.0.0.1:11111"
PREFIX: Final = "/api/v1"

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
    left_out: Iterable[str] = (),
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
        left_out: Paths of the document that are not tried.
    """
    report = FuzzReport()
    for seed in range(1, passes + 1):
        schema = _schema(app, token, examples, seed)
        for path in left_out:
            schema = schema.exclude(path=path)
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                _count(report, event)
            elif isinstance(event, events.NonFatalError | events.FatalError):
                report.problems.append(str(event))
    return report


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
