"""Panels, fingerprints, binary COPY, merging and replay: pure functions over arrays."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS, BarSeries, fingerprint, panel_of
from apps.marketdata.domain.copy_format import SIGNATURE, TRAILER, Layout
from apps.marketdata.domain.merging import BarRows, Change, classify
from apps.marketdata.domain.replay import Step, row_of, step_prices, step_time
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.validation import gaps


def series(symbol: str, days: list[str], closes: list[float]) -> BarSeries:
    close = np.array(closes)
    return BarSeries(symbol=symbol, ts=np.array(days, "datetime64[us]"), open=close, high=close + 1, low=close - 1, close=close, volume=close * 100)


A = series("A", ["2012-01-03", "2012-01-04"], [10.0, 11.0])
B = series("B", ["2012-01-04", "2012-01-05"], [20.0, 21.0])


class TestTimeframe:
    def test_codes_go_there_and_back(self) -> None:
        assert [Timeframe.parse(timeframe.code) for timeframe in Timeframe] == list(Timeframe)
        assert max(Timeframe) < 2**15  # a smallint in the database

    def test_unknown_code_lists_the_known_ones(self) -> None:
        with pytest.raises(InvalidInput, match="1m, 5m, 15m, 1h, 1d, 1w, 1mo"):
            Timeframe.parse("2h")

    def test_only_intraday_has_a_length(self) -> None:
        assert Timeframe.HOUR.duration == timedelta(hours=1)
        with pytest.raises(InvalidInput):
            _ = Timeframe.DAY.duration


class TestPanel:
    def test_union_of_times_with_holes(self) -> None:
        panel = panel_of([A, B])
        np.testing.assert_array_equal(panel.close, [[10, np.nan], [11, 20], [np.nan, 21]])
        np.testing.assert_array_equal(np.isnan(panel.volume), np.isnan(panel.close))
        np.testing.assert_array_equal(panel.series("B").high, B.high)
        with pytest.raises(KeyError):
            panel.series("C")

    def test_of_nothing(self) -> None:
        assert panel_of([]).close.shape == (0, 0)
        assert panel_of([series("A", [], [])]).close.shape == (0, 1)


class TestFingerprint:
    def test_equal_data_and_only_equal_data(self) -> None:
        same = replace(A, close=A.close.copy(), ts=A.ts.copy())
        assert fingerprint(same) == fingerprint(A)
        changed = [
            replace(A, symbol="C"),
            replace(A, ts=A.ts + np.timedelta64(1, "us")),
            *(replace(A, **{name: getattr(A, name) + 1e-9}) for name in FIELDS),
            series("A", ["2012-01-03"], [10.0]),
        ]
        assert len({fingerprint(item) for item in [A, *changed]}) == len(changed) + 1

    def test_order_of_symbols_counts_and_kind_of_nan_does_not(self) -> None:
        assert fingerprint(panel_of([A, B])) != fingerprint(panel_of([B, A]))
        panel = panel_of([A, B])
        other = panel.close.copy()
        other[np.isnan(other)] = -np.float64("nan")
        assert fingerprint(replace(panel, close=other)) == fingerprint(panel)


class TestCopyFormat:
    layout = Layout((("id", "int8"), ("n", "int2"), ("at", "timestamptz"), ("price", "float8")))

    def columns(self) -> dict:
        return {
            "id": np.array([1, -(2**40)]),
            "n": np.array([7, -7], np.int16),
            "at": np.array(["2012-01-03T14:30:00.000001", "1969-12-31"], "datetime64[us]"),
            "price": np.array([0.1, np.nan]),
        }

    def test_there_and_back(self) -> None:
        given = self.columns()
        found = self.layout.decode(list(self.layout.blocks(given, 2)))
        for name, values in given.items():
            np.testing.assert_array_equal(found[name], values)

    def test_first_row_byte_by_byte(self) -> None:
        head, rows, end = self.layout.blocks({**self.columns(), "at": np.datetime64("2000-01-01T00:00:01", "us")}, 2)
        row = bytes(rows)[:44]
        assert (head, len(rows), end) == (SIGNATURE, 88, TRAILER)
        assert row == bytes.fromhex(
            "0004" "00000008" "0000000000000001" "00000002" "0007" "00000008" "00000000000f4240" "00000008" "3fb999999999999a"
        )  # fmt: skip

    def test_null_and_other_types_are_refused(self) -> None:
        whole = b"".join(self.layout.blocks(self.columns(), 2))
        with pytest.raises(ValueError, match="complete"):
            self.layout.decode([whole[:-2]])
        with pytest.raises(ValueError, match=r"NULL|layout"):
            Layout((("id", "int8"), ("at", "int8"))).decode([whole])


class TestMerging:
    def rows(self, ids: list[int], days: list[int], close: list[float]) -> BarRows:
        values = np.array(close)
        ts = np.datetime64("2012-01-01", "us") + np.array(days, "timedelta64[D]")
        return BarRows(instrument_id=np.array(ids), ts=ts, open=values, high=values, low=values, close=values, volume=values)

    def test_new_equal_and_different(self) -> None:
        stored = {**self.rows([1, 1, 3], [1, 2, 1], [10, 11, 30]).columns(), "revision": np.array([0, 4, 0], np.int16)}
        change, revision = classify(self.rows([3, 1, 1, 2, 1], [1, 2, 1, 1, 9], [30, 12, 10, 10, 10]), stored)
        assert change.tolist() == [Change.UNCHANGED, Change.REVISED, Change.UNCHANGED, Change.INSERTED, Change.INSERTED]
        assert revision[1] == 5
        assert revision[[3, 4]].tolist() == [0, 0]


class TestGaps:
    def test_runs_of_missing_sessions(self) -> None:
        ts = np.array(["2012-01-03", "2012-01-09", "2012-01-11"], "datetime64[us]")
        assert [(gap.first, gap.last, gap.sessions) for gap in gaps("A", ts, Timeframe.DAY, "XNYS")] == [
            (date(2012, 1, 4), date(2012, 1, 6), 3),
            (date(2012, 1, 10), date(2012, 1, 10), 1),
        ]
        assert gaps("A", ts, Timeframe.WEEK, "XNYS") == ()
        assert gaps("A", ts[:0], Timeframe.DAY, "XNYS") == ()


class TestReplay:
    def test_steps_are_spread_over_the_session(self) -> None:
        times = [step_time("XNYS", date(2012, 1, 3), step) for step in Step]
        assert times[0] == datetime(2012, 1, 3, 14, 30, tzinfo=UTC)
        assert times[1] - times[0] == times[2] - times[1] == times[3] - times[2] == timedelta(hours=2, minutes=10)
        assert sum(step.share for step in Step) == pytest.approx(1)

    def test_prices_of_a_step_leave_out_who_has_no_bar(self) -> None:
        panel = panel_of([A, B])
        row = row_of(panel, date(2012, 1, 3))
        assert [step_prices(panel, row, step) for step in Step] == [{"A": 10.0}, {"A": 9.0}, {"A": 11.0}, {"A": 10.0}]
        assert row_of(panel, date(2012, 1, 6)) is None
