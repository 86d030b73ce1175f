"""The live channel "alerts:<user id>": each user's own alerts.

Snapshot {open, alerts}; a delta is {open, alert} for a new one or {open, acknowledged_id}. `open` is the number for the bell.
"""

from typing import Any

from apps.alerts.selectors import open_alert_count, open_alerts
from apps.core.models import User
from apps.core.streams import register_stream


def _snapshot(user: User, key: str) -> dict[str, Any]:  # noqa: ARG001 - only the own key is allowed
    return {"open": open_alert_count(user.pk), "alerts": open_alerts(user)}


def _allowed(user: User, key: str) -> bool:
    return key == str(user.pk)


def register_alert_stream() -> None:
    """Declare the stream; called when Django is ready."""
    register_stream("alerts", snapshot=_snapshot, allowed=_allowed)
