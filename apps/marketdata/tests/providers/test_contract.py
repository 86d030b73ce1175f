"""Every adapter, against its vendor's own format on a real line: what they all promise."""

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
import pytest

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import BarsPage
from apps.marketdata.providers import adapter
from apps.marketdata.providers.protocol import (
    MissingKey,
    NotOffered,
    Provider,
    RateLimited,
    UnknownVendorSymbol,
    VendorNonsense,
    VendorRefused,
    VendorSettings,
    VendorUnavailable,
)
from apps.marketdata.providers.registry import provider_make, provider_names
from apps.marketdata.providers.shaping import Row
from apps.marketdata.tests.vendors import CUT, FINE, FOLDERS, SERVERS, SILENT, TRUNCATED, failing, too_many, vendor_server

Answered = TypeVar("Answered")

START, END = datetime(2020, 8, 3, tzinfo=UTC), datetime(2020, 9, 16, tzinfo=UTC)
NOW = datetime(2020, 11, 2, tzinfo=UTC)


class CountingGuard:
    """Lets everything pass, and counts it."""

    def __init__(self) -> None:
        self.calls = 0

    def call(self, request: Callable[[], Answered]) -> Answered:
        self.calls += 1
        return request()


def make(vendor: Any, **changes: Any) -> Provider:
    return provider_make(vendor.name, settings=dataclasses.replace(vendor.settings, **changes), clock=lambda: NOW)


def fetch(vendor: Any, timeframe: Timeframe = Timeframe.DAY, start: datetime = START, end: datetime = END) -> list[BarsPage]:
    return list(make(vendor).fetch_bars(vendor.symbol, timeframe, start, end))


def assert_bars(pages: list[BarsPage], expected: list[Row]) -> None:
    got = [row for page in pages for row in zip(page.series.ts.tolist(), *(getattr(page.series, name).tolist() for name in FIELDS), strict=True)]
    assert got == [(row.ts.replace(tzinfo=None), *row[1:]) for row in expected]


@pytest.fixture(params=[*SERVERS, *FOLDERS])
def vendor(request: pytest.FixtureRequest) -> Iterator[Any]:
    with vendor_server(request.param) as made:
        yield made


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    with vendor_server(request.param) as made:
        yield made


def test_every_adapter_is_held_to_the_contract() -> None:
    assert sorted([*SERVERS, *FOLDERS]) == sorted(provider_names())


