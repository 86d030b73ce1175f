"""Where the desk's PostgreSQL and Redis are: the given URLs, or private servers from Python wheels under var/.

Free of Django, because settings and manage.py use it before Django is set up.
"""

from apps.core.servers.embedded import EmbeddedServers, servers_for_command
from apps.core.servers.errors import ServerError
from apps.core.servers.urls import ServerUrls, server_urls

__all__ = ["EmbeddedServers", "ServerError", "ServerUrls", "server_urls", "servers_for_command"]
