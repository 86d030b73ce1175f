"""Factor scores from closes in the database to rows in the database."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain.factors import FactorSettings
from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.models import FactorRun, FactorScore, Quarantine, Universe
from apps.marketdata.selectors.closes import BARS_WITH_DIVIDENDS
from apps.marketdata.selectors.factors import (
    factor_date_before,
    factor_history,
    factor_scores,
    first_factor_date,
    latest_factor_date,
    score_panel,
    universe_parse,
)
from apps.marketdata.services.corporate_actions import actions_store
from apps.marketdata.services.factors import FactorReport, factors_compute
from apps.marketdata.tests.factories import InstrumentFactory, make_series, store_closes, store_series

pytestmark = pytest.mark.django_db

SHORT = FactorSettings(momentum=10, skip=2, risk=8, value=12, value_half_width=2, stale=1, least_names=3)
AT = datetime(2026, 1, 3, tzinfo=UTC)
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")


def walks(rows: int = 40) -> dict[str, np.ndarray]:
    moves = np.random.default_rng(3).normal(0, 0.01, (rows, len(SYMBOLS)))
    return dict(zip(SYMBOLS, (np.exp(np.cumsum(moves, axis=0)) * 100).T, strict=True))


def compute(**changed) -> FactorReport:
    return factors_compute(**{"universe": Universe.ETF, "settings": SHORT, "recorded_at": AT, **changed})


class TestCompute:
    def test_every_date_with_a_rank_is_stored_with_what_it_was_made_of(self) -> None:
        store_closes(walks())
        report = compute()
        run = FactorRun.objects.get(pk=report.run)
        assert (report.members, report.scored, report.revised) == (4, 4, 0)
        assert FactorScore.objects.count() == report.inserted == run.inserted
        assert run.sources == dict.fromkeys(SYMBOLS, "closes of test closes")
        assert (len(run.dataset_fingerprint), len(run.code_version), run.parameters["momentum"]) == (64, 64, 10)
        rows = factor_scores(Universe.ETF, report.last)
        assert [row.rank for row in rows] == [1, 2, 3, 4]
        assert rows[0].composite > rows[1].composite
        assert rows[0].proxies == ("quality", "value")

    def test_a_second_computation_changes_nothing_and_leaves_no_run(self) -> None:
        store_closes(walks())
        first = compute()
        again = compute(start=first.first)
        assert (again.run, again.inserted, again.revised, again.unchanged) == (None, 0, 0, first.inserted)
        assert compute().unchanged == 4  # goes on from the last scored date
        assert FactorRun.objects.count() == 1

    def test_new_closes_are_scored_as_if_all_had_come_at_once(self) -> None:
        closes = walks()
        store_closes({symbol: values[:30] for symbol, values in closes.items()})
        compute()
        store_closes(closes)
        later = compute()
        assert (later.inserted, later.unchanged) == (40, 4)
        stored = score_panel(Universe.ETF).scores["composite"]
        fresh = compute(start=date(2012, 1, 3))
        assert (fresh.inserted, fresh.revised) == (0, 0)
        assert not np.isnan(stored).any()

    def test_a_corrected_close_makes_revisions_and_what_was_known_can_still_be_asked(self) -> None:
        store_closes(walks())
        before = compute()
        known = factor_scores(Universe.ETF, before.last)
        store_closes({"AAA": walks()["AAA"] * np.linspace(1, 3, 40)}, recorded_at=datetime(2026, 1, 4, tzinfo=UTC))
        after = compute(start=before.first, recorded_at=datetime(2026, 1, 5, tzinfo=UTC))
        assert after.revised > 0
        assert after.run != before.run
        assert factor_scores(Universe.ETF, before.last) != known
        assert factor_scores(Universe.ETF, before.last, as_of=AT) == known

    def test_an_instrument_without_closes_counts_as_not_scored(self) -> None:
        store_closes(walks())
        InstrumentFactory(symbol="NEW", asset_class="etf")
        assert (compute().members, compute().scored) == (5, 4)

    def test_nothing_to_score(self) -> None:
        with pytest.raises(NotFound, match="etf"):
            compute()
        InstrumentFactory(symbol="NEW", asset_class="etf")
        report = compute()
        assert (report.first, report.inserted) == (None, 0)
        with pytest.raises(InvalidInput, match="after"):
            compute(start=date(2012, 2, 1), end=date(2012, 1, 1))


class TestBars:
    """A universe whose closes come from bars and corporate actions."""

    @pytest.fixture(autouse=True)
    def bars(self) -> None:
        for symbol, values in walks().items():
            InstrumentFactory(symbol=symbol, asset_class="etf")
            store_series(make_series(symbol, values))

    def test_a_later_dividend_moves_all_prices_and_no_earlier_score(self) -> None:
        first = compute(end=date(2012, 2, 20))
        dividend = ActionRecord(symbol="AAA", kind=ActionKind.DIVIDEND, ex_date=date(2012, 2, 23), value=Decimal(1))
        actions_store(records=[dividend], source="test", recorded_at=AT)
        later = compute(start=first.first)
        assert (later.revised, later.unchanged) == (0, first.inserted)
        assert FactorRun.objects.get(pk=later.run).sources["AAA"] == BARS_WITH_DIVIDENDS

    def test_quarantined_bars_are_not_scored(self) -> None:
        Quarantine.objects.create(instrument_id=InstrumentFactory(symbol="AAA").pk, reason="wrong", from_date=date(2012, 2, 1), opened_at=AT)
        report = compute()
        assert report.scored == 3
        assert {row.ticker for row in factor_scores(Universe.ETF, report.last)} == {"BBB", "CCC", "DDD"}


class TestReading:
    @pytest.fixture(autouse=True)
    def scores(self) -> None:
        store_closes(walks())
        self.report = compute()

    def test_dates(self) -> None:
        last = self.report.last
        assert latest_factor_date() == latest_factor_date(Universe.ETF) == last
        assert latest_factor_date(Universe.STOCK) is None
        before = factor_date_before(Universe.ETF, last)
        assert before < last
        assert latest_factor_date(Universe.ETF, before) == before
        assert first_factor_date(Universe.ETF) < before

    def test_history_is_the_newest_dates_oldest_first(self) -> None:
        rows = factor_history("AAA", last=3)
        assert [row.date for row in rows] == sorted(row.date for row in rows)
        assert rows[-1].date == self.report.last
        assert factor_history("AAA", last=2, until=rows[0].date)[-1].date == rows[0].date
        InstrumentFactory(symbol="^X", asset_class="index")
        assert factor_history("^X", last=3) == []
        with pytest.raises(NotFound):
            factor_history("ZZZ", last=3)

    def test_universes_have_names(self) -> None:
        assert universe_parse("stock") is Universe.STOCK
        with pytest.raises(InvalidInput, match="etf, stock"):
            universe_parse("bonds")


@pytest.mark.parametrize(
    "statement", ["update marketdata_factorscore set rank = 1", "delete from marketdata_factorscore", "truncate marketdata_factorrun"]
)
def test_scores_are_only_added(statement) -> None:
    store_closes(walks())
    compute()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("bad", [{"rank": 0}, {"composite": float("nan")}, {"composite": float("inf")}, {"universe": 9}, {"proxies": 4}], ids=str)
def test_impossible_scores_are_refused(bad) -> None:
    good = {"momentum": 0.1, "quality": 0.1, "value": float("nan"), "volatility": 0.0, "composite": 0.1, "rank": 1, "proxies": 3, "missing": 16}
    key = {"universe": 1, "instrument_id": 1, "ts": "2012-01-03T00:00Z", "run_id": 1, "recorded_at": "2026-01-01T00:00Z"}
    FactorScore.objects.create(**good, **{**key, "instrument_id": 2})
    with pytest.raises(IntegrityError), transaction.atomic():
        FactorScore.objects.create(**{**good, **key, **bad})
