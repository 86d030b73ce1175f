"""The watch over targets and stops."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.alerts.models import Alert
from apps.alerts.selectors import open_alerts
from apps.alerts.selectors.links import AlertLink
from apps.alerts.services import alert_acknowledge, alert_raise
from apps.core import clock
from apps.core.postgres.session import open_session
from apps.core.roles import roles_synchronise
from apps.core.schedule import periodic_jobs
from apps.execution.models import Order
from apps.execution.services import rebalancing
from apps.execution.services.accounts import paper_account_create
from apps.execution.services.orders import order_cancel
from apps.execution.services.rebalance_watch import Watched, rebalances_watch
from apps.execution.tests.factories import Desk, make_limits, quote
from apps.execution.tests.services.rebalancing_desk import MARKET, held, make_fund, market, prices, targets
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.selectors.store import LATEST, redis_client
from apps.marketdata.tests.factories import store_closes
from apps.portfolios.models import RebalanceProposal
from apps.portfolios.services.rebalancing import VALIDITY
from apps.portfolios.services.targets import PlanTerms
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory

pytestmark = pytest.mark.django_db

NOTHING = Watched(proposed=(), executed=())
#: Drifts are of no interest where a stop is under test.
STOPS_ONLY = {"drift_check": "never"}


@pytest.fixture
def desk(db: None) -> Desk:
    return make_fund(slippage_bps="0", commission="0")


def vix(level: str, at: datetime = MARKET) -> None:
    InstrumentFactory(symbol="VIX", tradable=False)
    quote("VIX", level, market_time=at)


def look(later: timedelta = timedelta(0)) -> Watched:
    return rebalances_watch(at=clock.now() + later)


def reasons(found: Watched) -> list[str]:
    return [RebalanceProposal.objects.get(pk=pk).reason for pk in found.proposed]


class TestStops:
    @pytest.mark.parametrize(("level", "stop"), [("12", 90), ("15", 88), ("18", 88), ("25", 85), ("40", 82)])
    def test_the_regime_sets_the_stop(self, desk, level, stop):
        """Bought at 100: below 15 the stop is 10 %, then 12, from 20 on 15, from 30 on 18."""
        vix(level)
        desk.submit(quantity="10")
        prices(AAPL=str(stop))
        assert look() == NOTHING
        prices(AAPL=str(Decimal(stop) - Decimal("0.01")))
        assert reasons(look()) == ["stop_loss"]

    def test_the_history_of_closes_is_enough(self, desk):
        """The close of the session before, as vix/history has it; the running session's is not known yet."""
        store_closes({"VIX": [12.0, 40.0]}, adjustment=CloseKind.NONE, asset_class="index", start=MARKET.date() - timedelta(days=1))
        desk.submit(quantity="10")
        prices(AAPL="89")
        [proposal] = look().proposed
        assert RebalanceProposal.objects.get(pk=proposal).vix == 12

    def test_it_tells_the_members_once(self, desk):
        vix("18")
        desk.submit(quantity="10")
        prices(AAPL="80")
        assert len(look().proposed) == 1
        assert look(timedelta(minutes=1)) == NOTHING
        alert = Alert.objects.get(code="STOP_LOSS")
        assert alert.severity == "critical"
        assert "AAPL fell through the stop of 12 % (Normal Volatility, VIX 18.0)" in alert.title
        assert list(alert.receipts.values_list("user_id", flat=True)) == [desk.trader.pk]
        assert held(desk) == {"AAPL": 10}

    def test_it_tells_them_again_in_the_next_session(self, desk):
        vix("18")
        desk.submit(quantity="10")
        prices(AAPL="80")
        look()
        market(MARKET + timedelta(days=1))
        assert len(look(VALIDITY + timedelta(minutes=1)).proposed) == 1

    def test_a_plan_may_let_it_exit_at_once(self, desk):
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", terms=PlanTerms(stop_loss="exit", **STOPS_ONLY))
        prices(AAPL="80")
        found = look()
        assert found.proposed == found.executed
        assert held(desk) == {}
        assert look() == NOTHING

    def test_an_exit_that_is_refused_is_told(self, desk):
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", terms=PlanTerms(stop_loss="exit", **STOPS_ONLY))
        desk.submit(side="sell", order_type="limit", limit_price="130", quantity="10")
        prices(AAPL="80")
        assert look().executed == ()
        assert "still works" in Alert.objects.get(code="STOP_EXIT_FAILED").detail

    def test_an_exit_that_is_refused_is_tried_until_it_is_out(self, desk):
        """Told once, counted while it lasts even where somebody has acknowledged it, sold once, and its end is told."""
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", terms=PlanTerms(stop_loss="exit", **STOPS_ONLY))
        working = desk.submit(side="sell", order_type="limit", limit_price="130", quantity="10")
        prices(AAPL="80")
        assert len(look().proposed) == 1
        alert_acknowledge(user=desk.trader, alert_id=Alert.objects.get(code="STOP_EXIT_FAILED").pk, at=clock.now())
        assert [look(timedelta(minutes=minute)) for minute in (1, 2)] == [NOTHING, NOTHING]  # the pending proposal is used again
        assert Alert.objects.filter(code="STOP_LOSS").count() == 1
        assert Alert.objects.get(code="STOP_EXIT_FAILED").repeats.count() == 2
        order_cancel(user=desk.trader, order_id=working.pk, at=clock.now())
        found = look(timedelta(minutes=3))
        assert found.executed == (RebalanceProposal.objects.get().pk,)
        assert held(desk) == {}
        assert "AAPL is out" in Alert.objects.get(code="STOP_EXIT_DONE").title
        assert look(timedelta(minutes=4)) == NOTHING
        assert Order.objects.filter(side="sell", status="filled").count() == 1
        assert Alert.objects.filter(code="STOP_EXIT_DONE").count() == 1

    def test_an_exit_whose_proposal_is_no_longer_right_is_proposed_anew(self, desk):
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", terms=PlanTerms(stop_loss="exit", **STOPS_ONLY))
        working = desk.submit(side="sell", order_type="limit", limit_price="130", quantity="10")
        prices(AAPL="80")
        look()
        order_cancel(user=desk.trader, order_id=working.pk, at=clock.now())
        prices(AAPL="75")
        found = look(timedelta(minutes=1))
        assert found.proposed == found.executed
        assert held(desk) == {}
        assert RebalanceProposal.objects.count() == 2
        assert Alert.objects.filter(code="STOP_LOSS").count() == 1

    def test_an_exit_that_others_finished_is_told_too(self, desk):
        """The order that was in the way sold the position."""
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", terms=PlanTerms(stop_loss="exit", **STOPS_ONLY))
        working = desk.submit(side="sell", order_type="limit", limit_price="130", quantity="10")
        prices(AAPL="80")
        look()
        order_cancel(user=desk.trader, order_id=working.pk, at=clock.now())
        desk.submit(side="sell", quantity="10")
        assert look(timedelta(minutes=1)) == NOTHING
        assert "AAPL is out" in Alert.objects.get(code="STOP_EXIT_DONE").title
        look(timedelta(minutes=2))
        assert Alert.objects.filter(code="STOP_EXIT_DONE").count() == 1

    def test_an_exit_that_fails_does_not_let_the_whole_rebalance_through(self, desk):
        """The drift is proposed beside it; once the way is free the exit alone is executed."""
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", MSFT="0.5", terms=PlanTerms(stop_loss="exit"))
        working = desk.submit(side="sell", order_type="limit", limit_price="130", quantity="10")
        prices(AAPL="80")
        assert reasons(look()) == ["stop_loss", "drift_threshold"]
        assert look(timedelta(minutes=1)) == NOTHING
        order_cancel(user=desk.trader, order_id=working.pk, at=clock.now())
        [executed] = look(timedelta(minutes=2)).executed
        assert RebalanceProposal.objects.get(pk=executed).reason == "stop_loss"
        assert held(desk) == {}

    def test_a_stop_and_a_drift_are_each_told_once(self, desk):
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", MSFT="0.5")
        prices(AAPL="80")
        assert reasons(look()) == ["stop_loss", "drift_threshold"]
        assert [look(timedelta(minutes=minute)) for minute in (1, 2)] == [NOTHING, NOTHING]
        assert list(Alert.objects.order_by("id").values_list("code", flat=True)) == ["STOP_LOSS", "REBALANCE_DUE"]

    def test_a_session_is_told_once_that_its_exit_fails_and_the_next_one_again(self, desk):
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", terms=PlanTerms(stop_loss="exit", **STOPS_ONLY))
        desk.submit(side="sell", order_type="limit", limit_price="130", quantity="10", time_in_force="gtc")
        prices(AAPL="80")
        assert [len(look(minutes * timedelta(minutes=1)).proposed) for minutes in (0, 8, 16, 24)] == [1, 0, 1, 0]  # valid for 15 minutes
        market(MARKET + timedelta(days=1))
        look(timedelta(minutes=60))
        assert [alert.repeats.count() for alert in Alert.objects.filter(code="STOP_EXIT_FAILED").order_by("id")] == [3, 0]

    def test_an_exit_that_a_crash_cut_off_goes_on(self, desk, monkeypatch):
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", terms=PlanTerms(stop_loss="exit", **STOPS_ONLY))
        prices(AAPL="80")

        def dying(**fields: Any) -> Order:
            raise KeyboardInterrupt

        monkeypatch.setattr(rebalancing, "order_submit", dying)
        with pytest.raises(KeyboardInterrupt):
            look()
        monkeypatch.undo()
        found = look(timedelta(minutes=1))
        assert (found.proposed, found.executed) == ((), (RebalanceProposal.objects.get().pk,))
        assert held(desk) == {}

    def test_two_stops_that_come_and_go_are_each_told_once(self, desk):
        vix("18")
        desk.submit(quantity="10")
        desk.submit(symbol="MSFT", quantity="10")
        for aapl, msft, expected in [("80", "50", 1), ("100", "40", 1), ("80", "50", 0), ("80", "40", 0)]:
            prices(AAPL=aapl, MSFT=msft)
            assert len(look().proposed) == expected

    def test_a_plan_may_switch_it_off(self, desk):
        vix("18")
        desk.submit(quantity="10")
        targets(desk, AAPL="0.01", terms=PlanTerms(stop_loss="off", **STOPS_ONLY))
        prices(AAPL="80")
        assert look() == NOTHING

    def test_without_a_recent_vix_nobody_is_stopped_out(self, desk):
        vix("18", at=MARKET - timedelta(days=6))
        desk.submit(quantity="10")
        prices(AAPL="50")
        assert look() == NOTHING

    def test_a_closed_market_is_left_alone(self, desk):
        vix("18")
        desk.submit(quantity="10")
        prices(AAPL="50")
        market(MARKET.replace(hour=22))
        assert look() == NOTHING


