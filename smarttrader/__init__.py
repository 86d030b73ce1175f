"""The project: settings, urls, asgi, celery and the beat schedule. Wiring only; no app imports it."""

from smarttrader.celery import app as celery_app

__all__ = ["celery_app"]
