"""ASGI entry: HTTP by Django, WebSockets by Channels, behind the session and an origin check."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smarttrader.settings.dev")

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

django.setup(set_prefix=False)

from django.urls import get_resolver  # noqa: E402  (after the apps are loaded)

from apps.core.asgi import ThreadedHandler  # noqa: E402
from apps.desk.routing import websocket_urlpatterns  # noqa: E402
from apps.marketdata.domain.calendars import calendar_of  # noqa: E402
from apps.marketdata.selectors.market import HOME_CALENDAR  # noqa: E402

websocket = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
application = ProtocolTypeRouter({"http": ThreadedHandler(), "websocket": websocket})

# The first order of the day waits neither for every view to be imported nor for the exchange's calendar: together some three seconds.
_ = get_resolver().url_patterns
calendar_of(HOME_CALENDAR)

gc.collect()
gc.freeze()  # what was loaded stays: the collector need not walk through it while an order waits
