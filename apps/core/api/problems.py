"""One handler renders every error as RFC 9457 problem+json: {type, title, status, detail, instance, code, request_id, errors, ...}."""

import http
from collections.abc import Mapping
from typing import Any

import redis
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404
from kombu.exceptions import OperationalError as BrokerError
from rest_framework import exceptions, status
from rest_framework.response import Response

from apps.core.context import current_context
from apps.core.documents import plain
from apps.core.errors import DeskError

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
SERVERS_AWAY = (OperationalError, InterfaceError, redis.ConnectionError, redis.TimeoutError, BrokerError)

#: Codes of what Django and Django REST framework raise, by status. Those of the desk stand in `apps.core.errors`.
CODES = {
    400: "INVALID_INPUT",
    401: "NOT_AUTHENTICATED",
    403: "NOT_PERMITTED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    409: "CONFLICT",
    413: "TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "RULE_REFUSED",
    423: "HALTED",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def problem_codes() -> dict[str, dict[str, Any]]:
    """Every code with its status and meaning: what a problem's `type` leads to."""
    known = {code: {"code": code, "status": number, "title": http.HTTPStatus(number).phrase, "detail": ""} for number, code in CODES.items()}
    pending = [DeskError]
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        title = (error.__doc__ or "").strip().split("\n")[0]
        known[error.code] = {"code": error.code, "status": error.status, "title": http.HTTPStatus(error.status).phrase, "detail": title}
    return known


def problem(
    number: int, *, code: str = "", detail: str = "", instance: str = "", errors: list[dict[str, str]] | None = None, extra: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """The body of a problem. `extra` adds members ("checks" of a refused order) and never replaces one of ours."""
    code = code or CODES.get(number, "ERROR")
    body = {
        "type": f"/api/v1/problems/{code}/",
        "title": http.HTTPStatus(number).phrase,
        "status": number,
        "detail": detail or http.HTTPStatus(number).description or http.HTTPStatus(number).phrase,
        "instance": instance,
        "code": code,
        "request_id": current_context().request_id,
        "errors": errors or [],
    }
    return {**plain(extra), **body}


def problem_response(body: dict[str, Any], headers: Mapping[str, str] = {}) -> Response:
    """A problem as a response of Django REST framework."""
    return Response(body, status=body["status"], headers=dict(headers), content_type=CONTENT_TYPE)


def problem_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """The response to an exception. None for one that nobody foresaw: Django logs it, and the middleware answers 500."""
    request = context.get("request")
    instance = request.path if request is not None else ""
    if isinstance(error, DeskError):
        return _desk_error(error, instance)
    if isinstance(error, Http404):
        error = exceptions.NotFound(str(error) or None)
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    elif isinstance(error, DjangoValidationError):
        error = exceptions.ValidationError(error.message_dict if hasattr(error, "error_dict") else error.messages)
    elif isinstance(error, SERVERS_AWAY):
        away = problem(503, detail="A server that the desk needs does not answer. Nothing is known to be done; try again.", instance=instance)
        return problem_response({**away, "retryable": True}, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    return _framework_error(error, instance) if isinstance(error, exceptions.APIException) else None


def _desk_error(error: DeskError, instance: str) -> Response:
    errors = [{"pointer": f"/{error.field}", "code": error.code.lower(), "detail": error.detail}] if error.field else []
    body = problem(error.status, code=error.code, detail=error.detail, instance=instance, errors=errors, extra=error.extra)
    if error.status == status.HTTP_503_SERVICE_UNAVAILABLE:
        body["retryable"] = True
    headers = {"Retry-After": str(error.extra.get("retry_after", RETRY_AFTER_SECONDS))} if "retryable" in body or "retry_after" in error.extra else {}
    return problem_response(body, headers)


def _framework_error(error: exceptions.APIException, instance: str) -> Response:
    headers = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    if isinstance(error, exceptions.ValidationError):
        errors = list(flatten(error.detail))
        summary = "; ".join(f"{item['pointer'].strip('/') or 'input'}: {item['detail']}" for item in errors[:5])
        return problem_response(problem(error.status_code, detail=summary, instance=instance, errors=errors), headers)
    detail: Any = error.detail.get("detail", "") if isinstance(error.detail, dict) else error.detail
    code = "MALFORMED" if isinstance(error, exceptions.ParseError) else ""
    return problem_response(problem(error.status_code, code=code, detail=str(detail), instance=instance), headers)


def flatten(detail: Any, pointer: str = "") -> list[dict[str, str]]:
    """Validation errors of nested serializers as a flat list of {pointer (RFC 6901), code, detail}."""
    if isinstance(detail, Mapping):
        return [
            item for key, value in detail.items() for item in flatten(value, pointer if key == "non_field_errors" else f"{pointer}/{_escape(key)}")
        ]
    if isinstance(detail, list):
        nested = any(isinstance(item, Mapping | list) for item in detail)
        return [item for index, value in enumerate(detail) for item in flatten(value, f"{pointer}/{index}" if nested else pointer) if value]
    return [{"pointer": pointer, "code": str(getattr(detail, "code", "invalid")), "detail": str(detail)}]


def _escape(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