class TestProviderContract:
    def test_daily_bars_are_raw_and_start_at_midnight_of_their_session(self, vendor: Any) -> None:
        pages = fetch(vendor)
        assert_bars(pages, vendor.market.rows(vendor.symbol, Timeframe.DAY))
        assert all(page.series.symbol == vendor.symbol and page.timeframe is Timeframe.DAY for page in pages)
        assert all(page.series.close.dtype == np.float64 and page.series.ts.dtype == "datetime64[us]" for page in pages)

    def test_the_range_takes_its_start_and_leaves_its_end(self, vendor: Any) -> None:
        rows = vendor.market.rows(vendor.symbol, Timeframe.MINUTE)
        assert_bars(fetch(vendor, Timeframe.MINUTE, rows[3].ts, rows[9].ts), rows[3:9])
        assert_bars(fetch(vendor, Timeframe.MINUTE, rows[3].ts + timedelta(seconds=1), rows[9].ts + timedelta(seconds=1)), rows[4:10])
        days = vendor.market.rows(vendor.symbol, Timeframe.DAY)
        assert_bars(fetch(vendor, Timeframe.DAY, days[2].ts + timedelta(hours=1), days[5].ts + timedelta(hours=1)), days[3:6])

    def test_pages_cover_the_range_without_a_hole(self, vendor: Any) -> None:
        rows = vendor.market.rows(vendor.symbol, Timeframe.MINUTE)
        end = rows[0].ts + timedelta(hours=11)
        pages = fetch(vendor, Timeframe.MINUTE, rows[0].ts, end)
        assert_bars(pages, rows)
        upto = [page.complete_to for page in pages]
        assert upto == sorted(set(upto))
        assert upto[-1] == end
        assert all((page.series.ts < np.datetime64(page.complete_to.replace(tzinfo=None))).all() for page in pages)

    def test_a_range_without_bars_is_an_empty_page(self, vendor: Any) -> None:
        start = datetime(2020, 10, 10, tzinfo=UTC)
        pages = fetch(vendor, Timeframe.DAY, start, start + timedelta(days=2))
        assert [(len(page.series), page.complete_to) for page in pages] == [(0, start + timedelta(days=2))]

    def test_an_unknown_symbol_is_said(self, vendor: Any) -> None:
        for symbol in ("ZZZZ", "../AAPL", "A B"):
            with pytest.raises(UnknownVendorSymbol):
                list(make(vendor).fetch_bars(symbol, Timeframe.DAY, START, END))

    def test_corporate_actions_are_as_they_were_paid(self, vendor: Any) -> None:
        provider = make(vendor)
        if not provider.offer.corporate_actions:
            with pytest.raises(NotOffered):
                provider.corporate_actions(vendor.symbol, START.date(), END.date())
            return
        expected = vendor.market.actions[vendor.symbol]
        assert list(provider.corporate_actions(vendor.symbol, date(2020, 8, 7), date(2020, 8, 31))) == expected
        assert provider.corporate_actions(vendor.symbol, date(2020, 8, 8), date(2020, 8, 30)) == ()

    def test_a_calendar_is_given_or_refused(self, vendor: Any) -> None:
        provider = make(vendor)
        if not provider.offer.calendar:
            with pytest.raises(NotOffered):
                provider.calendar(START.date(), END.date())
            return
        days = provider.calendar(date(2020, 11, 25), date(2020, 11, 27))
        assert [(item.day.day, item.opens_at.hour, item.closes_at.hour) for item in days] == [(25, 14, 21), (27, 14, 18)]

    def test_fundamentals_are_given_or_refused(self, vendor: Any) -> None:
        provider = make(vendor)
        if not provider.offer.fundamentals:
            with pytest.raises(NotOffered):
                provider.fundamentals(vendor.symbol)
            return
        found = provider.fundamentals(vendor.symbol)
        assert found
        assert all(item.published_at.tzinfo is not None and item.published_at.date() > item.period_end for item in found)

    def test_each_missing_key_is_named_and_only_when_it_is_needed(self, vendor: Any) -> None:
        keys = provider_make(vendor.name, settings=VendorSettings()).offer.keys  # made without any
        assert set(keys) <= vendor.settings.values.keys()
        for key in keys:
            others = {name: value for name, value in vendor.settings.values.items() if name != key}
            provider = make(vendor, values=others)
            with pytest.raises(MissingKey, match=f"{key} is not set"):
                list(provider.fetch_bars(vendor.symbol, Timeframe.DAY, START, END))
        assert not keys or vendor.requests == []

    def test_settings_do_not_show_keys(self, vendor: Any) -> None:
        assert not any(value in repr(vendor.settings) for value in vendor.settings.values.values())

    def test_a_time_frame_that_the_vendor_has_not_and_times_without_zone_are_refused(self, vendor: Any) -> None:
        provider = make(vendor)
        if Timeframe.MONTH not in provider.offer.timeframes:
            with pytest.raises(NotOffered, match="1mo"):
                provider.fetch_bars(vendor.symbol, Timeframe.MONTH, START, END)
        with pytest.raises(InvalidInput, match="zone"):
            provider.fetch_bars(vendor.symbol, Timeframe.DAY, START.replace(tzinfo=None), END)
        with pytest.raises(InvalidInput, match="end"):
            provider.fetch_bars(vendor.symbol, Timeframe.DAY, END, START)
        assert vendor.requests == []

    @pytest.mark.parametrize("change", [lambda rows: rows[::-1], lambda rows: rows[5:] + rows[:5], lambda rows: [*rows, rows[3], rows[3]]])
    def test_rows_out_of_order_and_equal_rows_are_put_right(self, vendor: Any, change: Callable[[list[Row]], list[Row]]) -> None:
        vendor.distort = change
        assert_bars(fetch(vendor), vendor.market.rows(vendor.symbol, Timeframe.DAY))

    @pytest.mark.parametrize(
        "change",
        [
            {"close": math.nan},
            {"open": 0.0},
            {"low": -1.0},
            {"high": 1.0},
            {"close": 9_999_999.0},
            {"volume": -400.0},
            {"close": "n/a"},
        ],
        ids=lambda change: "{}={}".format(*next(iter(change.items()))),
    )
    def test_nonsense_in_one_row_makes_the_whole_answer_unusable(self, vendor: Any, change: dict[str, Any]) -> None:
        vendor.distort = lambda rows: [*rows[:4], rows[4]._replace(**change), *rows[5:]]
        with pytest.raises(VendorNonsense):
            fetch(vendor)

    def test_two_different_bars_for_one_time_are_nonsense(self, vendor: Any) -> None:
        vendor.distort = lambda rows: [*rows, rows[3]._replace(close=rows[3].low)]
        with pytest.raises(VendorNonsense):
            fetch(vendor)


