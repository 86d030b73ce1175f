"""What every request passes: one spelling of REST addresses, an id and an actor for the journal, errors in one form."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from apps.core.context import acting
from apps.core.documents import document

ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,100}")


class OptionalSlashMiddleware:
    """Takes REST addresses with and without the last slash for the same, also for POST, which no redirect would carry along."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/") and not request.path_info.endswith("/"):
            request.path_info += "/"
            request.path += "/"
        return self.get_response(request)


class RequestContextMiddleware:
    """Takes a well-formed X-Request-ID or makes one, and echoes it. Stands behind the session's authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if ACCEPTED_ID.fullmatch(given) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        actor = f"user:{request.user.get_username()}" if request.user.is_authenticated else "anonymous"
        with acting(actor=actor, request_id=request_id):
            response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


class ApiProblemMiddleware:
    """Answers under /api/ in problem+json also where Django itself answers: no such address, a bug, a refused host or CSRF token.

    Stands right behind RequestContextMiddleware, whose request id the problem carries.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path.startswith("/api/") or "json" in response.get("Content-Type", ""):
            return response
        from apps.core.api.problems import CONTENT_TYPE, problem

        body = problem(response.status_code, instance=request.path)
        kept = {name: value for name, value in response.items() if name not in ("Content-Type", "Content-Length")}
        return HttpResponse(document(body), status=response.status_code, content_type=CONTENT_TYPE, headers=kept)
