"""One typed reader of the environment. Every missing or malformed variable is reported at once."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, ValidationError, validate

from apps.marketdata.providers.protocol import VendorSettings

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_SECRET_KEY = "only-for-this-machine-never-for-production-0123456789"  # noqa: S105
#: Accounts with vendors of market data, and folders that stand for one: see docs/providers.md.
VENDOR_KEYS = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "POLYGON_API_KEY", "FINNHUB_API_KEY", "FILES_FOLDER", "TRADINGVIEW_FOLDER")
#: Other addresses than the vendors' own: a proxy, a sandbox.
VENDOR_DATA_URLS = ("ALPACA_DATA_URL", "ALPACA_TRADING_URL", "COINBASE_DATA_URL", "FINNHUB_DATA_URL", "POLYGON_DATA_URL", "YAHOO_DATA_URL")
VENDOR_STREAM_URLS = ("ALPACA_STREAM_URL", "ALPACA_UPDATES_URL", "COINBASE_STREAM_URL", "FINNHUB_STREAM_URL", "POLYGON_STREAM_URL")
#: Other names that are taken as well, as engine files call these: the name -> the one that the desk uses.
ALSO_CALLED = {"ALPACA_API_SECRET": "ALPACA_SECRET_KEY", "ALPACA_BASE_URL": "ALPACA_TRADING_URL"}
LOG_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the desk takes from the environment. Paths are absolute; empty URLs mean the embedded servers."""

    debug: bool
    secret_key: str
    allowed_hosts: tuple[str, ...]
    database_url: str
    redis_url: str
    var: Path
    log_level: str
    email_url: str = field(repr=False)  # it holds a password
    email_from: str
    alert_timeout_seconds: float
    alert_webhook_loopback: bool
    alert_webhook_hosts: tuple[str, ...]
    secure_cookies: bool
    quarantine_checks: tuple[str, ...]
    vendors: VendorSettings
    ib_host: str
    ib_port: int
    ib_client_id: int
    archive: Path
    feed_provider: str
    feed_symbols: tuple[str, ...]
    risk_monitor_required: bool
    chromium: str


def _scheme(*allowed: str) -> Callable[[str], None]:
    def check(url: str) -> None:
        if url and urlsplit(url).scheme not in allowed:
            raise ValidationError(f"scheme must be one of {', '.join(allowed)}")

    return check


def read_environment(*, production: bool = False) -> Environment:
    """Read and check all variables.

    Raises ImproperlyConfigured with one line for each variable that is missing or malformed; production adds its own:
    a secret key of its own (at least 32 characters), ALLOWED_HOSTS, DATABASE_URL, REDIS_URL, and no DEBUG.
    """
    env = Env(eager=False)
    problems: list[str] = []
    result: dict[str, Any] = {  # None where a variable is malformed, until seal() says so
        "debug": env.bool("DEBUG", False),
        "secret_key": env.str("SECRET_KEY", DEFAULT_SECRET_KEY),
        "allowed_hosts": tuple(env.list("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])),
        "database_url": env.str("DATABASE_URL", "", validate=_scheme("postgres", "postgresql")),
        "redis_url": env.str("REDIS_URL", "", validate=_scheme("redis", "rediss", "unix")),
        "var": ROOT / env.str("DESK_VAR", "var"),
        "log_level": env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(LOG_LEVELS)),
        # Without a mail server no alert goes out by e-mail, and its delivery says so.
        "email_url": env.str("EMAIL_URL", "", validate=_scheme("smtp", "submission")),
        "email_from": env.str("EMAIL_FROM", "desk@localhost", validate=validate.Email()),
        "alert_timeout_seconds": env.float("ALERT_TIMEOUT_SECONDS", 10.0, validate=validate.Range(min=0.1, max=60.0)),
        # Webhooks to this machine are for one machine: on a server they would reach what listens for the server alone.
        "alert_webhook_loopback": env.bool("ALERT_WEBHOOK_LOOPBACK", not production),
        "alert_webhook_hosts": tuple(env.list("ALERT_WEBHOOK_HOSTS", [])),
        "secure_cookies": env.bool("SECURE_COOKIES", production),
        "archive": ROOT / env.str("DESK_ARCHIVE", f"{os.environ.get('DESK_VAR', 'var')}/archive"),
        "quarantine_checks": tuple(env.list("QUARANTINE_CHECKS", ["PRICE_FACTOR", "BAD_TICK", "SUSPECTED_SPLIT"])),
        "vendors": _vendors(env, problems),
        # A gateway of Interactive Brokers; without a host there is none. 4002 is where a paper gateway listens. Client 0 would be given
        # the orders that people make at the gateway by hand.
        "ib_host": env.str("IB_HOST", ""),
        "ib_port": env.int("IB_PORT", 4002, validate=validate.Range(min=1, max=65535)),
        "ib_client_id": env.int("IB_CLIENT_ID", 17, validate=validate.Range(min=1, max=2**31 - 1)),
        "feed_provider": env.str("DESK_FEED_PROVIDER", ""),
        "feed_symbols": tuple(env.list("DESK_FEED_SYMBOLS", [])),
        "risk_monitor_required": env.bool("RISK_MONITOR_REQUIRED", production),
        "chromium": env.str("DESK_CHROMIUM", ""),
    }
    try:
        env.seal()
    except EnvError as error:
        details = getattr(error, "error_messages", None) or {"environment": [str(error)]}
        problems += [f"{name}: {'; '.join(map(str, messages))}" for name, messages in details.items()]
    if bool(result["feed_provider"]) != bool(result["feed_symbols"]):
        problems.append("DESK_FEED_PROVIDER, DESK_FEED_SYMBOLS: a live feed needs both")
    if production:
        problems += _production_problems(result)
    if problems:
        raise ImproperlyConfigured("The environment is not usable:\n  " + "\n  ".join(sorted(problems)))
    return Environment(**result)


def _vendors(env: Env, problems: list[str]) -> VendorSettings:
    values = {name: env.str(name, "") for name in VENDOR_KEYS}
    values |= {name: env.str(name, "", validate=_scheme("http", "https")) for name in VENDOR_DATA_URLS}
    for other, name in ALSO_CALLED.items():
        value = env.str(other, "", validate=_scheme("http", "https") if name in VENDOR_DATA_URLS else None)
        if value and values[name] and value.rstrip("/") != values[name].rstrip("/"):
            problems.append(f"{other}, {name}: two names of one thing with different values")
        values[name] = values[name] or value
    values |= {name: env.str(name, "", validate=_scheme("ws", "wss")) for name in VENDOR_STREAM_URLS}
    values["ALPACA_FEED"] = env.str("ALPACA_FEED", "iex", validate=validate.OneOf(["iex", "sip"]))
    seconds = env.float("VENDOR_TIMEOUT_SECONDS", 20.0, validate=validate.Range(min=0.1, max=300.0))
    return VendorSettings(values={name: value for name, value in values.items() if value}, timeout_seconds=seconds)


def _production_problems(result: dict[str, Any]) -> list[str]:
    problems = []
    if result["secret_key"] == DEFAULT_SECRET_KEY or len(result["secret_key"]) < 32:
        problems.append("SECRET_KEY: production needs one of its own with at least 32 characters")
    if result["debug"]:
        problems.append("DEBUG: must be off in production")
    problems += [f"{name}: required in production" for name in ("ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    return problems
