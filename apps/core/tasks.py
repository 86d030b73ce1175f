"""Queueing by name, and core's own periodic jobs. A service never imports a task: it names one, and an unknown name raises."""

import logging
from datetime import datetime
from functools import cache, partial
from typing import Any

from celery import current_app
from django.core.management import call_command
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.core import clock
from apps.core.context import current_context
from apps.core.jobs import runs_purge
from apps.core.schedule import scheduled_task
from apps.core.task_context import REQUEST_ID_HEADER

logger = logging.getLogger(__name__)


class UnknownTask(LookupError):
    """No task of this name is registered: a typing error in the caller."""


@cache
def _load_tasks() -> None:
    current_app.loader.import_default_modules()
    current_app.finalize()


def enqueue_on_commit(name: str, *, queue: str, **kwargs: Any) -> None:
    """Queue the task once the current transaction commits; at once where there is none, never when it rolls back.

    Raises UnknownTask at once, not after the commit. The request id travels with the task into its journal rows.
    """
    _load_tasks()
    if name not in current_app.tasks:
        raise UnknownTask(f"no task is registered as {name!r}")
    transaction.on_commit(partial(_send, name, queue, kwargs, current_context().request_id))


def _send(name: str, queue: str, kwargs: dict[str, Any], request_id: str) -> None:
    try:
        current_app.tasks[name].apply_async(kwargs=kwargs, queue=queue, headers={REQUEST_ID_HEADER: request_id})
    except OperationalError:
        # The work that asked for it is committed: it must not look failed because the broker is away.
        logger.exception("%s was not queued: the message broker does not answer", name)


@scheduled_task("core.journal_seal")
def journal_seal_job(**_: object) -> dict[str, Any]:
    """Seal what was journalled since the last time."""
    from apps.core.services.journal import journal_seal

    report = journal_seal(at=clock.now())
    return {"entries": report.entries, "seq": report.seq, "hash": report.hash}


@scheduled_task("core.housekeeping")
def housekeeping_job(*, at: datetime, **_: object) -> dict[str, Any]:
    """Forget what nobody will ask for again: answered requests, runs of frequent jobs, expired sessions and tokens."""
    from apps.core.services.idempotency import requests_purge

    purged = {"requests": requests_purge(at=at), "runs": runs_purge(at=at)}
    call_command("clearsessions")
    call_command("flushexpiredtokens")
    return purged
