"""Jumps of the price, told apart: splits, wrong units, bad ticks, outliers."""

import csv
import gzip
import os
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.quality.actions import dividend_findings
from apps.marketdata.domain.quality.findings import Finding, QualityCheck, Severity
from apps.marketdata.domain.quality.jumps import JumpRules, jump_findings, robust_z
from apps.marketdata.domain.quality.values import ohlc_findings, unchanged_findings, volume_findings
from apps.marketdata.tests.factories import make_series

QUIET = 100 * np.exp(0.005 * np.sin(np.arange(120) * 1.7))


def series(closes: np.ndarray, volume: np.ndarray | float = 1_000_000.0) -> BarSeries:
    made = make_series("AAA", closes.tolist())
    volumes = np.broadcast_to(np.asarray(volume, float), closes.shape)
    opened = closes.copy()
    return BarSeries(symbol="AAA", ts=made.ts, open=opened, high=closes * 1.001, low=closes * 0.999, close=closes, volume=volumes.copy())


def found(bars: BarSeries, splits: dict[np.datetime64, float] | None = None) -> list[tuple[QualityCheck, Severity, date]]:
    return [(item.check, item.severity, item.first.date()) for item in jump_findings(bars, splits=splits or {})]


def day(bars: BarSeries, at: int) -> date:
    return bars.ts[at].astype("datetime64[D]").item()


def step(at: int, factor: float, *, until: int | None = None) -> np.ndarray:
    closes = QUIET.copy()
    closes[at:until] *= factor
    return closes


def mirrored(at: int, factor: float) -> np.ndarray:
    volume = np.full(len(QUIET), 1_000_000.0)
    volume[at:] /= factor
    return volume


class TestKinds:
    def test_a_quiet_series_has_none(self) -> None:
        assert found(series(QUIET)) == []

    @pytest.mark.parametrize(("factor", "ratio"), [(0.5, 2.0), (1 / 7, 7.0), (10.0, 0.1), (0.01, 100.0)])
    def test_a_split_lasts_and_volume_mirrors_it(self, factor: float, ratio: float) -> None:
        bars = series(step(60, factor), mirrored(60, factor))
        assert found(bars) == [(QualityCheck.SUSPECTED_SPLIT, Severity.ERROR, day(bars, 60))]
        assert jump_findings(bars, splits={})[0].numbers["ratio"] == pytest.approx(ratio)

    def test_a_recorded_split_explains_it_on_its_day_only(self) -> None:
        bars = series(step(60, 0.5), mirrored(60, 0.5))
        ex = bars.ts.astype("datetime64[D]")
        assert found(bars, {ex[60]: 2.0}) == []
        assert found(bars, {ex[61]: 2.0}) == [
            (QualityCheck.SUSPECTED_SPLIT, Severity.ERROR, day(bars, 60)),
            (QualityCheck.SPLIT_NOT_SEEN, Severity.ERROR, day(bars, 61)),
        ]

    def test_a_split_of_three_for_two_is_a_warning_because_a_crash_looks_like_it(self) -> None:
        bars = series(step(60, 2 / 3), mirrored(60, 2 / 3))
        assert found(bars) == [(QualityCheck.SUSPECTED_SPLIT, Severity.WARNING, day(bars, 60))]

    def test_the_same_fall_without_its_volume_is_an_outlier(self) -> None:
        bars = series(step(60, 0.49))
        assert found(bars) == [(QualityCheck.OUTLIER, Severity.ERROR, day(bars, 60))]

    def test_a_crash_that_halves_the_price_comes_with_a_rush_which_a_split_has_not(self) -> None:
        volume = mirrored(60, 0.48)
        volume[60] *= 5  # Apple on 29 September 2000: 53.50, 28.19 at the open, and seven times the volume of the days after it
        assert found(series(step(60, 0.48), volume)) == [(QualityCheck.OUTLIER, Severity.ERROR, day(series(QUIET), 60))]

    @pytest.mark.parametrize("factor", [0.01, 100.0])
    @pytest.mark.parametrize("bars_long", [1, 9])
    def test_pence_for_pounds_is_told_from_a_bad_tick_and_from_a_split(self, factor: float, bars_long: int) -> None:
        bars = series(step(60, factor, until=60 + bars_long))
        (finding,) = jump_findings(bars, splits={})
        assert (finding.check, finding.severity, finding.count) == (QualityCheck.PRICE_FACTOR, Severity.ERROR, bars_long)
        assert finding.numbers["ratio"] == pytest.approx(factor, rel=0.05)

    def test_a_unit_that_stays_wrong_is_wrong_up_to_the_last_bar(self) -> None:
        (finding,) = jump_findings(series(step(100, 100.0)), splits={})
        assert (finding.check, finding.count) == (QualityCheck.PRICE_FACTOR, 20)

    @pytest.mark.parametrize("factor", [0.6, 1.4, 0.001])
    def test_a_bad_tick_is_back_on_the_next_bar(self, factor: float) -> None:
        bars = series(step(60, factor, until=61))
        assert found(bars) == [(QualityCheck.BAD_TICK, Severity.ERROR, day(bars, 60))]

    def test_a_move_that_goes_on_is_no_bad_tick(self) -> None:
        bars = series(step(60, 0.75))
        assert found(bars) == [(QualityCheck.OUTLIER, Severity.WARNING, day(bars, 60))]

    def test_the_same_move_in_a_wild_series_is_nothing(self) -> None:
        wild = 100 * np.exp(np.cumsum(np.random.default_rng(7).normal(0, 0.05, 120)))
        wild[60:] *= 0.75
        assert found(series(wild)) == []

    def test_too_short_to_judge(self) -> None:
        assert found(series(np.array([1.0, 100.0]))) == []


