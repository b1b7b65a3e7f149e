"""Errors as JSON: `{"error": {"code", "message", "hint", "exit"}}`. The one place that turns exceptions into replies.

`exit` is the exit code of a command that meets the error. Validation, unknown routes and bugs get the same shape;
a traceback never leaves the process.
"""

from __future__ import annotations

import traceback
from typing import NamedTuple

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from passloop.apps.errors import BadValue, SpecError
from passloop.engine.errors import EngineError
from passloop.store.errors import StoreError

__all__ = ["ErrorBody", "add_error_handlers", "error_reply"]

STATUS_OF_CODE = {
    "unfollowable": 503,
    "unanswered": 503,
    "not_found": 404,
    "never_fits": 409,
    "not_allowed": 403,
    "paused": 503,
    "stopped": 503,
}
STATUS_OF_EXIT = {3: 404, 4: 500, 5: 503, 6: 403, 7: 409}


class ErrorBody(NamedTuple):
    """What an error says."""

    code: str
    message: str
    hint: str
    exit: int


def error_reply(status: int, body: ErrorBody, **more: object) -> Response:
    """The reply of an error; `more` stands beside what every error says."""
    content = msgspec.json.encode({"error": {**body._asdict(), **more}})
    return Response(content, status_code=status, media_type="application/json")


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of the application a JSON reply."""
    app.add_exception_handler(EngineError, _on_engine_error)
    app.add_exception_handler(SpecError, _on_spec_error)
    app.add_exception_handler(BadValue, _on_bad_value)
    app.add_exception_handler(StoreError, _on_store_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_bug)


def _on_engine_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, EngineError)
    status = STATUS_OF_CODE.get(error.code, 400)
    return error_reply(status, ErrorBody(error.code, error.message, error.hint, error.exit_code))


def _on_spec_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SpecError)
    status = STATUS_OF_EXIT.get(error.exit_code, 400)
    problems = [problem._asdict() for problem in error.problems]
    return error_reply(status, ErrorBody(error.code, error.message, error.hint, error.exit_code), problems=problems)


def _on_bad_value(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadValue)
    return error_reply(400, ErrorBody("invalid", error.what, error.fix, 2))


def _on_store_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    status = STATUS_OF_EXIT.get(error.exit_code, 500)
    return error_reply(status, ErrorBody("store", error.message, error.hint, error.exit_code))


def _on_bad_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = [f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}" for found in error.errors()[:10]]
    hint = "see /api/v1/openapi.json for what this route takes"
    return error_reply(400, ErrorBody("invalid", "; ".join(places), hint, 2))


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid")
    message = f"{request.method} {request.url.path}: {error.detail}"
    exit_code = 3 if error.status_code == 404 else 2
    body = ErrorBody(code, message, "see /api/v1/openapi.json for the routes there are", exit_code)
    return error_reply(error.status_code, body)


def _on_bug(_request: Request, error: Exception) -> Response:
    """A mistake of ours: said plainly to the client, with its story on the engine's own standard error."""
    traceback.print_exception(error)
    message = f"the engine made a mistake ({type(error).__name__}); its log has the details"
    return error_reply(500, ErrorBody("bug", message, "passloop doctor", 1))
