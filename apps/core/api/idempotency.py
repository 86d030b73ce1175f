"""POST that may be repeated: the header Idempotency-Key is required, and the same key never does the work twice."""

import functools
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core import clock
from apps.core.api.problems import CONTENT_TYPE, RETRY_AFTER_SECONDS
from apps.core.api.users import desk_user
from apps.core.errors import Conflict, RuleRefused
from apps.core.services.idempotency import Claim, ClaimState, request_claim, request_complete, request_release, request_uuid

HEADER = "Idempotency-Key"
ACCEPTED_KEY = re.compile(r"[\x21-\x7e]{1,128}")
VERSION_PREFIX = re.compile(r"^/api/(v1/)?")

#: Answers that a repeat must get again. Others mean that nothing was done: the same key may be tried again.
FINAL_STATUSES = frozenset({200, 201, 202, 204, 207, 422})


class IdempotentMixin:
    """For an APIView or ViewSet all of whose POSTs need the header. The work finds `request.idempotency_uuid`.

    Work that creates something takes its natural key from there, so that a repeat after a crash finds what the first one made.
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Wrap the POST handler once the user is known and permitted."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        work: Callable[..., Response] | None = getattr(self, "post", None)
        if request.method == "POST" and work:
            vars(self)["post"] = functools.partial(answer_once, self, work)  # where dispatch looks first, and beside the class's signature


def idempotent(method: Callable[..., Response]) -> Callable[..., Response]:
    """Decorate one POST method or action of a view in the same way."""

    @functools.wraps(method)
    def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        return answer_once(view, functools.partial(method, view), request, *args, **kwargs)

    wrapped.idempotent = True  # type: ignore[attr-defined]
    return wrapped


def answer_once(view: Any, work: Callable[..., Response], request: Request, *args: Any, **kwargs: Any) -> Response:
    """The answer of the first request with this key: worked out now, or stored.

    Raises ValidationError without a usable header, RuleRefused (422) when the key was used for another request, and
    Conflict (409, Retry-After) while the first request is still at work.
    """
    key = _key(request)
    user_id = desk_user(request).pk
    path = VERSION_PREFIX.sub("/api/", request.path)
    claim = request_claim(user_id=user_id, key=key, method="POST", path=path, body_sha256=_digest(request.data), at=clock.now())
    if claim.state is ClaimState.OTHER_REQUEST:
        raise RuleRefused(f"{HEADER} {key} was already used for another request", header=HEADER)
    if claim.state is ClaimState.IN_FLIGHT:
        raise Conflict(f"a request with {HEADER} {key} is still at work", header=HEADER, retry_after=RETRY_AFTER_SECONDS)
    if claim.state is ClaimState.DONE:
        return _stored(claim)
    request.idempotency_uuid = request_uuid(user_id=user_id, key=key)  # type: ignore[attr-defined]
    return _work_and_store(view, claim, functools.partial(work, request, *args, **kwargs))


def _work_and_store(view: Any, claim: Claim, work: Callable[[], Response]) -> Response:
    try:
        try:
            response = work()
        except Exception as error:  # noqa: BLE001 (what the handler does not know, it raises again)
            response = view.handle_exception(error)
        body = JSONRenderer().render(response.data).decode() if response.data is not None else None
    except BaseException:
        request_release(claim)
        raise
    if response.status_code not in FINAL_STATUSES:
        request_release(claim)
        return response
    request_complete(claim, status=response.status_code, body=body, location=response.get("Location", ""))
    return response


def _stored(claim: Claim) -> Response:
    headers = {"Idempotent-Replayed": "true"} | ({"Location": claim.location} if claim.location else {})
    status = claim.status or 200
    return Response(claim.body, status=status, headers=headers, content_type=CONTENT_TYPE if status >= 400 else None)


def _key(request: Request) -> str:
    key = request.headers.get(HEADER, "")
    if not key:
        raise ValidationError({HEADER: [ErrorDetail(f"The header {HEADER} is required: send a new UUID with each new request.", code="required")]})
    if not ACCEPTED_KEY.fullmatch(key):
        raise ValidationError({HEADER: [ErrorDetail(f"The header {HEADER} takes 1 to 128 visible ASCII characters.", code="invalid")]})
    return key


def _digest(data: Any) -> str:
    """SHA-256 of the parsed body, so that white space and the order of keys make no other request of it."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
