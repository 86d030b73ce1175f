"""Standing orders for data, and how their last runs went."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.marketdata.domain.schedules import Schedule, ScheduleKind
from apps.marketdata.models import RunOutcome, Subscription, SubscriptionRun

#: A run that did not bring everything is repeated so long after it, and so often; then the next slot comes.
TRY_AGAIN_AFTER = timedelta(minutes=30)
ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSubscription:
    """A subscription whose newest slot has not been run, or not with success; `attempt` counts from 1."""

    subscription: Subscription
    slot: datetime
    attempt: int


def schedule_of(subscription: Subscription) -> Schedule:
    """When it is due."""
    return Schedule(kind=ScheduleKind(subscription.schedule), minutes=subscription.minutes, calendar=subscription.calendar)


def last_runs() -> dict[int, SubscriptionRun]:
    """The last run for the newest slot of each subscription, by the subscription's number."""
    newest = SubscriptionRun.objects.order_by("subscription_id", "-slot", "-attempt").distinct("subscription_id")
    return {run.subscription_id: run for run in newest}


def subscriptions_due(now: datetime) -> list[DueSubscription]:
    """The enabled ones that are due, those that have waited longest first."""
    runs = last_runs()
    found = [due for item in Subscription.objects.filter(enabled=True) if (due := _due(item, runs.get(item.pk), now))]
    return sorted(found, key=lambda due: (due.slot, due.subscription.name))


def _due(item: Subscription, last: SubscriptionRun | None, now: datetime) -> DueSubscription | None:
    if slot := schedule_of(item).due(now, last.slot if last else None):
        return DueSubscription(subscription=item, slot=slot, attempt=1)
    if last is None or last.outcome == RunOutcome.SUCCEEDED or last.attempt >= ATTEMPTS or now < last.finished_at + TRY_AGAIN_AFTER:
        return None
    return DueSubscription(subscription=item, slot=last.slot, attempt=last.attempt + 1)
