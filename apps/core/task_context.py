"""Every task acts under its own name: journal rows written by a job say which job, and which request asked for it."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from celery import Task
from celery.signals import before_task_publish, task_postrun, task_prerun

from apps.core import clock
from apps.core.context import acting

REQUEST_ID_HEADER = "desk_request_id"
SCHEDULED_FOR_HEADER = "desk_scheduled_for"

_open: dict[str, ExitStack] = {}


def stamp_schedule(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Write into a message from beat when beat fired, so that a message delivered twice is known for what it is."""
    if headers and headers.get("periodic_task_name"):
        headers.setdefault(SCHEDULED_FOR_HEADER, clock.now().isoformat())


def begin(task_id: str, task: Task, **_: Any) -> None:
    """Act as "job:<task name>"."""
    stack = ExitStack()
    stack.enter_context(acting(actor=f"job:{task.name}", request_id=str(header(task, REQUEST_ID_HEADER) or task_id)))
    _open[task_id] = stack


def end(task_id: str, **_: Any) -> None:
    """Act as before: an eager task runs in the middle of a request."""
    if stack := _open.pop(task_id, None):
        stack.close()


def header(task: Task, name: str) -> Any:
    """A header of the message that the task was sent with, None where there is none."""
    return (getattr(task.request, "headers", None) or {}).get(name) or getattr(task.request, name, None)


def fired_at(task: Task) -> datetime | None:
    """When beat fired; None for a task that somebody else sent."""
    text = header(task, SCHEDULED_FOR_HEADER)
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def connect_task_context() -> None:
    """Listen to Celery; called when Django is ready."""
    before_task_publish.connect(stamp_schedule, weak=False, dispatch_uid="core.stamp_schedule")
    task_prerun.connect(begin, weak=False, dispatch_uid="core.begin_task")
    task_postrun.connect(end, weak=False, dispatch_uid="core.end_task")
