"""Addresses of the WebSockets."""

from django.urls import path

from apps.desk.consumers import LiveConsumer

websocket_urlpatterns = [path("ws/", LiveConsumer.as_asgi())]
