"""Bars from trades: any order of arrival within the grace gives the same bars."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.marketdata.domain.bar_builder import GRACE, BarBuilder
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import BarTick, TradeTick

OPEN = datetime(2024, 7, 2, 13, 30, tzinfo=UTC)  # a Tuesday in New York
HALF_DAY_CLOSE = datetime(2024, 7, 3, 17, 0, tzinfo=UTC)


def trade(seconds: float, price: float = 10.0, size: float = 1.0, *, symbol: str = "AAA", trade_id: str = "", base: datetime = OPEN) -> TradeTick:
    return TradeTick(symbol=symbol, ts=base + timedelta(seconds=seconds), price=price, size=size, trade_id=trade_id)


def builder(**options: object) -> BarBuilder:
    return BarBuilder({"AAA": "XNYS", "BBB": "XNYS", "BTC": "24/7"}, **options)  # type: ignore[arg-type]


def bars(*trades: TradeTick, until: float = 600, base: datetime = OPEN, **options: object) -> list[BarTick]:
    building = builder(**options)
    done = []
    for item in trades:
        building.add(item)
        done += building.advance(item.ts)
    return done + building.advance(base + timedelta(seconds=until))


def test_a_bar_has_the_first_last_highest_and_lowest_price_and_the_sum_of_sizes() -> None:
    (bar,) = bars(trade(1, 10.0, 3), trade(20, 12.5, 0.1), trade(21, 9.5, 0.2), trade(59.9, 11.0, 7))
    assert (bar.symbol, bar.ts, bar.timeframe) == ("AAA", OPEN, Timeframe.MINUTE)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (10.0, 12.5, 9.5, 11.0, 10.3)


def test_a_minute_without_a_trade_has_no_bar() -> None:
    assert [bar.ts for bar in bars(trade(0), trade(185))] == [OPEN, OPEN + timedelta(minutes=3)]


def test_a_bar_is_closed_by_market_time_past_its_grace() -> None:
    building = builder()
    building.add(trade(5))
    assert building.advance(OPEN + timedelta(seconds=60) + GRACE - timedelta(microseconds=1)) == []
    assert len(building.advance(OPEN + timedelta(seconds=60) + GRACE)) == 1


def test_another_symbols_trade_closes_the_bar_of_a_quiet_one() -> None:
    building = builder()
    building.add(trade(5))
    building.add(trade(63, symbol="BBB"))
    assert [bar.symbol for bar in building.advance(building.market_time)] == ["AAA"]


def test_a_trade_after_the_close_of_its_bar_changes_nothing_and_is_counted() -> None:
    building = builder()
    for item in (trade(5), trade(62.5), trade(6, 99.0)):
        building.add(item)
    (bar,) = building.advance(OPEN + timedelta(seconds=70))
    assert (bar.high, building.counts.late) == (10.0, 1)


def test_a_late_trade_within_the_grace_counts() -> None:
    building = builder()
    for item in (trade(5), trade(61.5), trade(6, 99.0)):
        building.add(item)
    assert building.advance(OPEN + timedelta(seconds=70))[0].high == 99.0


def test_a_repeated_trade_counts_once() -> None:
    building = builder()
    for item in (trade(5, trade_id="7"), trade(5, trade_id="7"), trade(5, trade_id="8")):
        building.add(item)
    (bar,) = building.advance(OPEN + timedelta(seconds=70))
    assert (bar.volume, building.counts.repeated) == (2.0, 1)


def test_trades_outside_the_session_make_no_bar() -> None:
    building = builder()
    early, late = trade(-1), trade(0, base=HALF_DAY_CLOSE)  # the half day before Independence Day closes at 13:00
    last = trade(-1, base=HALF_DAY_CLOSE)
    for item in (early, last, late):
        building.add(item)
    assert [bar.ts for bar in building.advance(HALF_DAY_CLOSE + timedelta(minutes=5))] == [HALF_DAY_CLOSE - timedelta(minutes=1)]
    assert building.counts.outside == 2


def test_the_grid_begins_at_the_open_of_the_session() -> None:
    hourly = bars(trade(0), trade(3599), trade(3600), until=8000, timeframe=Timeframe.HOUR)
    assert [bar.ts for bar in hourly] == [OPEN, OPEN + timedelta(hours=1)]
    assert [bar.ts for bar in bars(trade(30, symbol="BTC", base=datetime(2024, 7, 6, 3, tzinfo=UTC)), base=datetime(2024, 7, 6, 3, tzinfo=UTC))] == [
        datetime(2024, 7, 6, 3, tzinfo=UTC)
    ]


PRICES = st.sampled_from([9.5, 10.0, 10.25, 11.0, 1e-3, 1e5])
SIZES = st.sampled_from([1.0, 0.1, 0.2, 0.3, 1e9, 100.0])
ARRIVALS = st.lists(
    st.tuples(st.integers(0, 299_999), st.integers(0, 1_999), PRICES, SIZES, st.sampled_from(["AAA", "BBB"])), min_size=1, max_size=60
)


@given(ARRIVALS)
def test_any_order_within_the_grace_gives_the_same_bars(given_trades: list[tuple[int, int, float, float, str]]) -> None:
    trades = [
        (trade(ms / 1000, price, size, symbol=symbol, trade_id=str(number)), ms + late)
        for number, (ms, late, price, size, symbol) in enumerate(given_trades)
    ]
    in_order = [item for item, _ in sorted(trades, key=lambda pair: pair[0].ts)]
    as_they_came = [item for item, _ in sorted(trades, key=lambda pair: pair[1])]
    again = [item for item in as_they_came for _ in range(2)]
    expected = bars(*in_order)
    key = lambda bar: (bar.ts, bar.symbol)  # noqa: E731
    assert sorted(bars(*as_they_came), key=key) == sorted(expected, key=key)
    assert sorted(bars(*again), key=key) == sorted(expected, key=key)


@pytest.mark.parametrize("grace", [0, 2, 30])
def test_bars_come_in_order_of_time_and_symbol(grace: int) -> None:
    done = bars(trade(5, symbol="BBB"), trade(6), trade(65), until=1000, grace=timedelta(seconds=grace))
    assert [(bar.ts.minute, bar.symbol) for bar in done] == [(30, "AAA"), (30, "BBB"), (31, "AAA")]
