"""Queueing by name. A service never imports a task: it names one, and a name that nobody registered raises."""

import logging
from functools import cache, partial
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.core.context import current_context

logger = logging.getLogger(__name__)

REQUEST_ID_HEADER = "desk_request_id"


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
