"""The Celery application. Queues: `trade` (orders and money), `data` (market data), `compute` (backtests, reports)."""

from typing import Any

from celery import Celery
from celery.signals import worker_init

app = Celery("smarttrader")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def calendar_load(sender: Any, **_: Any) -> None:
    """Read the exchange's calendar before the processes of a worker are forked: each of them would take two seconds of a core for it, in the
    middle of the day. Sending alerts needs none."""
    from apps.marketdata.domain.calendars import calendar_of  # after the apps are loaded
    from apps.marketdata.selectors.market import HOME_CALENDAR

    if set(sender.app.amqp.queues.consume_from) != {"alerts"}:
        calendar_of(HOME_CALENDAR)
