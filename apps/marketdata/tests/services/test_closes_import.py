"""Files of closes into the desk, and out again as a panel."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.models import Bar, ClosePrice
from apps.marketdata.selectors.closes import BARS_AND_SPLITS, BARS_WITH_DIVIDENDS, closes_panel, closes_series
from apps.marketdata.services.closes import closes_import
from apps.marketdata.services.corporate_actions import actions_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_closes, store_series

pytestmark = pytest.mark.django_db

GOOD = "symbol,date,adj_close\nAAA,2012-01-03,10\nAAA,2012-01-04,11\nBBB,2012-01-04,20.5\n"


@pytest.fixture(autouse=True)
def instruments() -> None:
    for symbol in ("AAA", "BBB"):
        InstrumentFactory(symbol=symbol, asset_class="etf")


def load(tmp_path, text: str = GOOD, **changed):
    path = tmp_path / "closes.csv"
    path.write_text(text)
    asked = {"files": [path], "adjustment": CloseKind.TOTAL_RETURN, "source": "test", "recorded_at": RECORDED_AT, **changed}
    return closes_import(**asked)


def test_closes_are_stored_and_no_bars_are_made(tmp_path) -> None:
    report = load(tmp_path)
    assert (report.inserted, report.rejected) == (3, ())
    panel = closes_panel(symbols=["BBB", "AAA"], adjustment=CloseKind.TOTAL_RETURN)
    assert np.array_equal(panel.close, [[np.nan, 10.0], [20.5, 11.0]], equal_nan=True)
    assert panel.sources == ("closes of test", "closes of test")
    assert not Bar.objects.exists()
    assert len(closes_panel(symbols=["AAA"], adjustment=CloseKind.NONE)) == 0


def test_a_different_value_is_a_revision_and_the_old_one_can_be_asked_for(tmp_path) -> None:
    load(tmp_path)
    later = datetime(2026, 2, 1, tzinfo=UTC)
    report = load(tmp_path, GOOD.replace("11", "12"), recorded_at=later)
    assert (report.inserted, report.revised, report.unchanged) == (0, 1, 2)
    assert closes_series(symbol="AAA", adjustment=CloseKind.TOTAL_RETURN).close.tolist() == [10.0, 12.0]
    assert closes_series(symbol="AAA", adjustment=CloseKind.TOTAL_RETURN, as_of=RECORDED_AT).close.tolist() == [10.0, 11.0]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("AAA,2012-01-05,0", "PRICE_NOT_POSITIVE"),
        ("AAA,2012-01-05,ten", "NOT_A_NUMBER"),
        ("AAA,yesterday,10", "NOT_A_TIME"),
        ("AAA,2012-01-07,10", "NOT_A_SESSION"),
        ("ZZZ,2012-01-05,10", "UNKNOWN_SYMBOL"),
        ("AAA,2012-01-03,10", "DUPLICATE"),
        ("AAA,2012-01-05", "MALFORMED_LINE"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_the_others_are_stored(tmp_path, row, code) -> None:
    report = load(tmp_path, f"{GOOD}{row}\n")
    assert [(item.line, item.code) for item in report.rejected] == [(5, code)]
    assert ClosePrice.objects.count() == 3


def test_a_row_without_a_close_is_left_out_and_said(tmp_path) -> None:
    report = load(tmp_path, f"{GOOD}AAA,2012-01-05,.\nAAA,2012-01-16,\n", strict=True)
    assert (report.inserted, report.rejected) == (3, ())
    assert report.files[0].notes == ("2 rows have no close and were left out",)


def test_strict_and_dry_run_store_nothing(tmp_path) -> None:
    assert not load(tmp_path, f"{GOOD}AAA,2012-01-07,10\n", strict=True).files[0].stored
    assert load(tmp_path, dry_run=True).inserted == 3
    assert not ClosePrice.objects.exists()


def test_an_adjusted_close_is_never_taken_for_one_as_traded(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="adjustment none"):
        load(tmp_path, adjustment=CloseKind.NONE)
    with pytest.raises(InvalidInput, match="total_return"):
        load(tmp_path, GOOD.replace("adj_close", "close"))


def test_unknown_names_are_refused(tmp_path) -> None:
    with pytest.raises(NotFound):
        load(tmp_path, symbol="ZZZ")
    with pytest.raises(NotFound):
        closes_panel(symbols=["ZZZ"], adjustment=CloseKind.NONE)
    with pytest.raises(InvalidInput, match="twice"):
        closes_panel(symbols=["AAA", "AAA"], adjustment=CloseKind.NONE)


def test_the_database_refuses_what_cannot_be() -> None:
    store_closes({"AAA": [10.0]})
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("delete from marketdata_closeprice")
    for bad in ({"value": float("nan")}, {"value": -1.0}, {"adjustment": 2}):
        with pytest.raises(IntegrityError), transaction.atomic():
            ClosePrice.objects.create(
                **{"instrument_id": 9, "adjustment": 0, "ts": "2012-01-03T00:00Z", "value": 1.0, "source_id": 1, "recorded_at": RECORDED_AT, **bad}
            )


class TestWhereAColumnComesFrom:
    """Bars with dividends before closes, closes before bars without."""

    def panel(self):
        return closes_panel(symbols=["AAA"], adjustment=CloseKind.TOTAL_RETURN)

    def test_bars_without_dividends_stand_back_behind_closes(self) -> None:
        store_series(make_series("AAA", [100.0, 50.0]))
        assert self.panel().sources == (BARS_AND_SPLITS,)
        store_closes({"AAA": [10.0, 10.0]})
        assert self.panel().sources == ("closes of test closes",)
        assert self.panel().close[:, 0].tolist() == [10.0, 10.0]
        assert closes_panel(symbols=["AAA"], adjustment=CloseKind.NONE).close[:, 0].tolist() == [100.0, 50.0]

    def test_bars_with_dividends_stand_before_closes(self) -> None:
        store_series(make_series("AAA", [100.0, 99.0]))
        store_closes({"AAA": [10.0, 10.0]})
        dividend = ActionRecord(symbol="AAA", kind=ActionKind.DIVIDEND, ex_date=date(2012, 1, 4), value=Decimal(1))
        actions_store(records=[dividend], source="test", recorded_at=RECORDED_AT)
        assert self.panel().sources == (BARS_WITH_DIVIDENDS,)
        assert self.panel().close[:, 0] == pytest.approx([99.0, 99.0])
