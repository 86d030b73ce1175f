"""Gives each request an id and an actor, which the database then writes into the journal."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from apps.core.context import acting

ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,100}")


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
