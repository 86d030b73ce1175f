"""Screens over stored bars: who is scored, as of when, with which facts; and saved queries."""

from datetime import UTC, date, datetime, time

import numpy as np
import pytest

from apps.core.errors import Conflict, DeskError, InvalidInput, NotFound, NotPermitted
from apps.core.models import User
from apps.marketdata.domain.factors import FactorSettings
from apps.marketdata.domain.indicators import compute
from apps.marketdata.domain.screening import query_parse
from apps.marketdata.domain.vendor import FundamentalRecord
from apps.marketdata.models import FeedState, Screen, Universe
from apps.marketdata.selectors.factors import factor_scores
from apps.marketdata.selectors.screens import ScreenResult, screen_get, screen_run, screens_visible
from apps.marketdata.services.factors import factors_compute
from apps.marketdata.services.fundamentals import fundamentals_store
from apps.marketdata.services.screens import screen_change, screen_delete, screen_save
from apps.marketdata.services.watchlists import watchlist_create
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_series

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 5, tzinfo=UTC)
DAY = date(2012, 5, 24)


@pytest.fixture
def ann() -> User:
    """Two instruments with 100 bars up to DAY, one with five of them, one that ended before, one without any."""
    up = make_series("UP", np.linspace(50, 100, 100))
    down = make_series("DOWN", np.linspace(100, 50, 100))
    store_series(up, down, make_series("NEW", [10.0] * 5, start=date(2012, 5, 18)), make_series("GONE", [10.0] * 50))
    InstrumentFactory(symbol="NONE", asset_class="etf")
    return User.objects.create_user("ann")


def run(text: str, user: User, universe: str = "all", day: date | None = DAY) -> ScreenResult:
    return screen_run(query=query_parse(text), universe=universe, user=user, now=NOW, day=day)


def symbols(result: ScreenResult) -> list[str]:
    return [row.symbol for row in result.rows]


class TestRunning:
    def test_matches_have_the_numbers_that_were_asked_for(self, ann: User) -> None:
        found = run("close > sma(20) and rsi(14) > 70", ann)
        assert symbols(found) == ["UP"]
        closes = np.linspace(50, 100, 100)
        assert found.rows[0].values == {
            "close": 100.0,
            "sma(20)": pytest.approx(compute("sma", {"close": closes})["sma"][-1]),
            "rsi(14)": pytest.approx(100.0),
        }

    def test_coverage_says_who_was_not_scored_and_why(self, ann: User) -> None:
        found = run("close > sma(20)", ann)
        assert found.missing == {"without a bar of the day": ("GONE", "NONE"), "without enough bars": ("NEW",)}
        assert found.coverage == "scored 2 of 5; 2 without a bar of the day: GONE, NONE; 1 without enough bars: NEW"
        assert run("close / (close - close) > 1", ann).missing["where it cannot be computed"] == ("DOWN", "NEW", "UP")
        assert run("factor.momentum > 0", ann).missing["without the facts"] == ("DOWN", "NEW", "UP")

    def test_a_day_is_looked_at_as_it_was(self, ann: User) -> None:
        found = run("close > 60", ann, day=date(2012, 2, 29))
        assert found.day == date(2012, 2, 29)
        assert symbols(found) == ["DOWN", "UP"]
        assert found.rows[1].values["close"] < 80

    def test_a_day_without_session_shows_the_session_before(self, ann: User) -> None:
        assert "DOWN" in symbols(run("close > 1", ann, day=date(2012, 5, 20)))

    def test_nothing_later_than_the_markets_time_is_looked_at(self, ann: User) -> None:
        FeedState.objects.create(
            name="replay", mode="replay", market_time=datetime(2012, 3, 1, 15, tzinfo=UTC), session=date(2012, 3, 1), updated_at=NOW
        )
        assert run("close > 1", ann, day=None).day == date(2012, 2, 29)
        assert run("close > 1", ann).day == date(2012, 2, 29)

    def test_the_universe_is_a_class_or_a_watchlist(self, ann: User) -> None:
        made = watchlist_create(owner=ann, name="mine", symbols=["UP", "NEW"], at=RECORDED_AT)
        assert symbols(run("close > 1", ann, f"watchlist:{made.pk}")) == ["UP", "NEW"]
        assert run("close > 1", ann, "etf").universe == 1
        with pytest.raises(NotFound):
            run("close > 1", User.objects.create_user("bob"), f"watchlist:{made.pk}")
        with pytest.raises(InvalidInput):
            run("close > 1", ann, "bonds")

    def test_factor_scores_are_those_of_the_last_date_before(self, ann: User) -> None:
        moves = np.random.default_rng(3).normal(0, 0.01, (4, 100))
        store_series(*(make_series(f"W{at}", 50 * np.exp(np.cumsum(row))) for at, row in enumerate(moves)))
        settings = FactorSettings(momentum=10, skip=2, risk=8, value=12, value_half_width=2, stale=1, least_names=3)
        factors_compute(universe=Universe.STOCK, settings=settings, recorded_at=RECORDED_AT)
        for day in (DAY, date(2012, 4, 30)):
            found = run("factor.rank = 1 and close > 0", ann, day=day)
            assert found.facts_of == {"stock": day}
            assert symbols(found) == [factor_scores(Universe.STOCK, day)[0].ticker]
        assert run("factor.rank = 1", ann, day=date(2012, 1, 4)).facts_of == {}

    def test_figures_count_from_their_publication_and_of_a_year_before_a_quarter(self, ann: User) -> None:
        def eps(value: float, period: str, published: date) -> FundamentalRecord:
            at = datetime.combine(published, time(12), UTC)
            return FundamentalRecord(symbol="UP", metric="eps", period=period, period_end=date(2012, 3, 31), value=value, published_at=at)

        records = [eps(2.0, "quarter", date(2012, 4, 10)), eps(10.0, "ttm", date(2012, 5, 2))]
        fundamentals_store(records=records, source="test", recorded_at=RECORDED_AT)
        text = "close / fundamental.eps < 20"
        assert run(text, ann).rows[0].values["fundamental.eps"] == 10.0
        assert run("fundamental.eps > 0", ann, day=date(2012, 5, 1)).rows[0].values == {"fundamental.eps": 2.0}
        assert run(text, ann, day=date(2012, 4, 5)).rows == ()


