"""What the desk knew at a time, against a model that remembers everything."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.marketdata.domain.bars import BarSeries, fingerprint
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_panel, bar_series, bars_as_of
from apps.marketdata.services.bars import bars_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_series

pytestmark = pytest.mark.django_db

SYMBOLS = ("AAA", "BBB")
TEMPLATE = make_series("AAA", [1.0] * 5)
START = datetime(2026, 1, 1, tzinfo=UTC)

#: A delivery: which symbol, at which of the five sessions it has which close.
deliveries = st.lists(st.tuples(st.sampled_from(SYMBOLS), st.dictionaries(st.integers(0, 4), st.integers(1, 3), min_size=1)), min_size=1, max_size=8)


def delivered(symbol: str, closes: dict[int, int]) -> BarSeries:
    at = sorted(closes)
    price = np.array([float(closes[row]) for row in at])
    return BarSeries(symbol=symbol, ts=TEMPLATE.ts[at], open=price, high=price, low=price, close=price, volume=price * 100)


@settings(max_examples=25, deadline=None)
@given(sequence=deliveries, upto=st.integers(-1, 8))
def test_as_of_is_what_a_model_remembers(sequence: list[tuple[str, dict[int, int]]], upto: int) -> None:
    known: dict[str, dict[int, int]] = {symbol: {} for symbol in SYMBOLS}
    with transaction.atomic():
        for symbol in SYMBOLS:
            InstrumentFactory(symbol=symbol)
        for step, (symbol, closes) in enumerate(sequence):
            recorded_at = START + timedelta(hours=step)
            bars_store(series=[delivered(symbol, closes)], timeframe=Timeframe.DAY, source="test", recorded_at=recorded_at)
            if step <= upto:
                known[symbol] |= closes
        moment = START + timedelta(hours=upto, minutes=30)
        panel = bars_as_of(moment, symbols=SYMBOLS)
        singles = {symbol: bar_series(symbol=symbol, timeframe=Timeframe.DAY, as_of=moment) for symbol in SYMBOLS}
        newest = {symbol: bar_series(symbol=symbol, timeframe=Timeframe.DAY, as_of=moment, last=1) for symbol in SYMBOLS}
        transaction.set_rollback(True)
    for symbol, closes in known.items():
        expected = delivered(symbol, closes)
        for found in (panel.series(symbol), singles[symbol]):
            np.testing.assert_array_equal(found.ts, expected.ts)
            np.testing.assert_array_equal(found.close, expected.close)
            np.testing.assert_array_equal(found.volume, expected.volume)
        np.testing.assert_array_equal(newest[symbol].close, expected.close[-1:])


def test_the_fingerprint_of_what_was_known_outlives_later_revisions() -> None:
    store_series(make_series("AAA", [10.0, 11.0, 12.0]), make_series("BBB", [5.0, 6.0, 7.0]))
    moment = RECORDED_AT + timedelta(hours=1)
    before = fingerprint(bars_as_of(moment, symbols=SYMBOLS))
    store_series(make_series("AAA", [10.0, 11.5, 12.0, 13.0]), recorded_at=RECORDED_AT + timedelta(days=1))
    assert fingerprint(bars_as_of(moment, symbols=SYMBOLS)) == before
    assert fingerprint(bar_panel(symbols=SYMBOLS, timeframe=Timeframe.DAY)) != before
    assert not len(bars_as_of(RECORDED_AT - timedelta(seconds=1), symbols=SYMBOLS))
