"""One machine, one person: what `make demo` and `manage.py` run with."""

from smarttrader.settings.base import *  # noqa: F403

# The demo desk makes users with printed passwords: not on a server.
DEMO_DESK_ALLOWED = True
