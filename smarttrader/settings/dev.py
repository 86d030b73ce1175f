"""One machine, one person: what `make demo` and `manage.py` run with."""

from smarttrader.settings.base import *  # noqa: F403
