"""Settings of every environment. Values come from `environment`; nothing else reads os.environ for configuration."""

from datetime import timedelta
from importlib.metadata import distribution
from pathlib import Path

import dj_database_url
import dj_email_url
from csp.constants import NONCE, NONE, SELF

from apps.core.servers import ServerUrls, server_urls
from smarttrader.settings.environment import ROOT, Environment, read_environment

ENVIRONMENT: Environment = read_environment()
BASE_DIR = ROOT
VAR = ENVIRONMENT.var

SECRET_KEY = ENVIRONMENT.secret_key
DEBUG = ENVIRONMENT.debug
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)

#: Data checks whose errors put the data of their days into quarantine by themselves.
QUARANTINE_CHECKS = ENVIRONMENT.quarantine_checks
#: Whether a desk on which no risk monitor has ever run opens nothing. One on which one has run is held to it in any case.
RISK_MONITOR_REQUIRED = ENVIRONMENT.risk_monitor_required
#: Where rows of time series go that are too old for the database.
ARCHIVE = ENVIRONMENT.archive

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.forms",  # the widgets' templates, for FORM_RENDERER
    "channels",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "simple_history",
    "csp",
    "django_celery_beat",
    "apps.core",
    "apps.alerts",
    "apps.marketdata",
    "apps.portfolios",
    "apps.risk",
    "apps.compliance",
    "apps.strategies",
    "apps.execution",
    "apps.analytics",
    "apps.desk",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "apps.core.middleware.OptionalSlashMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.core.middleware.RequestContextMiddleware",
    "apps.core.middleware.ApiProblemMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "csp.middleware.CSPMiddleware",
]

ROOT_URLCONF = "smarttrader.urls"
ASGI_APPLICATION = "smarttrader.asgi.application"
AUTH_USER_MODEL = "core.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "apps.desk.context.shell",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# Servers: the given URLs, or the private ones under var/ (started by manage.py and by the desk, found by everybody).
URLS: ServerUrls = server_urls(var=VAR, database_url=ENVIRONMENT.database_url, redis_url=ENVIRONMENT.redis_url)
_DATABASE = dj_database_url.parse(URLS.database, engine="apps.core.postgres")
_DATABASE_OPTIONS = {
    "pool": {"min_size": 1, "max_size": 24, "timeout": 10},
    # Statements that come again are prepared: planning them was a third of what an order cost the database.
    "server_side_binding": True,
    "prepare_threshold": 3,
}
DATABASES = {
    "default": {**_DATABASE, "OPTIONS": {**_DATABASE.get("OPTIONS", {}), **_DATABASE_OPTIONS}},
}
REDIS_URL = URLS.redis(0)
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": URLS.redis(1)}}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [{"address": URLS.redis(2)}]}}}

CELERY_BROKER_URL = URLS.celery(3)
CELERY_RESULT_BACKEND = URLS.celery(3)
CELERY_TIMEZONE = "UTC"
CELERY_TASK_DEFAULT_QUEUE = "compute"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A running task gets so many seconds to end; then it goes back to the queue, and its transaction is rolled back.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 2.0
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"

# Alerts that leave the desk.
EMAIL_CONFIGURED = bool(ENVIRONMENT.email_url)
_MAIL = dj_email_url.parse(ENVIRONMENT.email_url or "dummy:")
EMAIL_BACKEND = _MAIL["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _MAIL["EMAIL_HOST"] or "", _MAIL["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL["EMAIL_HOST_USER"] or "", _MAIL["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL["EMAIL_USE_TLS"], _MAIL["EMAIL_USE_SSL"]
DEFAULT_FROM_EMAIL = SERVER_EMAIL = ENVIRONMENT.email_from
ALERT_TIMEOUT_SECONDS = ENVIRONMENT.alert_timeout_seconds
ALERT_WEBHOOK_LOOPBACK = ENVIRONMENT.alert_webhook_loopback
ALERT_WEBHOOK_HOSTS = ENVIRONMENT.alert_webhook_hosts

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
# BokehJS comes from the installed package, so that JavaScript and Python always agree; found without importing bokeh, which is slow.
BOKEH_JS = Path(str(distribution("bokeh").locate_file("bokeh/server/static/js")))
STATICFILES_DIRS = [ROOT / "static", ("bokeh", BOKEH_JS)]
STATIC_ROOT = VAR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.core.api.authentication.JWTActor",
        "apps.core.api.authentication.SessionActor",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "apps.core.api.schema.DeskSchema",
    "DEFAULT_FILTER_BACKENDS": ["apps.core.api.filters.StrictFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.api.pagination.RecordedOrder",
    "PAGE_SIZE": 50,
    "EXCEPTION_HANDLER": "apps.core.api.problems.problem_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(hours=12),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "UPDATE_LAST_LOGIN": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Smart Trader",
    "DESCRIPTION": "Every number on the screen and every fill in the book can be explained, replayed and proved.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "PREPROCESSING_HOOKS": ["apps.core.api.schema.only_versioned"],
    # Names of choices that several components call alike.
    "ENUM_NAME_OVERRIDES": {
        "AlertSeverityEnum": "apps.alerts.models.Severity",
        "OrderStatusEnum": "apps.execution.models.orders.STATUS_CHOICES",
        "PortfolioStatusEnum": "apps.portfolios.models.PortfolioStatus",
        "EngineStatusEnum": "apps.execution.api.engines.ENGINE_STATUSES",
        "EngineModeEnum": "apps.execution.api.engines.ENGINE_MODES",
        "EngineTriggerEnum": "apps.execution.api.engines.ENGINE_TRIGGERS",
        "AlgoStatusEnum": "apps.execution.api.algos.ALGO_STATUSES",
        "OrderGroupKindEnum": "apps.execution.api.algos.GROUP_KINDS",
        "SideEnum": "apps.execution.api.algos.SIDES",
        "SizeStateEnum": "apps.execution.api.sizing.SIZE_STATES",
        "HaltLevelEnum": "apps.execution.api.halting.HALT_LEVELS",
        "TradeStatusEnum": "apps.execution.api.trades.TRADE_STATUSES",
        "EveryEnum": "apps.portfolios.api.rebalancing_serializers.EVERY",
        "StopActionEnum": "apps.portfolios.api.rebalancing_serializers.STOP_ACTIONS",
        "RebalanceReasonEnum": "apps.portfolios.api.rebalancing_serializers.REASONS",
        "RebalanceTradeReasonEnum": "apps.portfolios.api.rebalancing_serializers.TRADE_REASONS",
        "RebalanceStatusEnum": "apps.portfolios.api.rebalancing_serializers.REBALANCE_STATUSES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Bokeh sets style attributes from JavaScript, hence 'unsafe-inline' for styles only; scripts run from our files alone.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.secure_cookies
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": ENVIRONMENT.log_level},
    "loggers": {
        "django.channels.server": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "numba": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},  # it would log addresses of webhooks, which may be secret
    },
}

# Keys and addresses of vendors of market data.
VENDORS = ENVIRONMENT.vendors
IB_HOST, IB_PORT, IB_CLIENT_ID = ENVIRONMENT.ib_host, ENVIRONMENT.ib_port, ENVIRONMENT.ib_client_id

# The browser that makes PDFs; empty: the first that is found.
CHROMIUM = ENVIRONMENT.chromium

# Where the head of the journal chain is written, outside the database: copy it to a second host.
JOURNAL_ANCHOR_DIR = VAR / "journal"
