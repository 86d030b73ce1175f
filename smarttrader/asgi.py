"""ASGI entry: HTTP by Django, WebSockets by Channels, behind the session and an origin check."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smarttrader.settings.dev")

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

django.setup(set_prefix=False)

from apps.core.asgi import ThreadedHandler  # noqa: E402  (after the apps are loaded)
from apps.desk.routing import websocket_urlpatterns  # noqa: E402

websocket = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
application = ProtocolTypeRouter({"http": ThreadedHandler(), "websocket": websocket})

gc.collect()
gc.freeze()  # what was loaded stays: the collector need not walk through it while an order waits