class TestRobustZ:
    def test_hand_computed(self) -> None:
        # median 2, deviations 1 0 1 2 8 -> MAD 1
        z = robust_z(np.array([1.0, 2.0, 3.0, 4.0, -6.0]))
        np.testing.assert_allclose(z, np.array([-1.0, 0.0, 1.0, 2.0, -8.0]) / 1.4826)

    def test_no_spread_knows_only_equal_and_different(self) -> None:
        np.testing.assert_array_equal(robust_z(np.array([1.0, 1.0, 1.0, 2.0, 0.0])), [0.0, 0.0, 0.0, np.inf, -np.inf])

    def test_window_compares_with_its_surroundings(self) -> None:
        calm, wild = np.tile([0.01, -0.01, 0.02], 100), np.tile([0.1, -0.1, 0.2], 100)
        returns = np.concatenate([calm, wild])
        assert robust_z(returns, window=60)[30] == pytest.approx(robust_z(calm, window=60)[30])
        assert robust_z(returns, window=60)[2] > 2 * robust_z(returns)[2]

    values = st.lists(st.floats(-0.2, 0.2, allow_subnormal=False), min_size=3, max_size=60)

    @given(values, st.floats(0.001, 1000))
    def test_scale_does_not_matter(self, values: list[float], factor: float) -> None:
        returns = np.round(np.array(values), 6)
        np.testing.assert_allclose(robust_z(returns * factor), robust_z(returns), rtol=1e-6, atol=1e-6)

    @given(values, st.randoms(use_true_random=False))
    def test_order_does_not_matter(self, values: list[float], random: object) -> None:
        returns = np.array(values)
        order = list(range(len(returns)))
        random.shuffle(order)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(robust_z(returns)[order], robust_z(returns[order]))

    @given(st.integers(20, 90), st.floats(0.3, 0.8))
    def test_a_planted_bad_tick_is_always_found(self, at: int, factor: float) -> None:
        bars = series(step(at, factor, until=at + 1))
        assert (QualityCheck.BAD_TICK, Severity.ERROR, day(bars, at)) in found(bars)

    def test_rules_can_be_set(self) -> None:
        assert jump_findings(series(step(60, 0.75)), splits={}, rules=JumpRules(move=0.5)) == []


