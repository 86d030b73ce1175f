"""Reported figures: stored once, restated without forgetting, and never known before they were published."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from apps.core.errors import InvalidInput, NotFound
from apps.core.models import User
from apps.marketdata.domain.fundamentals import known_at, known_series
from apps.marketdata.domain.vendor import FundamentalRecord
from apps.marketdata.models import Fundamental, Universe
from apps.marketdata.selectors.factors import factor_scores
from apps.marketdata.selectors.fundamentals import fundamentals_as_of
from apps.marketdata.services.factors import factors_compute
from apps.marketdata.services.fundamentals import fundamentals_import, fundamentals_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, store_closes
from apps.marketdata.tests.services.test_factors import AT, SHORT, SYMBOLS, walks
from tests.plugin import SHARED_DATA

START = datetime(2012, 1, 1, tzinfo=UTC)


def figure(
    value: float = 1.0, *, end: int = 0, published: int = 30, metric: str = "eps", symbol: str = "AAA", period: str = "year"
) -> FundamentalRecord:
    """A figure of a period that ended `end` days after 2012-01-01 and was published on day `published`."""
    said = START + timedelta(days=published)
    return FundamentalRecord(
        symbol=symbol, metric=metric, period=period, period_end=(START + timedelta(days=end)).date(), value=value, published_at=said
    )


records = st.lists(
    st.builds(lambda end, late, value: figure(value, end=end, published=end + late), st.integers(0, 20), st.integers(0, 20), st.floats(-9, 9)),
    max_size=12,
    unique_by=lambda record: (record.period_end, record.published_at),
)


@given(records, st.integers(-1, 45))
def test_what_is_known_is_the_newest_period_in_its_last_word(given_records, day) -> None:
    """Against brute force, for one moment and for a series of them."""
    moment = START + timedelta(days=day)
    published = [record for record in given_records if record.published_at <= moment]
    expected = max(published, key=lambda record: (record.period_end, record.published_at), default=None)
    assert known_at(given_records, moment) == ([] if expected is None else [expected])
    moments = np.array([(START + timedelta(days=n)).replace(tzinfo=None) for n in range(-1, day + 1)], "datetime64[us]")
    if len(moments):
        series = known_series(given_records, moments)
        assert np.isnan(series[-1]) if expected is None else series[-1] == expected.value


def test_figures_per_share_follow_a_split() -> None:
    moments = np.array(["2012-02-01", "2012-02-02", "2012-02-03"], "datetime64[us]")
    assert known_series([figure(4.0)], moments, np.array([2.0, 2.0, 1.0])).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.django_db
class TestStore:
    @pytest.fixture(autouse=True)
    def instrument(self) -> None:
        InstrumentFactory(symbol="AAA")

    def store(self, *given_records, source: str = "test", recorded_at: datetime = RECORDED_AT):
        return fundamentals_store(records=given_records, source=source, recorded_at=recorded_at)

    def known(self, day: int, **changed) -> list[float]:
        return [fact.value for fact in fundamentals_as_of(["AAA"], ["eps"], START + timedelta(days=day), **changed)]

    def test_a_restatement_counts_from_its_own_publication(self) -> None:
        assert self.store(figure(1.0), figure(1.2, published=60)).inserted == 2
        assert [self.known(day) for day in (29, 30, 59, 60)] == [[], [1.0], [1.0], [1.2]]

    def test_a_late_word_about_an_older_period_changes_nothing(self) -> None:
        self.store(figure(2.0, end=90, published=120), figure(1.0, end=0, published=150))
        assert self.known(160) == [2.0]

    def test_a_corrected_record_is_a_revision_and_the_same_one_is_nothing(self) -> None:
        self.store(figure(1.0))
        assert self.store(figure(1.0)).unchanged == 1
        assert self.store(figure(3.0), recorded_at=datetime(2026, 3, 1, tzinfo=UTC)).revised == 1
        assert self.known(40) == [3.0]
        assert self.known(40, known_at=RECORDED_AT) == [1.0]

    @pytest.mark.parametrize(
        ("bad", "field"),
        [
            (figure(metric="size"), "metric"),
            (figure(period="week"), "period"),
            (figure(float("nan")), "value"),
            (figure(end=40, published=30), "published_at"),
        ],
    )
    def test_what_no_report_can_have_said_is_refused_whole(self, bad, field) -> None:
        with pytest.raises(InvalidInput) as caught:
            self.store(figure(1.0), bad)
        assert caught.value.field == field
        assert not Fundamental.objects.exists()
        with pytest.raises(NotFound):
            self.store(figure(symbol="ZZZ"))

    def test_figures_are_only_added(self) -> None:
        self.store(figure())
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("update marketdata_fundamental set value = 0")

    def test_rest_gives_what_was_known(self) -> None:
        self.store(figure(1.0), figure(1.2, published=60))
        client = APIClient()
        client.force_authenticate(User.objects.create_user("tim"))
        assert [row["value"] for row in client.get("/api/v1/instruments/AAA/fundamentals").json()] == [1.2]
        assert [row["value"] for row in client.get("/api/v1/instruments/AAA/fundamentals/?as_of=2012-02-10T00:00:00Z&metric=eps").json()] == [1.0]
        assert client.get("/api/v1/instruments/AAA/fundamentals/?metric=size").status_code == 400
        refused = client.get("/api/v1/instruments/AAA/fundamentals/?as_of=2012-02-10T00:00:00")
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/as_of")

    def test_records_of_a_file_with_line_accurate_errors(self, tmp_path) -> None:
        path = tmp_path / "figures.csv"
        path.write_text(
            "symbol,metric,period,period_end,value,published_at\n"
            "AAA,eps,year,2011-12-31,1.5,2012-02-01T00:00:00+00:00\nZZZ,eps,year,2011-12-31,1,2012-02-01T00:00:00+00:00\n"
            "AAA,eps,year,2011-12-31,many,2012-02-01T00:00:00+00:00\nAAA,eps,year,2011-12-31,1,2012-02-01\n"
        )
        report = fundamentals_import(files=[path], format="records", source="test", recorded_at=RECORDED_AT)
        assert [(item.line, item.column) for item in report.rejected] == [(3, "symbol"), (4, "value"), (5, "published_at")]
        assert report.inserted == 1


@pytest.mark.django_db
def test_scores_use_figures_from_the_day_on_which_they_were_known() -> None:
    store_closes(walks(), asset_class="stock")
    for place, symbol in enumerate(SYMBOLS):
        pair = [
            figure(1.0 + place, published=45, symbol=symbol, metric="net_income"),
            figure(10.0, published=45, symbol=symbol, metric="total_equity", period="instant"),
        ]
        fundamentals_store(records=pair, source="test", recorded_at=RECORDED_AT)
    factors_compute(universe=Universe.STOCK, settings=SHORT, recorded_at=AT)
    before, after = (factor_scores(Universe.STOCK, day) for day in (date(2012, 2, 14), date(2012, 2, 15)))
    assert {row.proxies for row in before} == {("quality", "value")}
    assert {row.proxies for row in after} == {("value",)}
    assert [row.ticker for row in sorted(after, key=lambda row: row.quality or 0)] == list(SYMBOLS)


@pytest.mark.needs_shared_data
@pytest.mark.django_db
class TestRealFiles:
    def test_filings_of_the_sec(self) -> None:
        InstrumentFactory(symbol="IBM")
        file = SHARED_DATA / "fundamentals_sec_xbrl_2009q3_2010q1.csv.gz"
        report = fundamentals_import(files=[file], format="sec", source="SEC", recorded_at=RECORDED_AT)
        assert {item.code for item in report.rejected} == {"UNKNOWN_SYMBOL"}
        (revenue,) = [fact for fact in fundamentals_as_of(["IBM"], ["revenue"], datetime(2010, 3, 31, tzinfo=UTC)) if fact.period == "year"]
        assert revenue.value == pytest.approx(95.758e9)
        assert revenue.period_end == date(2009, 12, 31)

    def test_snapshots_of_key_statistics(self) -> None:
        InstrumentFactory(symbol="AAPL")
        file = SHARED_DATA / "fundamentals_sp500_snapshots_2012_2018.csv.gz"
        fundamentals_import(files=[file], format="snapshot", source="snapshots", recorded_at=RECORDED_AT)
        facts = {fact.metric: fact for fact in fundamentals_as_of(["AAPL"], None, datetime(2013, 1, 1, tzinfo=UTC))}
        assert facts["dividend_yield"].value < 0.2
        assert all(fact.published_at.year == 2012 for fact in facts.values())
