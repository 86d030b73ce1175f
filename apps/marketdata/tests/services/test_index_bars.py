"""Bars of a published index, whose open or close may lie outside low to high: flagged and kept. Of anything else: refused."""

import gzip
import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Bar, Instrument
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.selectors.quality import latest_findings
from apps.marketdata.services.bars import bars_import, bars_store
from apps.marketdata.services.quality import CheckRequest, data_check
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series

pytestmark = pytest.mark.django_db

HEADER = "date,open,high,low,close,volume\n"
GOOD = "2012-01-03,22.9,23.1,22.5,22.97,0\n"
OFF = "2012-01-04,23.2,23.1,22.0,22.22,0\n"
NONSENSE = "2012-01-05,22.0,21.0,22.5,22.0,0\n"


@pytest.fixture
def vix() -> Instrument:
    return InstrumentFactory(symbol="VIX", asset_class="index", tradable=False)


def imported(folder: Path, text: str, symbol: str = "VIX"):
    file = folder / f"{symbol}.csv"
    file.write_text(HEADER + text)
    return bars_import(files=[file], source="Cboe", recorded_at=RECORDED_AT)


def test_is_stored_with_a_warning_that_names_its_line(vix, tmp_path) -> None:
    report = imported(tmp_path, GOOD + OFF)
    assert (report.inserted, report.rejected) == (2, ())
    (warning,) = report.warnings
    assert (warning.line, warning.column, warning.code) == (3, "open", "OHLC_ORDER")
    assert dict(Bar.objects.values_list("ts__day", "off_range")) == {3: False, 4: True}
    assert bar_series(symbol="VIX", timeframe=Timeframe.DAY).open.tolist() == [22.9, 23.2]
    assert imported(tmp_path, GOOD + OFF).unchanged == 2


def test_shows_up_in_the_data_check_as_a_warning(vix, tmp_path) -> None:
    imported(tmp_path, GOOD + OFF)
    data_check(request=CheckRequest(end=date(2012, 1, 4)), now=RECORDED_AT)
    finding = latest_findings().get(check_code="OHLC_ORDER")
    assert (finding.severity, finding.count, finding.first.date()) == ("warning", 1, date(2012, 1, 4))


def test_a_high_below_its_low_is_nonsense_of_an_index_too(vix, tmp_path) -> None:
    report = imported(tmp_path, GOOD + NONSENSE)
    assert (report.inserted, [item.line for item in report.rejected], report.warnings) == (1, [3], ())


@pytest.mark.parametrize("changes", [{"asset_class": "etf"}, {"asset_class": "index", "tradable": True}])
def test_of_anything_tradable_is_refused(changes, tmp_path) -> None:
    InstrumentFactory(symbol="XXX", **changes)
    report = imported(tmp_path, GOOD + OFF, "XXX")
    assert (report.inserted, [item.line for item in report.rejected]) == (1, [3])
    made = make_series("XXX", [10.0, 11.0])
    high = BarSeries(symbol="XXX", ts=made.ts, open=made.open, high=made.low, low=made.low, close=made.close, volume=made.volume)
    with pytest.raises(InvalidInput, match="outside low"):
        bars_store(series=[high], timeframe=Timeframe.DAY, source="x", recorded_at=RECORDED_AT)


def test_the_database_refuses_rows_without_the_mark(vix) -> None:
    values = {"instrument_id": vix.pk, "timeframe": 1440, "ts": RECORDED_AT, "source_id": 1, "recorded_at": RECORDED_AT, "volume": 0}
    with pytest.raises(IntegrityError, match="bar_values"), transaction.atomic():
        Bar.objects.create(open=23.2, high=23.1, low=22.0, close=22.2, **values)
    for wrong in ({"high": 21.0}, {"open": float("nan")}, {"close": 0.0}):
        with pytest.raises(IntegrityError, match="bar_values"), transaction.atomic():
            Bar.objects.create(**{"open": 23.2, "high": 23.1, "low": 22.0, "close": 22.2, "off_range": True, **values, **wrong})


def test_command_says_it(vix, tmp_path, capsys) -> None:
    file = tmp_path / "VIX.csv"
    file.write_text(HEADER + GOOD + OFF)
    call_command("import_bars", str(file))
    printed = capsys.readouterr()
    assert "1 stored with a warning" in printed.out
    assert "VIX.csv:3: stored, but OHLC_ORDER open" in printed.err


@pytest.mark.needs_shared_data
def test_thirty_years_of_the_vix_as_cboe_publishes_it(vix, tmp_path) -> None:
    shared = Path(os.environ.get("DESK_SHARED_DATA", Path(__file__).resolve().parents[5] / "shared" / "data" / "shared_only"))
    file = tmp_path / "VIX.csv"
    file.write_bytes(gzip.decompress((shared / "vix_daily_ohlc_1990_2021.csv.gz").read_bytes()))
    report = bars_import(files=[file], symbol=None, source="Cboe", recorded_at=RECORDED_AT)
    assert (report.inserted, [item.code for item in report.rejected]) == (8060, ["NOT_A_SESSION"])
    assert len({item.line for item in report.warnings}) == 47
    assert Bar.objects.filter(off_range=True).count() == 47
    assert np.isfinite(bar_series(symbol="VIX", timeframe=Timeframe.DAY).close).all()
