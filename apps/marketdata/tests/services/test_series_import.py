"""Reference series: files in, arrays out, each value as it was known."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.models import ReferencePoint, ReferenceSeries
from apps.marketdata.selectors.reference import reference_names, reference_series
from apps.marketdata.services.reference import columns_plan, fama_french_plan, period_end, series_import
from apps.marketdata.tests.factories import RECORDED_AT

pytestmark = pytest.mark.django_db

FRENCH = "date,mkt_rf,smb,hml,rf\n1926-07,2.96,-2.3,-2.87,0.22\n1926-08,2.64,-1.4,4.19,0.25\n"
SAID = {"unit": "fraction per year", "frequency": "D", "source": "US Treasury", "licence": "public domain"}


@pytest.fixture
def french(tmp_path) -> Path:
    path = tmp_path / "ff.csv"
    path.write_text(FRENCH)
    return path


def load(path: Path, **changed):
    return series_import(**{"file": path, "plan": fama_french_plan(path), "recorded_at": RECORDED_AT, **changed})


def test_fama_french_percents_become_fractions_at_the_months_end(french) -> None:
    report = load(french)
    assert (report.inserted, report.rejected) == (8, ())
    market = reference_series("ff.mkt_rf")
    assert market.value == pytest.approx([0.0296, 0.0264])
    assert market.ts.astype("datetime64[D]").tolist() == [date(1926, 7, 31), date(1926, 8, 31)]
    assert (market.unit, market.frequency) == ("fraction per month", "M")
    assert "French" in market.source
    assert reference_names() == ("ff.hml", "ff.mkt_rf", "ff.rf", "ff.smb")
    assert len(reference_series("ff.rf", start=date(1926, 8, 1))) == 1


def test_a_revision_leaves_what_was_known(french) -> None:
    load(french)
    french.write_text(FRENCH.replace("2.64", "2.70"))
    report = load(french, recorded_at=datetime(2026, 3, 1, tzinfo=UTC))
    assert (report.inserted, report.revised, report.unchanged) == (0, 1, 7)
    assert reference_series("ff.mkt_rf").value[-1] == pytest.approx(0.027)
    assert reference_series("ff.mkt_rf", as_of=RECORDED_AT).value[-1] == pytest.approx(0.0264)


def test_columns_become_series_and_an_empty_cell_is_no_value(tmp_path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("date,1month,10year\n2012-01-03,,0.0197\n2012-01-04,0.0001,0.02\n")
    report = series_import(file=path, plan=columns_plan(path, prefix="ust.", **SAID), recorded_at=RECORDED_AT)
    assert (report.inserted, report.rejected) == (3, ())
    assert reference_series("ust.1month").value.tolist() == [0.0001]
    with pytest.raises(InvalidInput, match="5year"):
        columns_plan(path, prefix="", columns=["5year"], **SAID)
    with pytest.raises(InvalidInput, match="already"):
        series_import(file=path, plan=columns_plan(path, prefix="ust.", **{**SAID, "unit": "percent"}), recorded_at=RECORDED_AT)


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        ("1926-09,x,0.1,0.1,0.1", "mkt_rf", "NOT_A_NUMBER"),
        ("1926-13,1,,,", "date", "NOT_A_TIME"),
        ("1926-08,1,,,", "date", "DUPLICATE"),
        ("1926-09,1", "", "MALFORMED_LINE"),
    ],
)
def test_a_bad_value_is_named_with_its_line_and_column(french, row, column, code) -> None:
    french.write_text(f"{FRENCH}{row}\n")
    report = load(french)
    assert [(item.line, item.column, item.code) for item in report.rejected] == [(4, column, code)]
    assert ReferencePoint.objects.count() == 8 + (3 if code == "NOT_A_NUMBER" else 0)


def test_strict_and_dry_run_store_nothing(french) -> None:
    assert load(french, dry_run=True).inserted == 8
    french.write_text(f"{FRENCH}1926-09,x,1,1,1\n")
    assert not load(french, strict=True).files[0].stored
    assert not ReferencePoint.objects.exists()
    assert not ReferenceSeries.objects.exists()


def test_what_is_no_such_file_is_refused(tmp_path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("date,a\n2012-01-03,1\n")
    with pytest.raises(InvalidInput, match="Mkt-RF"):
        fama_french_plan(path)
    with pytest.raises(InvalidInput) as caught:
        series_import(file=path, plan=columns_plan(path, prefix="", **{**SAID, "licence": ""}), recorded_at=RECORDED_AT)
    assert caught.value.field == "licence"
    with pytest.raises(NotFound):
        reference_series("nothing")


@pytest.mark.parametrize(
    ("text", "frequency", "day"),
    [
        ("1926-07", "M", date(1926, 7, 31)),
        ("192612", "M", date(1926, 12, 31)),
        ("1959Q1", "Q", date(1959, 3, 31)),
        ("2012-02-03", "M", date(2012, 2, 29)),
        ("2012-05-03", "Q", date(2012, 6, 30)),
        ("2012-05-03", "D", date(2012, 5, 3)),
        ("1959Q5", "Q", None),
        ("soon", "D", None),
    ],
)
def test_periods_stand_at_their_last_day(text, frequency, day) -> None:
    assert period_end(text, frequency) == day


def test_points_are_only_added(french) -> None:
    load(french)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("update marketdata_referencepoint set value = 0")
