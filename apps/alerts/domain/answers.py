"""What the other side's answer to a delivery means, and when the next attempt is made."""

import hashlib
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from uuid import UUID

#: After so many attempts, about an hour after the first one, a delivery is dead.
MOST_ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 30.0, 3600.0
#: Statuses of a server that may take the same message later.
LATER = frozenset({408, 425, 429, 500, 502, 503, 504})


class Outcome(StrEnum):
    """Of one attempt. `REFUSED`: sending the same again will not help."""

    SENT = "sent"
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one attempt. `status` is HTTP's or SMTP's where there was one; `retry_after` seconds that the other side asked for."""

    outcome: Outcome
    detail: str
    status: int | None = None
    retry_after: float | None = None


def http_answer(status: int, headers: Mapping[str, str], *, now: datetime) -> Answer:
    """What an HTTP status means. A redirect is refused: whoever redirects could send the alert anywhere."""
    said = f"answered {status}"
    if 200 <= status < 300:
        return Answer(outcome=Outcome.SENT, detail=said, status=status)
    if 300 <= status < 400:
        return Answer(outcome=Outcome.REFUSED, detail=f"{said}: redirects are not followed", status=status)
    if status in LATER or status >= 500:
        return Answer(outcome=Outcome.RETRY, detail=said, status=status, retry_after=retry_after(headers, now=now))
    return Answer(outcome=Outcome.REFUSED, detail=said, status=status)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds that the header Retry-After asks for (a number or a date), at most an hour; None where it says nothing."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    with suppress(ValueError):
        seconds = float(value)
        return min(max(0.0, seconds), LONGEST_WAIT) if math.isfinite(seconds) else None
    with suppress(ValueError, TypeError):  # a TypeError for a date without a time zone
        return min(max(0.0, (parsedate_to_datetime(value) - now).total_seconds()), LONGEST_WAIT)
    return None


def wait_seconds(*, attempt: int, key: UUID, asked: float | None = None) -> float:
    """Pause after attempt number `attempt` (from 1): doubling from 30 s to an hour, spread by a fifth, and never shorter than asked.

    The spread comes from the delivery's key, so that many deliveries that failed together do not come back together.
    """
    base = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))
    spread = int.from_bytes(hashlib.sha256(f"{key}:{attempt}".encode()).digest()[:4]) / 2**32
    return max(base * (0.8 + 0.4 * spread), asked or 0.0)