class TestTargets:
    def test_a_drift_is_proposed_once_a_week(self, desk):
        targets(desk, AAPL="0.5")
        assert reasons(look()) == ["drift_threshold"]
        market(MARKET + timedelta(days=2))  # Friday
        assert look() == NOTHING
        market(MARKET + timedelta(days=5))  # Monday
        assert reasons(look()) == ["drift_threshold"]
        assert Alert.objects.filter(code="REBALANCE_DUE").count() == 2

    def test_its_alert_leads_to_the_proposal(self, desk):
        """In the inbox and in the toast; another alert of the portfolio leads to its page."""
        targets(desk, AAPL="0.5")
        look()
        alert_raise(
            code="OTHER",
            severity="info",
            title="other",
            subject=f"portfolio:{desk.portfolio.pk}",
            recipients=[desk.trader.pk],
            occurred_at=MARKET,
            recorded_at=clock.now(),
        )
        page = f"/portfolios/{desk.portfolio.pk}"
        links = {one.code: one.link for one in open_alerts(desk.trader)}
        assert links == {
            "REBALANCE_DUE": AlertLink(url=f"{page}?tab=rebalance#rebalance-now", label="Preview rebalance"),
            "OTHER": AlertLink(url=page, label="Show portfolio"),
        }
        client = Client()
        client.force_login(desk.trader)
        html = client.get("/alerts").content.decode()
        for link in links.values():
            assert f'href="{link.url}">{link.label}</a>' in html

    def test_a_drift_below_the_threshold_is_left_alone(self, desk):
        targets(desk, AAPL="0.05")
        assert look() == NOTHING

    def test_a_schedule_is_due_from_the_next_period_on(self, desk):
        targets(desk, AAPL="0.04", terms=PlanTerms(schedule="monthly"))
        assert look() == NOTHING
        market(MARKET + timedelta(days=29))  # the first of February
        assert reasons(look()) == ["scheduled"]
        assert look() == NOTHING

    def test_a_schedule_is_due_once_whatever_the_drift(self, desk):
        targets(desk, AAPL="0.5", terms=PlanTerms(drift_check="never", schedule="monthly"))
        market(MARKET + timedelta(days=29))
        assert reasons(look()) == ["scheduled"]
        assert look(timedelta(minutes=1)) == NOTHING
        assert Alert.objects.get(code="REBALANCE_DUE").title.endswith("a scheduled rebalance is due")

    def test_one_portfolio_s_trouble_does_not_stop_the_others(self, desk):
        InstrumentFactory(symbol="DARK")
        targets(desk, DARK="0.5")
        assert look() == NOTHING


