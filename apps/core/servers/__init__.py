"""Where the desk's PostgreSQL and Redis are: the given URLs, or private servers from Python wheels under var/.

Free of Django, because settings and manage.py use it before Django is set up.
"""

from apps.core.servers.embedded import EmbeddedServers, ServerUrls, server_urls, servers_for_command

__all__ = ["EmbeddedServers", "ServerUrls", "server_urls", "servers_for_command"]
