"""Who runs the live monitor, and how far it has come: written under a token that the next monitor makes worthless."""

import os
import socket
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from django.db import connection

from apps.core.errors import Conflict
from apps.risk.models import MonitorState
from apps.risk.models.monitor import DESK

_TAKE = """
insert into risk_monitorstate (id, token, holder, taken_at, portfolios, peaks) values (%s, 1, %s, %s, 0, '{}')
on conflict (id) do update set token = risk_monitorstate.token + 1, holder = excluded.holder, taken_at = excluded.taken_at returning token
"""
_FENCE = "select set_config('idle_in_transaction_session_timeout', %s, true) from risk_monitorstate where id = %s and token = %s for update"

#: How long a transaction of the monitor may wait for its own process.
LONGEST_IDLE_MS = 10_000


class Deposed(Conflict):
    """Another monitor has taken over: what this one would write is refused."""


def monitor_take(at: datetime) -> int:
    """Become the desk's monitor: the new fencing token. The caller holds the lease."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [DESK, f"{socket.gethostname()}:{os.getpid()}", at])
        return int(cursor.fetchone()[0])


def monitor_beat(*, token: int, at: datetime, portfolios: int, session: date, peaks: Mapping[int, Decimal]) -> None:
    """Say that every portfolio has been computed at `at`. Raises Deposed."""
    stored = {str(key): str(value) for key, value in sorted(peaks.items())}
    mine = MonitorState.objects.filter(pk=DESK, token=token)
    if not mine.update(computed_at=at, portfolios=portfolios, session=session, peaks=stored):
        raise Deposed("another risk monitor has taken over")


def monitor_progress(*, token: int, at: datetime) -> None:
    """Say that a part of a longer work is done at `at`: nobody takes this monitor for hung, and risk is not computed yet. Raises Deposed."""
    if not MonitorState.objects.filter(pk=DESK, token=token).update(alive_at=at):
        raise Deposed("another risk monitor has taken over")


def monitor_fence(token: int) -> None:
    """Within a transaction: go on only while this monitor is the desk's, and hold the next one back until the end of it. Raises Deposed.

    A monitor that hangs in the middle is ended by the server, lest it hold the next one back for ever. One query: an alert waits for it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FENCE, [str(LONGEST_IDLE_MS), DESK, token])
        if cursor.fetchone() is None:
            raise Deposed("another risk monitor has taken over")