class TestSaved:
    def test_a_query_is_saved_as_it_was_written(self, ann: User) -> None:
        made = screen_save(owner=ann, name=" cheap ", query=" RSI(14)<30 ", at=NOW)
        assert (made.name, made.query) == ("cheap", "RSI(14)<30")
        assert screen_change(user=ann, screen_id=made.pk, query="close > 1").query == "close > 1"
        assert list(Screen.history.filter(id=made.pk).values_list("query", flat=True)) == ["close > 1", "RSI(14)<30"]

    def test_others_see_a_shared_query_only_and_do_not_change_it(self, ann: User) -> None:
        bob = User.objects.create_user("bob")
        own = screen_save(owner=ann, name="own", query="close > 1", at=NOW)
        shared = screen_save(owner=ann, name="shared", query="close > 1", shared=True, at=NOW)
        assert [one.name for one in screens_visible(bob)] == ["shared"]
        with pytest.raises(NotFound):
            screen_get(user=bob, screen_id=own.pk)
        with pytest.raises(NotPermitted):
            screen_delete(user=bob, screen_id=shared.pk)
        screen_delete(user=ann, screen_id=shared.pk)
        assert [one.name for one in screens_visible(ann)] == ["own"]

    @pytest.mark.parametrize(
        ("change", "error", "field"),
        [({"name": " "}, InvalidInput, "name"), ({"query": "close >"}, InvalidInput, "query"), ({"name": "taken"}, Conflict, "name")],
    )
    def test_refusals(self, ann: User, change: dict, error: type[DeskError], field: str) -> None:
        screen_save(owner=ann, name="taken", query="close > 1", at=NOW)
        made = screen_save(owner=ann, name="mine", query="close > 2", at=NOW)
        with pytest.raises(error) as refusal:
            screen_change(user=ann, screen_id=made.pk, **change)
        assert refusal.value.field == field
        with pytest.raises(error):
            screen_save(**{"owner": ann, "name": "third", "query": "close > 3", "at": NOW, **change})
        assert Screen.objects.count() == 2
