"""The one shape of errors, for whatever goes wrong in a request."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from vllm_pkg.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request

log = logging.getLogger(__name__)

_TEXTS: Final = {
    HTTPStatus.NOT_FOUND: ("not-found", "there is nothing at this address"),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "method-not-allowed",
        "this address does not take that method",
    ),
}
_SEE_DOCUMENT: Final = "see /api/v1/openapi.json"


class FieldShape(BaseModel):
    """One field that is wrong."""

    model_config = ConfigDict(extra="forbid")

    path: list[str]
    message: str


class ErrorDetail(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(extra="forbid")

    code: str
    message: str
    hint: str
    fields: list[FieldShape] | None = None


class ErrorShape(BaseModel):
    """The answer to every request that fails."""

    model_config = ConfigDict(extra="forbid")

    error: ErrorDetail


_WHEN: Final = {
    HTTPStatus.BAD_REQUEST: "The request cannot be understood.",
    HTTPStatus.UNAUTHORIZED: "Neither a session nor the portal's token was given.",
    HTTPStatus.FORBIDDEN: "It came from another site, or nobody may do that.",
    HTTPStatus.NOT_FOUND: "There is no such thing.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take that method.",
    HTTPStatus.CONFLICT: "It cannot be done in the present state.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is no JSON document.",
    HTTPStatus.MISDIRECTED_REQUEST: "The host's name is none of the portal's.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A value is not possible; the fields say which.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many failures, or too many open streams.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The state could not be read or written.",
    HTTPStatus.BAD_GATEWAY: "The engine, its host or the Hub did not do its part.",
    HTTPStatus.INSUFFICIENT_STORAGE: "The disk is full.",
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    int(status): {"model": ErrorShape, "description": text}
    for status, text in _WHEN.items()
}


def install(app: FastAPI) -> None:
    """Answer every failure of an application in the one shape."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_surprise)


def error_answer(
    status: int,
    code: str,
    message: str,
    hint: str,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an error as an answer."""
    document = {"error": {"code": code, "message": message, "hint": hint}}
    return JSONResponse(document, int(status), headers)


async def _on_service_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)  # noqa: S101  # so it was registered
    return JSONResponse(error.as_json(), error.http_status)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # as above
    fields = [
        # The first part says only whether it stood in the path, query or body.
        {"path": [str(key) for key in item["loc"][1:]], "message": str(item["msg"])}
        for item in error.errors()
    ]
    told = "; ".join(f"{'.'.join(one['path'])}: {one['message']}" for one in fields[:3])
    detail = {
        "code": "invalid-argument",
        "message": told or "the request is not complete",
        "hint": _SEE_DOCUMENT,
        "fields": fields,
    }
    return JSONResponse({"error": detail}, int(HTTPStatus.UNPROCESSABLE_ENTITY))


async def _on_http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  # as above
    status = HTTPStatus(error.status_code)
    code, message = _TEXTS.get(status, ("http-error", str(error.detail)))
    return error_answer(status, code, message, _SEE_DOCUMENT, error.headers)


async def _on_surprise(_: Request, error: Exception) -> JSONResponse:
    # Where it was raised stands in the log; strangers are told nothing of it.
    log.error("A request failed: %s", type(error).__name__)
    return error_answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        "the portal made a mistake",
        "see the portal's log",
    )