class TestOnTheLine:
    """Providers that ask over a network."""

    def test_every_request_passes_the_guard(self, server: Any) -> None:
        guard = CountingGuard()
        provider = provider_make(server.name, settings=server.settings, guard=guard, clock=lambda: NOW)
        list(provider.fetch_bars(server.symbol, Timeframe.DAY, START, END))
        list(provider.fetch_bars(server.symbol, Timeframe.MINUTE, START, START + timedelta(hours=6)))
        if provider.offer.corporate_actions:
            provider.corporate_actions(server.symbol, START.date(), END.date())
        assert guard.calls == len(server.requests) > 0

    def test_bars_that_were_not_asked_for_are_nonsense(self, server: Any) -> None:
        far = timedelta(days=100 if server.name != "yahoo" else -100)  # the library itself drops a bar after the end
        server.distort = lambda rows: [*rows, rows[-1]._replace(ts=rows[-1].ts + far)]
        with pytest.raises(VendorNonsense, match="not asked for"):
            fetch(server)

    @pytest.mark.parametrize(
        ("said", "seconds"),
        [(None, None), ("7", 7.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("soon", None)],
        ids=["silent", "seconds", "date", "words"],
    )
    def test_too_many_requests(self, server: Any, said: str | None, seconds: float | None) -> None:
        server.script(too_many(said))
        with pytest.raises(RateLimited) as caught:
            fetch(server)
        assert caught.value.retry_after == seconds
        self.assert_asked_once(server)
        fetch(server)

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (failing(403), VendorRefused),
            (failing(401), VendorRefused),
            (failing(404), UnknownVendorSymbol),
            (failing(500), VendorUnavailable),
            (failing(503), VendorUnavailable),
            (failing(302), VendorNonsense),
            (TRUNCATED, VendorNonsense),
            (CUT, VendorUnavailable),
        ],
        ids=["403", "401", "404", "500", "503", "302", "truncated", "cut"],
    )
    def test_failures_have_their_names_and_nothing_is_repeated(self, server: Any, fault: Any, error: type[Exception]) -> None:
        # Yahoo's library gets itself a new cookie and asks again; libcurl repeats at once what it sent on a kept line that turns out dead
        twice = server.name == "yahoo" and (error is VendorRefused or fault is CUT)
        server.script(*[fault] * (2 if twice else 1))
        with pytest.raises(error):
            fetch(server)
        if not twice:
            self.assert_asked_once(server)
        assert fetch(server)

    def test_a_vendor_that_does_not_answer_in_time(self, server: Any) -> None:
        server.script(SILENT)
        with pytest.raises(VendorUnavailable):
            list(make(server, timeout_seconds=0.5).fetch_bars(server.symbol, Timeframe.DAY, START, END))

    def test_a_vendor_that_is_not_there(self, server: Any) -> None:
        settings = server.settings
        values = {name: "http://127.0.0.1:9" if name.endswith("_URL") else value for name, value in settings.values.items()}
        provider = provider_make(server.name, settings=dataclasses.replace(settings, values=values))
        with pytest.raises(VendorUnavailable):
            list(provider.fetch_bars(server.symbol, Timeframe.DAY, START, END))

    def test_wrong_keys_are_refused(self, server: Any) -> None:
        if not server.keys:
            assert not make(server).offer.keys
            return
        values = {**server.settings.values, **dict.fromkeys(server.keys, "wrong")}
        with pytest.raises(VendorRefused):
            list(make(server, values=values).fetch_bars(server.symbol, Timeframe.DAY, START, END))

    @staticmethod
    def assert_asked_once(server: Any) -> None:
        assert sum(server.is_data(request.path) for request in server.requests) == 1


