"""Once-only requests: a row is committed before the work and completed with the answer that every repeat then gets.

While the work goes on its process holds an advisory lock on its database connection. PostgreSQL frees the lock when the process
dies, so a row without an answer whose lock is free is work that never finished: the next repeat takes it over and does it again.
The work may have committed just before the process died. So it must be idempotent itself by the key's UUID (`request_uuid`),
which is the same for every repeat.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction

from apps.core.locks import lock_key
from apps.core.models import IdempotentRequest
from apps.core.postgres.rows import fetch

logger = logging.getLogger(__name__)

NAMESPACE = UUID("7a4b0ff6-2f4e-5c0e-9a57-0c8f1f6f3c11")
KEPT = timedelta(hours=24)

# The marker's commit is not waited for: the work's own commit, which is durable, comes later in the same log and flushes it too.
CLAIM = """
with held as materialized (select pg_try_advisory_lock(%(lock)s) as got, set_config('synchronous_commit', 'off', true)),
made as (
    insert into core_idempotentrequest (user_id, key, method, path, body_sha256, location, created_at)
    select %(user)s, %(key)s, %(method)s, %(path)s, %(sha256)s, '', %(at)s from held where got
    on conflict (user_id, key) do nothing returning id
)
select got, (select id from made) from held
"""


# This commit is not waited for either: should it be lost with the machine, the row has no answer and a free lock, so a repeat does the
# work again, finds what the first one made by the key's UUID, and answers the same.
# The lock is freed in the same statement, a moment before its commit: who gets it then waits for the row (`_unanswered`).
COMPLETE = """
with relaxed as materialized (select set_config('synchronous_commit', 'off', true)),
answered as (
    update core_idempotentrequest set status = %(status)s, body = %(body)s::jsonb, location = %(location)s
    from relaxed where user_id = %(user)s and key = %(key)s returning 1
)
select pg_advisory_unlock(%(lock)s) from (select count(*) from answered) as done
"""


class ClaimState(StrEnum):
    """What a request with a key finds."""

    OURS = "ours"
    DONE = "done"
    IN_FLIGHT = "in_flight"
    OTHER_REQUEST = "other_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`status`, `body` and `location` are those of the stored answer when `state` is DONE."""

    state: ClaimState
    user_id: int
    key: str
    status: int | None = None
    body: Any = None
    location: str = ""


def request_uuid(*, user_id: int, key: str) -> UUID:
    """The same UUID for every repeat of one user's key: the natural key of what the work creates, a client order id for example."""
    return uuid5(NAMESPACE, f"{user_id}:{key}")


def request_claim(*, user_id: int, key: str, method: str, path: str, body_sha256: str, at: datetime) -> Claim:
    """Claim a key before the work. Whoever gets OURS does the work, then calls `request_complete` or `request_release`."""
    values: dict[str, str | int | datetime] = {
        "lock": _lock(user_id, key),
        "user": user_id,
        "key": key,
        "method": method,
        "path": path,
        "sha256": body_sha256,
        "at": at,
    }
    ((got, made),) = fetch(CLAIM, values)
    if made is not None:
        return Claim(state=ClaimState.OURS, user_id=user_id, key=key)
    row = IdempotentRequest.objects.filter(user_id=user_id, key=key).first()
    if row is not None and row.status is None and got:
        row = _unanswered(row)
    if row is not None and (row.method, row.path, row.body_sha256) != (method, path, body_sha256):
        state = ClaimState.OTHER_REQUEST
    elif row is not None and row.status is not None:
        state = ClaimState.DONE
    elif row is None or not got:
        state = ClaimState.IN_FLIGHT
    else:
        logger.warning("taking over request %s of user %s: the process that began it died", key, user_id)
        return Claim(state=ClaimState.OURS, user_id=user_id, key=key)
    if got:
        _unlock(user_id, key)
    if state is ClaimState.DONE and row is not None:
        return Claim(state=state, user_id=user_id, key=key, status=row.status, body=row.body, location=row.location)
    return Claim(state=state, user_id=user_id, key=key)


def request_complete(claim: Claim, *, status: int, body: str | None, location: str = "") -> None:
    """Store the answer, whose body is JSON text, then let repeats see it."""
    answer: dict[str, Any] = {"status": status, "body": body, "location": location}
    try:
        fetch(COMPLETE, {**answer, "user": claim.user_id, "key": claim.key, "lock": _lock(claim.user_id, claim.key)})
    except BaseException:
        _unlock(claim.user_id, claim.key)
        raise


def request_release(claim: Claim) -> None:
    """Forget the claim: the work was not done and may be tried again under the same key."""
    try:
        IdempotentRequest.objects.filter(user_id=claim.user_id, key=claim.key, status=None).delete()
    finally:
        _unlock(claim.user_id, claim.key)


def requests_purge(*, at: datetime) -> int:
    """Delete answers older than a day and return how many. Those of orders are kept for ever."""
    deleted, _ = IdempotentRequest.objects.filter(created_at__lt=at - KEPT).exclude(path__contains="/orders").delete()
    return deleted


def _unanswered(row: IdempotentRequest) -> IdempotentRequest | None:
    """The row as it is once whoever completes it has committed: their lock was free a moment before."""
    with transaction.atomic():
        return IdempotentRequest.objects.select_for_update().filter(pk=row.pk).first()


def _lock(user_id: int, key: str) -> int:
    return lock_key(f"idempotency:{user_id}:{key}")


def _unlock(user_id: int, key: str) -> None:
    fetch("select pg_advisory_unlock(%s)", [_lock(user_id, key)])
