"""The project: settings, urls, asgi, celery and the beat schedule. Wiring only; no app imports it."""

import gc

# What a process loads, stays: until the last app is ready (apps.desk), the collector would walk through it again and again.
gc.disable()

from smarttrader.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
