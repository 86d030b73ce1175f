"""Ladders of escalation, as the desk sets them up."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from apps.alerts.models import EscalationPolicy, EscalationStep
from apps.core.roles import Role

if TYPE_CHECKING:
    from apps.core.models import User


def policy_ensure(
    *, name: str, minimum: str, steps: "Sequence[tuple[int, Role | User]]", repeat_minutes: int | None, active_from: datetime, reason: str
) -> EscalationPolicy:
    """The policy of this name, made unless it is there. `steps` are minutes since the step before, and whom to tell."""
    with transaction.atomic():
        values = {"minimum": minimum, "repeat_minutes": repeat_minutes, "active_from": active_from, "reason": reason}
        policy, made = EscalationPolicy.objects.get_or_create(name=name, defaults=values)
        for position, (minutes, whom) in enumerate(steps if made else (), start=1):
            told = {"role": whom.value} if isinstance(whom, Role) else {"user": whom}
            EscalationStep.objects.create(policy=policy, position=position, after_minutes=minutes, **told)
    return policy
