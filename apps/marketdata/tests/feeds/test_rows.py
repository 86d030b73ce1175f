"""The JSON text of a latest price says exactly what the objects say that readers and screens of other feeds use."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.documents import plain
from apps.core.money import price_from_float
from apps.marketdata.domain.latest import Latest
from apps.marketdata.domain.vendor import QuoteTick, Tick, TradeTick
from apps.marketdata.selectors.quotes import quote_from_json, quote_row
from apps.marketdata.services.feeds.rows import price_row

AT = datetime(2026, 11, 20, 14, 0, 0, 123456, tzinfo=UTC)
QUOTE = QuoteTick(symbol="AAA", ts=AT, bid=10.0, bid_size=300.0, ask=10.25, ask_size=0.00000001)
TRADE = TradeTick(symbol="AAA", ts=AT + timedelta(seconds=1), price=10.1, size=2.0)


def book(*ticks: Tick) -> Latest:
    latest = Latest()
    for number, tick in enumerate(ticks):
        latest.apply(tick, AT + timedelta(seconds=10 + number))
    return latest


@pytest.mark.parametrize(
    "ticks",
    [
        (QUOTE,),
        (TRADE,),
        (QUOTE, TRADE),
        (TRADE, replace(QUOTE, bid=0.0, bid_size=0.0)),
        (TRADE, replace(QUOTE, ask=0.0, ask_size=0.0)),
        (replace(TRADE, ts=datetime(2026, 11, 20, 9, tzinfo=timezone(timedelta(hours=-5)))),),
    ],
)
def test_screens_get_what_readers_of_redis_get(ticks: tuple[Tick, ...]) -> None:
    row = price_row(book(*ticks), '"live"')
    assert row is not None
    quote = quote_from_json("AAA", row.stored(7))
    assert json.loads(row.text) == plain(quote_row(quote))
    assert (quote.instrument_id, quote.feed, quote.count, quote.market_time) == (7, "live", len(ticks), row.market_time)
    assert row.price == str(quote.price)


def test_every_value_is_the_ticks_own() -> None:
    row = price_row(book(QUOTE, TRADE), '"live"')
    assert row is not None
    assert json.loads(row.text) == {
        "price": "10.100000",
        "market_time": "2026-11-20T14:00:01.123456Z",
        "received_at": "2026-11-20T14:00:11.123456Z",
        "feed": "live",
        "bid": "10.000000",
        "ask": "10.250000",
        "bid_size": "300.000000",
        "ask_size": "0.000000",
        "quote_time": "2026-11-20T14:00:00.123456Z",
        "count": 2,
        "basis": "trade",
    }


def test_there_is_no_row_without_a_price() -> None:
    assert price_row(book(replace(QUOTE, ask=0.0)), '"live"') is None


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_prices_are_rounded_as_everywhere(price: float) -> None:
    row = price_row(book(replace(TRADE, price=price)), '"live"')
    assert row is not None
    assert quote_from_json("AAA", row.stored(1)).price == price_from_float(price)
