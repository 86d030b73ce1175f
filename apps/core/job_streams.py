"""The live channels "jobs" (all runs, for operators) and "jobs:<id>" (one run, also for whoever asked for it)."""

from typing import Any

from apps.core.jobs import FINISHED, job_as_dict
from apps.core.models import JobRun, User
from apps.core.streams import register_stream

SHOWN = 50


def _snapshot(_user: User, key: str) -> dict[str, Any]:
    runs = JobRun.objects.filter(pk=int(key)) if key else JobRun.objects.exclude(state__in=FINISHED).order_by("-pk")[:SHOWN]
    return {"jobs": [job_as_dict(run) for run in runs]}


def _allowed(user: User, key: str) -> bool:
    if user.has_perm("core.view_jobrun"):
        return not key or key.isdecimal()
    return key.isdecimal() and JobRun.objects.filter(pk=int(key), requested_by=user).exists()


def register_job_stream() -> None:
    """Declare the stream; called when Django is ready."""
    register_stream("jobs", snapshot=_snapshot, allowed=_allowed)
