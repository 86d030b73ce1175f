"""Which ticks are believed, and which price they make."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from apps.marketdata.domain.latest import AHEAD, REMEMBERED, Latest, refusal
from apps.marketdata.domain.reconnecting import FIRST_SECONDS, LONGEST_SECONDS, reconnect_pause
from apps.marketdata.domain.vendor import QuoteTick, Tick, TradeTick

NOW = datetime(2024, 7, 2, 14, tzinfo=UTC)
QUOTE = QuoteTick(symbol="AAA", ts=NOW, bid=10.0, bid_size=100, ask=10.2, ask_size=200)
TRADE = TradeTick(symbol="AAA", ts=NOW, price=10.1, size=5, trade_id="1")


@pytest.mark.parametrize(
    ("tick", "why"),
    [
        (QUOTE, ""),
        (TRADE, ""),
        (replace(QUOTE, ask=0.0, ask_size=0.0), ""),
        (replace(QUOTE, bid=10.3), ""),  # crossed: it happens
        (replace(TRADE, ts=NOW + AHEAD), ""),
        (replace(TRADE, ts=NOW + AHEAD + timedelta(microseconds=1)), "future"),
        (replace(TRADE, ts=NOW.replace(tzinfo=None)), "no zone"),
        (replace(TRADE, price=0.0), "no trade"),
        (replace(TRADE, price=math.nan), "no trade"),
        (replace(TRADE, size=math.inf), "no trade"),
        (replace(TRADE, size=-1.0), "no trade"),
        (replace(QUOTE, bid=-1.0), "no quote"),
        (replace(QUOTE, bid=0.0, ask=0.0), "no quote"),
        (replace(QUOTE, bid_size=math.nan), "no quote"),
    ],
)
def test_what_is_refused_and_why(tick: Tick, why: str) -> None:
    text = refusal(tick, NOW)
    assert why in text
    assert bool(text) is bool(why)


def test_the_price_is_the_last_trade_else_the_middle() -> None:
    latest = Latest()
    assert latest.price is None
    latest.apply(QUOTE, NOW)
    assert latest.price == (pytest.approx(10.1), NOW, NOW)
    latest.apply(replace(TRADE, price=9.9), NOW + timedelta(seconds=1))
    latest.apply(replace(QUOTE, ts=NOW + timedelta(seconds=5)), NOW + timedelta(seconds=5))
    assert latest.price == (9.9, NOW, NOW + timedelta(seconds=1))  # a new quote makes an old trade no younger


def test_there_is_no_middle_of_one_side_and_none_of_a_crossed_quote() -> None:
    for quote in (replace(QUOTE, ask=0.0), replace(QUOTE, bid=10.3)):
        latest = Latest()
        latest.apply(quote, NOW)
        assert latest.price is None


def test_an_older_tick_is_counted_and_changes_nothing() -> None:
    latest = Latest()
    for tick in (QUOTE, TRADE, replace(QUOTE, ts=NOW - timedelta(seconds=1), bid=1.0), replace(TRADE, ts=NOW - timedelta(seconds=1), trade_id="0")):
        latest.apply(tick, NOW)
    assert (latest.quote, latest.trade, latest.count, latest.waiting) == (QUOTE, TRADE, 4, 4)


def test_a_repetition_is_known_by_its_id_for_a_while() -> None:
    latest = Latest()
    latest.apply(TRADE, NOW)
    assert latest.repeats(TRADE)
    assert not latest.repeats(replace(TRADE, trade_id="2"))
    for number in range(REMEMBERED):
        latest.apply(replace(TRADE, trade_id=f"n{number}"), NOW)
    assert not latest.repeats(TRADE)
    latest.apply(QUOTE, NOW)
    assert latest.repeats(QUOTE)
    assert not latest.repeats(replace(QUOTE, ts=NOW + timedelta(seconds=1)))


def test_pauses_grow_and_differ_by_chance() -> None:
    assert reconnect_pause(1, 0.0) == FIRST_SECONDS
    assert [reconnect_pause(n, 0.0) for n in (2, 3, 4)] == [0.5, 1.0, 2.0]
    assert reconnect_pause(1000, 0.0) == LONGEST_SECONDS
    assert reconnect_pause(3, 0.999) == pytest.approx(0.5, rel=1e-2)
