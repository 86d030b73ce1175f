"""Features: alignment, lag, scores, versions, and that none of them knows the future."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS, BarPanel, BarSeries, panel_of
from apps.marketdata.domain.features import FeatureSet, FeatureSpec, Normalisation, compute_features
from apps.marketdata.domain.indicators import compute, indicators
from apps.marketdata.tests.domain.test_indicators import bars_of

START = np.datetime64("2012-01-02", "us")
DAY = np.timedelta64(1, "D")


def panel(length: int, seed: int, symbols: int = 3) -> BarPanel:
    """Symbols with bars on other days each: the second lacks every seventh, the third begins late."""
    series = []
    for number in range(symbols):
        bars = bars_of(length, seed + number)
        keep = np.ones(length, bool)
        keep[::7] = number != 1
        keep[:5] &= number != 2
        ts = START + np.arange(length) * DAY
        series.append(BarSeries(symbol=f"S{number}", ts=ts[keep], **{name: bars[name][keep] for name in FIELDS}))
    return panel_of(series)


def spec(indicator: str = "roc", **given: Any) -> FeatureSpec:
    return FeatureSpec(name="x", indicator=indicator, **given)


class TestValues:
    def test_each_symbol_is_computed_on_its_own_bars(self) -> None:
        bars = panel(60, 1)
        values = compute_features(bars, [spec("sma", parameters={"period": 5})])[:, :, 0]
        for column, symbol in enumerate(bars.symbols):
            own = bars.series(symbol)
            rows = np.searchsorted(bars.ts, own.ts)
            np.testing.assert_array_equal(values[rows, column], compute("sma", {"close": own.close}, {"period": 5})["sma"])
            assert np.isnan(np.delete(values[:, column], rows)).all()

    def test_lag_moves_values_later_by_bars_of_the_symbol(self) -> None:
        bars = panel(40, 2)
        now, later = compute_features(bars, [spec(), spec(lag=3)]).transpose(2, 0, 1)
        own = np.flatnonzero(~np.isnan(bars.close[:, 1]))
        np.testing.assert_array_equal(later[own[3:], 1], now[own[:-3], 1])

    def test_scores_across_symbols(self) -> None:
        bars = panel(40, 3)
        plain, rank, score = compute_features(
            bars, [spec(), spec(normalisation=Normalisation.CROSS_RANK), spec(normalisation=Normalisation.CROSS_Z)]
        ).transpose(2, 0, 1)
        row = next(row for row in range(20, 40) if not np.isnan(plain[row]).any())
        assert sorted(rank[row]) == [0.0, 0.5, 1.0]
        assert np.argmax(rank[row]) == np.argmax(plain[row])
        np.testing.assert_allclose(score[row], (plain[row] - plain[row].mean()) / plain[row].std(ddof=1))

    def test_another_column_and_another_line(self) -> None:
        bars = panel(60, 4)
        volume, signal = compute_features(bars, [spec("sma", column="volume"), spec("macd", line="signal")]).transpose(2, 0, 1)
        own = bars.series("S0")
        np.testing.assert_array_equal(volume[:, 0], compute("sma", {"volume": own.volume}, column="volume")["sma"])
        np.testing.assert_array_equal(signal[:, 0], compute("macd", {"close": own.close})["signal"])

    def test_a_benchmark_that_is_not_given_is_missed(self) -> None:
        with pytest.raises(InvalidInput, match="needs benchmark"):
            compute_features(panel(20, 5), [spec("beta")])


@pytest.mark.parametrize("name", [*sorted(name for name, item in indicators().items() if not item.family), "cdlengulfing"])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 119), normalisation=st.sampled_from(Normalisation), lag=st.integers(0, 5))
def test_no_feature_changes_when_the_future_does(name: str, seed: int, cut: int, normalisation: Normalisation, lag: int) -> None:
    parameters = {"period": 20} if name == "drawdown" else {}
    specs = [spec(name, parameters=parameters, normalisation=normalisation, lag=lag, window=10)]
    bars, other = panel(120, seed), panel(120, seed + 77)
    market, elsewhere = (bars_of(120, seed + at)["benchmark"] for at in (50, 51))
    session = np.arange(120) // 9
    whole = compute_features(bars, specs, benchmark=market, session=session)
    short = BarPanel(symbols=bars.symbols, ts=bars.ts[:cut], **{field: getattr(bars, field)[:cut] for field in FIELDS})
    changed = BarPanel(
        symbols=bars.symbols, ts=bars.ts, **{field: np.vstack([getattr(bars, field)[:cut], getattr(other, field)[cut:][::-1]]) for field in FIELDS}
    )
    np.testing.assert_array_equal(compute_features(short, specs, benchmark=market[:cut], session=session[:cut]), whole[:cut])
    moved = compute_features(changed, specs, benchmark=np.concatenate([market[:cut], elsewhere[cut:]]), session=session)
    np.testing.assert_array_equal(moved[:cut], whole[:cut])


class TestSets:
    def test_version_changes_with_every_part_of_a_spec(self) -> None:
        base = {"name": "a", "indicator": "macd"}
        changes = ({"parameters": {"fast": 5}}, {"line": "signal"}, {"column": "volume"}, {"lag": 1}, {"normalisation": "rolling_z"}, {"window": 9})
        sets = [FeatureSet.parse("s", [base])] + [FeatureSet.parse("s", [base | change]) for change in changes]
        assert len({one.version for one in sets}) == len(sets)
        assert FeatureSet.parse("other", [base]).version == sets[0].version
        assert FeatureSet.parse("s", [base | {"parameters": {"fast": 12}}]).version == sets[0].version  # its default

    def test_memory_is_that_of_the_neediest(self) -> None:
        specs = [
            {"name": "a", "indicator": "sma", "parameters": {"period": 10}, "lag": 4},
            {"name": "b", "indicator": "roc", "parameters": {"period": 3}, "normalisation": "rolling_z", "window": 20},
        ]
        assert FeatureSet.parse("s", specs).memory == 3 + 19
        assert FeatureSet.parse("s", [*specs, {"name": "c", "indicator": "obv"}]).memory is None

    @pytest.mark.parametrize(
        ("specs", "field"),
        [
            ({}, "specs"),
            ([], "specs"),
            ([1], "specs/0"),
            ([{"name": "a"}], "specs/0/indicator"),
            ([{"name": "a", "indicator": "smma"}], "specs/0/indicator"),
            ([{"name": "a", "indicator": "sma", "laag": 1}], "specs/0/laag"),
            ([{"name": "a", "indicator": "sma", "lag": -1}], "specs/0/lag"),
            ([{"name": "a", "indicator": "sma", "lag": True}], "specs/0/lag"),
            ([{"name": "a", "indicator": "sma", "parameters": {"period": 0}}], "specs/0/period"),
            ([{"name": "a", "indicator": "macd", "line": "x"}], "specs/0/line"),
            ([{"name": "a", "indicator": "atr", "column": "volume"}], "specs/0/column"),
            ([{"name": "a", "indicator": "sma", "normalisation": "x"}], "specs/0/normalisation"),
            ([{"name": "a", "indicator": "sma"}, {"name": "a", "indicator": "ema"}], "specs"),
        ],
    )
    def test_a_fault_is_named_by_its_place(self, specs: Any, field: str) -> None:
        with pytest.raises(InvalidInput) as refusal:
            FeatureSet.parse("s", specs)
        assert refusal.value.field == field