def test_it_is_scheduled_on_the_queue_of_money() -> None:
    [job] = [job for job in periodic_jobs() if job.task == "execution.rebalance_watch"]
    assert (job.queue, job.every) == ("trade", timedelta(minutes=1))


class TestOthers:
    """What goes wrong in one portfolio leaves the stops of those after it held."""

    def test_a_fault_in_one_portfolio(self, desk):
        second = second_fund(desk)
        desk.submit(symbol="MSFT", quantity="10")
        redis_client().hset(LATEST, "MSFT", "{")
        assert stopped(look()) == [second.portfolio.pk]

    @pytest.mark.django_db(transaction=True)
    def test_one_that_others_have_locked(self):
        roles_synchronise()
        desk = make_fund()
        desk.submit(quantity="10")
        second = second_fund(desk)
        with connection.cursor() as cursor:
            cursor.execute("set lock_timeout = '50ms'")
        try:
            with open_session() as other:
                other.execute("begin")
                other.execute("select 1 from portfolios_portfolio where id = %s for update", [desk.portfolio.pk])
                assert stopped(look()) == [second.portfolio.pk]
        finally:
            connection.close()
        assert stopped(look(timedelta(minutes=1))) == [desk.portfolio.pk]


def second_fund(desk: Desk) -> Desk:
    """Another portfolio, whose AAPL has fallen through its stop."""
    portfolio = PortfolioFactory(owner=desk.trader, initial_capital=Decimal(100_000))
    make_limits(portfolio, at=clock.now())
    account = paper_account_create(portfolio_id=portfolio.pk, slippage_bps=Decimal(0), commission=Decimal(0))
    fund = Desk(trader=desk.trader, portfolio=portfolio, account=account, instrument=desk.instrument)
    vix("18")
    assert fund.submit(quantity="10").status == "filled"
    prices(AAPL="80")
    return fund


def stopped(found: Watched) -> list[int]:
    """The portfolios for which something was proposed."""
    return [RebalanceProposal.objects.get(pk=pk).portfolio_id for pk in found.proposed]