@pytest.mark.parametrize("name", ["alpaca", "polygon"])
def test_linked_pages_in_the_wrong_order_are_put_in_order(name: str) -> None:
    with vendor_server(name) as server:
        server.page_size = 7
        server.distort = lambda rows: rows[::-1]
        assert_bars(fetch(server), server.market.rows(server.symbol, Timeframe.DAY))
        assert sum(server.is_data(request.path) for request in server.requests) == 5


@pytest.mark.parametrize("name", ["alpaca", "polygon"])
def test_a_linked_page_that_fails_takes_its_window_with_it(name: str) -> None:
    with vendor_server(name) as server:
        server.page_size = 7
        server.script(FINE, FINE, failing(500))
        given = make(server).fetch_bars(server.symbol, Timeframe.DAY, START, END)
        with pytest.raises(VendorUnavailable):
            next(given)
        assert sum(server.is_data(request.path) for request in server.requests) == 3


def test_what_was_given_before_a_failure_is_complete_to_where_the_rest_begins() -> None:
    with vendor_server("coinbase") as server:
        rows = server.market.rows(server.symbol, Timeframe.MINUTE)
        start, end = rows[10].ts - timedelta(minutes=300), rows[10].ts + timedelta(minutes=300)
        server.script(FINE, TRUNCATED)
        given = make(server).fetch_bars(server.symbol, Timeframe.MINUTE, start, end)
        first = next(given)
        with pytest.raises(VendorNonsense):
            next(given)
        rest = fetch(server, Timeframe.MINUTE, first.complete_to, end)
        assert_bars([first, *rest], rows)
        assert len(first.series) == 10


def test_links_that_lead_round_in_a_circle_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "MOST_PAGES", 5)
    with vendor_server("alpaca") as server:
        server.circular = True
        with pytest.raises(VendorNonsense, match="more than 5 linked pages"):
            fetch(server)


def test_an_unknown_vendor_is_told_who_there_is() -> None:
    with pytest.raises(InvalidInput, match="alpaca, coinbase, files, finnhub, polygon, tradingview, yahoo"):
        provider_make("bloomberg", settings=VendorSettings())


def test_no_vendor_library_is_imported_before_it_is_needed() -> None:
    script = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'smarttrader.settings.test'; import django; django.setup(); "
        "import apps.marketdata.providers.registry as registry; from apps.marketdata.providers.protocol import VendorSettings; "
        "[registry.provider_make(name, settings=VendorSettings()) for name in registry.provider_names()]; "
        "print(sorted({'yfinance', 'curl_cffi', 'alpaca', 'massive', 'httpx2', 'websockets', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