class TestDividends:
    def test_a_large_dividend_must_show_in_the_price(self) -> None:
        bars = series(np.array([2.9, 2.88, 2.9, 2.4, 2.4]))
        ex = bars.ts.astype("datetime64[D]")
        (wrong,) = dividend_findings(bars, {ex[1]: 0.441, ex[3]: 0.5, ex[2]: 0.00441})
        assert (wrong.check, wrong.first.date(), wrong.numbers["dividend"]) == (QualityCheck.DIVIDEND_DOUBTFUL, day(bars, 1), 0.441)


SHARED = Path(os.environ.get("DESK_SHARED_DATA", Path(__file__).resolve().parents[5] / "shared" / "data" / "shared_only"))


@pytest.mark.needs_shared_data
class TestPublishedVendorErrors:
    """Real feed errors as a vendor delivered them (yfinance's repair cases), and a series that has none."""

    @pytest.fixture(scope="class")
    @classmethod
    def findings(cls) -> dict[str, list[Finding]]:
        rows = defaultdict(list)
        with gzip.open(SHARED / "data_quality_bad_feed_cases.csv.gz", "rt") as file:
            for row in csv.DictReader(file):
                if row["version"] == "as_received" and row["close"]:
                    rows[row["case"]].append(row)
        result = {}
        for case, lines in rows.items():
            lines.sort(key=lambda row: row["date"])
            ts = np.array([row["date"] for row in lines], "datetime64[us]")
            columns = {name: np.array([float(row[name]) for row in lines]) for name in ("open", "high", "low", "close", "volume")}
            bars = BarSeries(symbol=case, ts=ts, **columns)
            splits, dividends = (
                {np.datetime64(row["date"], "D"): float(row[name]) for row in lines if float(row[name] or 0) > 0}
                for name in ("stock_splits", "dividends")
            )
            result[case] = [
                *jump_findings(bars, splits=splits),
                *dividend_findings(bars, dividends),
                *ohlc_findings(bars, index=False),
                *volume_findings(bars),
                *unchanged_findings(bars),
            ]
        return result

    def said(self, findings: list[Finding]) -> set[tuple[str, str]]:
        return {(item.check.value, item.first.date().isoformat()) for item in findings}

    def test_the_good_series_passes_unflagged(self, findings) -> None:
        assert findings["CALM-1d-no-bad-divs"] == []

    def test_pence_for_pounds(self, findings) -> None:
        assert ("PRICE_FACTOR", "2022-05-09") in self.said(findings["AET-L-1d-100x-error"])

    def test_a_split_booked_a_day_late(self, findings) -> None:
        said = self.said(findings["4063-T-1d-bad-stock-split"])
        assert said == {("SUSPECTED_SPLIT", "2023-03-29"), ("SPLIT_NOT_SEEN", "2023-03-30")}

    def test_one_day_adjusted_for_a_split_that_was_not_yet(self, findings) -> None:
        assert ("BAD_TICK", "2023-05-08") in self.said(findings["ALPHA-PA-1d-bad-stock-split"])

    def test_dividends_a_hundred_times_too_large(self, findings) -> None:
        said = self.said(findings["SCR-TO-1d-bad-div"])
        assert {("DIVIDEND_DOUBTFUL", day) for day in ("2023-03-14", "2023-06-14", "2023-09-14")} <= said

    def test_raw_prices_of_a_wrongly_adjusted_series_are_good(self, findings) -> None:
        """The desk stores raw prices: errors in a vendor's adjusted close do not reach it."""
        for case in ("1398-HK-1d-bad-div", "8TRA-DE-1d-missing-div-adjust"):
            assert [item for item in findings[case] if item.severity is not Severity.INFO] == []
