"""Addresses of the WebSockets."""

websocket_urlpatterns: list = []
