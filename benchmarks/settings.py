"""The desk's settings with one address more: the bare view that orders are compared with."""

from smarttrader.settings.base import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
