"""What the environment says is read once, and everything that is wrong with it is said at once."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.marketdata.providers.protocol import VendorSettings
from smarttrader.settings.environment import (
    DEFAULT_SECRET_KEY,
    ROOT,
    VENDOR_DATA_URLS,
    VENDOR_KEYS,
    VENDOR_STREAM_URLS,
    read_environment,
)

VARIABLES = ("DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "DESK_VAR", "LOG_LEVEL", "EMAIL_URL", "SECURE_COOKIES")


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_an_empty_environment_is_the_embedded_desk() -> None:
    found = read_environment()
    assert (found.database_url, found.redis_url, found.debug, found.secure_cookies) == ("", "", False, False)
    assert found.var == ROOT / "var"
    assert found.secret_key == DEFAULT_SECRET_KEY


def test_given_values_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://desk@db/desk")
    monkeypatch.setenv("REDIS_URL", "rediss://cache:6379/0")
    monkeypatch.setenv("ALLOWED_HOSTS", "desk.example.org,other.example.org")
    found = read_environment()
    assert found.database_url == "postgresql://desk@db/desk"
    assert found.redis_url == "rediss://cache:6379/0"
    assert found.allowed_hosts == ("desk.example.org", "other.example.org")


def test_every_malformed_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://desk@db/desk")
    monkeypatch.setenv("REDIS_URL", "http://cache")
    monkeypatch.setenv("DEBUG", "perhaps")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(ImproperlyConfigured) as caught:
        read_environment()
    text = str(caught.value)
    assert "DATABASE_URL: scheme must be one of postgres, postgresql" in text
    assert "REDIS_URL: scheme must be one of redis, rediss, unix" in text
    assert "DEBUG: " in text
    assert "LOG_LEVEL: " in text


def test_a_live_feed_needs_a_vendor_and_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_FEED_PROVIDER", "alpaca")
    with pytest.raises(ImproperlyConfigured, match="DESK_FEED_PROVIDER, DESK_FEED_SYMBOLS: a live feed needs both"):
        read_environment()
    monkeypatch.setenv("DESK_FEED_SYMBOLS", "AAPL,IBM")
    assert read_environment().feed_symbols == ("AAPL", "IBM")


def test_production_takes_no_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "true")
    with pytest.raises(ImproperlyConfigured) as caught:
        read_environment(production=True)
    text = str(caught.value)
    for name in ("SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL"):
        assert f"\n  {name}: " in text
    monkeypatch.setenv("DEBUG", "false")
    monkeypatch.setenv("SECRET_KEY", "k" * 32)
    monkeypatch.setenv("ALLOWED_HOSTS", "desk.example.org")
    monkeypatch.setenv("DATABASE_URL", "postgresql://desk@db/desk")
    monkeypatch.setenv("REDIS_URL", "redis://cache")
    assert read_environment(production=True).secure_cookies


def test_vendors_are_what_is_set_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VENDOR_KEYS, *VENDOR_DATA_URLS, *VENDOR_STREAM_URLS, "ALPACA_FEED", "VENDOR_TIMEOUT_SECONDS"):
        monkeypatch.delenv(name, raising=False)
    assert read_environment().vendors == VendorSettings(values={"ALPACA_FEED": "iex"}, timeout_seconds=20.0)
    monkeypatch.setenv("FINNHUB_API_KEY", "c0ffee")
    monkeypatch.setenv("YAHOO_DATA_URL", "https://proxy.example.org/yahoo")
    monkeypatch.setenv("VENDOR_TIMEOUT_SECONDS", "5")
    found = read_environment().vendors
    assert found.key("FINNHUB_API_KEY") == "c0ffee"
    assert found.get("YAHOO_DATA_URL", "") == "https://proxy.example.org/yahoo"
    assert found.timeout_seconds == 5.0
    assert "c0ffee" not in repr(read_environment())


def test_two_names_of_one_variable_agree_or_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALPACA_SECRET_KEY", "ALPACA_TRADING_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALPACA_API_SECRET", "c0ffee")
    monkeypatch.setenv("ALPACA_BASE_URL", "https://proxy.example.org")
    found = read_environment().vendors
    assert (found.key("ALPACA_SECRET_KEY"), found.get("ALPACA_TRADING_URL", "")) == ("c0ffee", "https://proxy.example.org")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "c0ffee")
    monkeypatch.setenv("ALPACA_TRADING_URL", "https://proxy.example.org/")
    assert read_environment().vendors.key("ALPACA_SECRET_KEY") == "c0ffee"
    monkeypatch.setenv("ALPACA_SECRET_KEY", "decaf")
    monkeypatch.setenv("ALPACA_TRADING_URL", "https://api.alpaca.markets")
    with pytest.raises(ImproperlyConfigured) as caught:
        read_environment()
    text = str(caught.value)
    assert "\n  ALPACA_API_SECRET, ALPACA_SECRET_KEY: two names of one thing with different values" in text
    assert "\n  ALPACA_BASE_URL, ALPACA_TRADING_URL: two names of one thing with different values" in text
    assert "c0ffee" not in text


def test_malformed_vendor_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_STREAM_URL", "https://socket.example.org")
    monkeypatch.setenv("ALPACA_FEED", "everything")
    monkeypatch.setenv("VENDOR_TIMEOUT_SECONDS", "0")
    with pytest.raises(ImproperlyConfigured) as caught:
        read_environment()
    assert "POLYGON_STREAM_URL: scheme must be one of ws, wss" in str(caught.value)
    assert "ALPACA_FEED: " in str(caught.value)
    assert "VENDOR_TIMEOUT_SECONDS: " in str(caught.value)


def test_a_gateway_has_a_host_a_port_and_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IB_HOST", "IB_PORT", "IB_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    found = read_environment()
    assert (found.ib_host, found.ib_port, found.ib_client_id) == ("", 4002, 17)
    monkeypatch.setenv("IB_PORT", "70000")
    monkeypatch.setenv("IB_CLIENT_ID", "0")
    with pytest.raises(ImproperlyConfigured) as caught:
        read_environment()
    assert "IB_PORT: " in str(caught.value)
    assert "IB_CLIENT_ID: " in str(caught.value)
