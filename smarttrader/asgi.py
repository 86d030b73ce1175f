"""ASGI entry: HTTP by Django, WebSockets by Channels, behind the session and an origin check."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smarttrader.settings.dev")

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

http = get_asgi_application()

from apps.desk.routing import websocket_urlpatterns  # noqa: E402  (after the apps are loaded)

application = ProtocolTypeRouter({"http": http, "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))})

gc.collect()
gc.freeze()  # what was loaded stays: the collector need not walk through it while an order waits
