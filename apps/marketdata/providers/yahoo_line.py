"""The line to Yahoo: `yfinance` on a session that asks through the guard. Imported only by an adapter that is about to use it.

The library keeps one session for the whole process, remembers answers, keeps cookies in a file under the home directory, and hides
exceptions. All of that would go round the guard or write where we were not asked to; here each line has its own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pandas as pd
from curl_cffi import requests as curl
from yfinance import utils
from yfinance.config import YfConfig
from yfinance.const import _BASE_URL_
from yfinance.data import YfData
from yfinance.exceptions import YFException, YFRateLimitError
from yfinance.scrapers.history import PriceHistory

from apps.marketdata.providers.failures import check_status, reading
from apps.marketdata.providers.lines import parsed
from apps.marketdata.providers.protocol import Guard, NotOffered, RateLimited, VendorNonsense, VendorRefused, VendorUnavailable

YfConfig.debug.hide_exceptions = False
VENDOR = "yahoo"
CHART = "/v8/finance/chart/"
NUMBERS = ("open", "high", "low", "close", "volume")


class NoBarsThere(Exception):
    """Yahoo says that it has no data in the range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A split (new shares per old) or a dividend (in today's shares) with its ex-date on the exchange's clock."""

    day: date
    value: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What happened to a symbol, the zone of its exchange, and the currency of its quote."""

    time_zone: str
    currency: str
    splits: tuple[Event, ...]
    dividends: tuple[Event, ...]


class YahooLine:
    """Asks Yahoo by yfinance."""

    def __init__(self, guard: Guard, *, address: str, timeout_seconds: float) -> None:
        self._session = _Session(guard, address, timeout_seconds)
        # made without the library's metaclass, which gives everybody the same object
        self._data: _Data = type.__call__(_Data, self._session)
        self._timeout = timeout_seconds

    def events(self, ticker: str, since: datetime, until: datetime) -> Events:
        """Splits and dividends. They carry their own days, whatever the length of the bars that come with them."""
        span = {"period1": int(since.timestamp()), "period2": int(until.timestamp()), "interval": "3mo", "events": "div,splits"}
        try:
            answer = self._asked(lambda: self._data.get_raw_json(f"{_BASE_URL_}{CHART}{ticker}", params=span, timeout=self._timeout))
        except NoBarsThere:
            return Events(time_zone="UTC", currency="USD", splits=(), dividends=())
        with reading(VENDOR, f"events of {ticker}"):
            result = answer["chart"]["result"][0]
            zone, currency = result["meta"]["exchangeTimezoneName"], result["meta"]["currency"] or "USD"
            paid, split, _ = utils.parse_actions(result)
            splits = [Event(day=_day(at, zone), value=_decimal(value), currency=currency) for at, value in split["Stock Splits"].items()]
            dividends = [
                Event(day=_day(at, zone), value=_decimal(row["Dividends"]), currency=row.get("currency") or currency) for at, row in paid.iterrows()
            ]
        return Events(time_zone=zone, currency=currency, splits=tuple(splits), dividends=tuple(dividends))

    def bars(self, ticker: str, time_zone: str, interval: str, start: datetime, end: datetime) -> pd.DataFrame | None:
        """Bars as yfinance makes them from Yahoo's answer, None when there are none. Naive times are the exchange's."""
        history = PriceHistory(self._data, ticker, time_zone, self._session)
        span = {"start": start, "end": end, "auto_adjust": False, "actions": False, "keepna": True, "timeout": self._timeout}
        try:
            return self._asked(lambda: history.history(interval=interval, **span))
        except NoBarsThere:
            return None

    def _asked(self, request: Any) -> Any:
        """What the request gives. After a refusal the library got itself a new cookie and asked again; if that failed too, we are refused."""
        self._session.refused = ""
        try:
            with reading(VENDOR, "an answer"):
                return request()
        except YFRateLimitError as error:
            raise RateLimited(f"{VENDOR}: {error}") from error
        except (YFException, curl.exceptions.RequestException, VendorNonsense) as error:
            if self._session.refused:
                raise VendorRefused(self._session.refused) from error
            if isinstance(error, curl.exceptions.RequestException):
                raise VendorUnavailable(f"{VENDOR} cannot be reached: {type(error).__name__}: {error}") from error
            if isinstance(error, VendorNonsense):
                raise
            raise VendorNonsense(f"{VENDOR}: {error}") from error


class _Data(YfData):
    """The library's data layer without its memory, neither in the process nor in the home directory."""

    def cache_get(self, url: str, params: Any = None, timeout: float = 30) -> Any:
        return self.get(url, params, timeout)

    def _load_cookie_curlCffi(self) -> bool:  # noqa: N802 - the library's name
        return False

    def _save_cookie_curlCffi(self) -> bool:  # noqa: N802 - the library's name
        return True


class _Session(curl.Session):
    """Sends every request through the guard: to Yahoo, or to the address that stands for it."""

    def __init__(self, guard: Guard, address: str, timeout_seconds: float) -> None:
        super().__init__(impersonate="chrome")
        self._guard, self._address, self._timeout = guard, address.rstrip("/"), timeout_seconds
        self.refused = ""

    def request(self, method: Any, url: str, **kwargs: Any) -> Any:  # type: ignore[override]
        is_chart = CHART in url
        return self._guard.call(lambda: self._ask(method, self._placed(url), {**kwargs, "timeout": self._timeout}, is_chart=is_chart))

    def _placed(self, url: str) -> str:
        parts = urlsplit(url)
        if not self._address or not (parts.hostname or "").endswith("yahoo.com"):
            return url
        return f"{self._address}{parts.path}" + (f"?{parts.query}" if parts.query else "")

    def _ask(self, method: Any, url: str, kwargs: dict[str, Any], *, is_chart: bool) -> Any:
        """Cookies and crumbs are the library's own business: a chart comes without them too. Charts are judged here."""
        if not is_chart:
            return super().request(method, url, **kwargs)
        try:
            answer = super().request(method, url, **kwargs)
        except curl.exceptions.RequestException as error:
            raise VendorUnavailable(f"{VENDOR} cannot be reached: {type(error).__name__}: {error}") from error
        if answer.status_code in (401, 403):
            self.refused = f"{VENDOR} answered {answer.status_code}: {answer.text[:200]}"
            return answer
        _judge(answer.status_code, answer.headers, answer.text)
        return answer


def _judge(status: int, headers: Mapping[str, str], text: str) -> None:
    """Raise what a chart means when it is not one that the library can be trusted with."""
    if status in (400, 422) and (reason := _reason(text)):
        if "doesn't exist for startdate" in reason.lower():
            raise NoBarsThere(reason)
        raise NotOffered(f"{VENDOR}: {reason}", field="start")
    check_status(VENDOR, status, headers, text)
    answer = parsed(VENDOR, text)
    with reading(VENDOR, "a chart"):
        result = answer["chart"]["result"][0]
        ZoneInfo(result["meta"]["exchangeTimezoneName"])
        quote = result["indicators"]["quote"][0]
        times = result.get("timestamp")
        if not times or not quote:
            if "events" in result or times or quote:
                return
            raise NoBarsThere("no bars")
        columns = [quote[name] for name in NUMBERS]
        if any(len(column) != len(times) for column in columns):
            raise ValueError("columns of different lengths")
        _check_rows(list(zip(times, *columns, strict=True)))


def _check_rows(rows: list[tuple[Any, ...]]) -> None:
    """Numbers or nothing, and for one time one bar: the library would silently take the first of two, and any text."""
    seen: dict[int, tuple[Any, ...]] = {}
    for at, *numbers in rows:
        if not isinstance(at, int) or any(value is not None and (isinstance(value, bool) or not isinstance(value, int | float)) for value in numbers):
            raise TypeError(f"{[at, *numbers]} are not numbers")
        if seen.setdefault(at, tuple(numbers)) != tuple(numbers):
            raise ValueError(f"two different bars for {datetime.fromtimestamp(at, UTC)}")


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["chart"]["error"]["description"])
    except (ValueError, KeyError, TypeError):
        return ""


def _day(at: Any, zone: str) -> date:
    found: date = at.tz_localize("UTC").tz_convert(zone).date()
    return found


def _decimal(value: Any) -> Decimal:
    return Decimal(f"{float(value):.10g}")
