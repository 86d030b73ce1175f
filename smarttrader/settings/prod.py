"""A server on a network: refuses defaults that are only fit for one machine."""

from smarttrader.settings.base import *  # noqa: F403
from smarttrader.settings.environment import read_environment

ENVIRONMENT = read_environment(production=True)
RISK_MONITOR_REQUIRED = ENVIRONMENT.risk_monitor_required
ALERT_WEBHOOK_LOOPBACK = ENVIRONMENT.alert_webhook_loopback
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
SECURE_SSL_REDIRECT = ENVIRONMENT.secure_cookies
SECURE_HSTS_SECONDS = 31_536_000 if ENVIRONMENT.secure_cookies else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
