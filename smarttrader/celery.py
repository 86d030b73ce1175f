"""The Celery application. Queues: `trade` (orders and money), `data` (market data), `compute` (backtests, reports)."""

from celery import Celery

app = Celery("smarttrader")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
