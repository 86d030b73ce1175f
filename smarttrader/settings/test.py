"""What the test suite runs with: the real servers, faster password hashing."""

from smarttrader.settings.base import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEMO_DESK_ALLOWED = True
