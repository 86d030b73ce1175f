"""Proposing and executing rebalances on paper, through the ordinary gate."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted, RuleRefused, TradingHalted
from apps.core.locks import lease
from apps.core.roles import Role
from apps.execution.models import BrokerageAccount, Order
from apps.execution.services import rebalancing
from apps.execution.services.rebalancing import ChosenTrade, portfolio_rebalance, rebalance_execute
from apps.execution.tests.factories import Desk, make_user, quote
from apps.execution.tests.services.rebalancing_desk import MARKET, held, make_fund, market, prices, targets
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.domain.rebalancing import RebalanceStatus
from apps.portfolios.models import RebalanceProposal
from apps.portfolios.selectors.drift import portfolio_drift
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.targets import stopped_symbols, target_plan
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.services.rebalancing import VALIDITY, Ending, Proposed, rebalance_end
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory
from apps.risk.services.state import trading_halt

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(db: None) -> Desk:
    return make_fund()


def propose(desk: Desk, *, force: bool = False) -> Proposed:
    return portfolio_rebalance(user=desk.trader, portfolio_id=desk.portfolio.pk, force=force, at=clock.now())


def execute(desk: Desk, **fields: Any) -> rebalancing.Execution:
    return rebalance_execute(**{"user": desk.trader, "portfolio_id": desk.portfolio.pk, "clock": clock.now, **fields})


def trades(proposal: RebalanceProposal | None) -> list[tuple[str, str, int]]:
    assert proposal is not None
    return [(t.side, t.instrument.symbol, int(t.quantity)) for t in proposal.trades.select_related("instrument").order_by("number")]


def statuses(proposal: RebalanceProposal) -> list[str]:
    return list(proposal.events.order_by("id").values_list("status", flat=True))


class TestPropose:
    def test_a_drift_above_the_threshold_is_proposed_with_its_numbers(self, desk):
        targets(desk, AAPL="0.5", MSFT="0.3")
        found = propose(desk).proposal
        assert trades(found) == [("buy", "AAPL", 500), ("buy", "MSFT", 600)]
        assert (found.reason, found.session, found.equity) == ("drift_threshold", MARKET.date(), 100_000)
        assert (found.max_drift, found.total_drift, found.turnover) == (Decimal("0.5"), Decimal("0.8"), Decimal("0.4"))
        assert found.estimated_cost == 42  # 1 for each, and 5 bps of 80,000
        assert found.cash_after == 100_000 - 80_000 - 42
        trade = found.trades.get(number=1)
        assert (trade.price, trade.price_time, trade.value, trade.weight_after) == (100, MARKET, 50_000, Decimal("0.5"))
        assert statuses(found) == ["pending"]

    def test_a_small_drift_is_no_reason_unless_it_is_forced(self, desk):
        targets(desk, AAPL="0.04")
        nothing = propose(desk)
        assert nothing.proposal is None
        assert nothing.why == "the largest drift is 4.00 %, not above the threshold of 5.00 %"
        forced = propose(desk, force=True).proposal
        assert (forced.reason, trades(forced)) == ("forced", [("buy", "AAPL", 40)])

    def test_a_sale_says_what_its_lots_earned(self, desk):
        desk.submit(quantity="100")
        prices(AAPL="110")
        targets(desk, MSFT="0.1")
        sale = propose(desk).proposal.trades.get(side="sell")
        assert sale.reason == "no_target"
        cost = 100 * Decimal("100.05") + 1
        assert sale.realised == sale.realised_short_term == Decimal(11_000) - Decimal("5.5") - 1 - cost

    def test_without_targets_or_a_price_nothing_is_proposed(self, desk):
        with pytest.raises(RuleRefused, match="has no targets"):
            propose(desk)
        InstrumentFactory(symbol="DARK")
        targets(desk, DARK="0.1")
        with pytest.raises(RuleRefused, match="no price of DARK"):
            propose(desk)
        assert not RebalanceProposal.objects.exists()

    def test_only_who_may_trade_proposes(self, desk):
        targets(desk, AAPL="0.5")
        viewer = make_user("viewer", Role.TRADER)
        with pytest.raises(NotFound):
            portfolio_rebalance(user=viewer, portfolio_id=desk.portfolio.pk, force=False, at=clock.now())
        membership_grant(portfolio_id=desk.portfolio.pk, user_id=viewer.pk, role="viewer")
        with pytest.raises(NotPermitted):
            portfolio_rebalance(user=viewer, portfolio_id=desk.portfolio.pk, force=False, at=clock.now())


class TestExecute:
    def test_it_books_fills_and_says_what_they_cost(self, desk):
        targets(desk, AAPL="0.5", MSFT="0.3")
        proposal = propose(desk).proposal
        done = execute(desk)
        assert held(desk) == {"AAPL": 500, "MSFT": 600}
        assert [order.status for order in done.orders] == ["filled", "filled"]
        assert statuses(proposal) == ["pending", "executing", "executed"]
        assert (done.ending.num_trades, done.ending.total_cost, done.ending.detail) == (2, 42, "")
        assert done.ending.user == desk.trader
        assert {order.note for order in done.orders} == {f"rebalance {proposal.pk}: drift"}

    def test_sales_pay_for_purchases(self, desk):
        targets(desk, AAPL="0.95")
        propose(desk)
        execute(desk)
        targets(desk, MSFT="0.95")
        assert trades(propose(desk).proposal)[0] == ("sell", "AAPL", 950)
        done = execute(desk)
        assert [order.side for order in sorted(done.orders, key=lambda order: order.pk)] == ["sell", "buy"]
        assert done.ending.status == "executed"
        assert "AAPL" not in held(desk)
        assert holdings(desk.portfolio.pk).cash >= 0

    def test_a_proposal_is_executed_once(self, desk):
        targets(desk, AAPL="0.5")
        proposal = propose(desk).proposal
        execute(desk)
        with pytest.raises(Conflict, match="executed already"):
            execute(desk, proposal_id=proposal.pk)
        assert Order.objects.count() == 1

    def test_while_somebody_executes_it_nobody_else_does(self, desk):
        targets(desk, AAPL="0.5")
        proposal = propose(desk).proposal
        with lease(f"rebalance:{proposal.pk}"), pytest.raises(Conflict, match="already running"):
            execute(desk)
        assert statuses(proposal) == ["pending"]

    def test_what_a_crash_cut_off_goes_on_and_doubles_nothing(self, desk, monkeypatch):
        targets(desk, AAPL="0.5", MSFT="0.3")
        proposal = propose(desk).proposal
        submit, sent = rebalancing.order_submit, []

        def dying(**fields: Any) -> Order:
            if sent:
                raise KeyboardInterrupt
            sent.append(submit(**fields))
            return sent[0]

        monkeypatch.setattr(rebalancing, "order_submit", dying)
        with pytest.raises(KeyboardInterrupt):
            execute(desk)
        assert (held(desk), statuses(proposal)) == ({"AAPL": 500}, ["pending", "executing"])
        monkeypatch.undo()
        done = execute(desk)
        assert (held(desk), done.ending.status) == ({"AAPL": 500, "MSFT": 600}, "executed")
        assert Order.objects.count() == 2

    def test_chosen_trades_alone_are_sent(self, desk):
        targets(desk, AAPL="0.5", MSFT="0.3")
        propose(desk)
        done = execute(desk, chosen=[ChosenTrade(symbol="MSFT", side="buy", quantity=Decimal(600))])
        assert held(desk) == {"MSFT": 600}
        assert (done.ending.status, done.ending.excluded) == ("executed", ["AAPL"])

    @pytest.mark.parametrize("chosen", [[], [ChosenTrade(symbol="AAPL", side="buy", quantity=Decimal(501))]])
    def test_trades_that_are_not_the_proposal_s_are_refused(self, desk, chosen):
        targets(desk, AAPL="0.5")
        proposal = propose(desk).proposal
        with pytest.raises(InvalidInput) as refused:
            execute(desk, chosen=chosen)
        assert refused.value.field == "trades"
        assert statuses(proposal) == ["pending"]

    def test_a_denied_order_leaves_the_rest(self):
        desk = make_fund(position_value="40000")
        targets(desk, AAPL="0.5", MSFT="0.3")
        propose(desk)
        done = execute(desk)
        assert held(desk) == {"MSFT": 600}
        assert done.ending.status == "partial"
        assert "POSITION_VALUE_LIMIT" in done.ending.detail

    def test_where_nothing_trades_it_has_failed(self):
        desk = make_fund(position_value="10")
        targets(desk, AAPL="0.5")
        propose(desk)
        done = execute(desk)
        assert (done.ending.status, done.ending.num_trades, done.ending.total_cost) == ("failed", 0, 0)

    def test_purchases_are_cut_to_the_cash_that_is_there(self, desk):
        targets(desk, AAPL="1")
        [(_, _, proposed)] = trades(propose(desk).proposal)
        prices(AAPL="101")
        done = execute(desk)
        assert held(desk)["AAPL"] < proposed
        assert done.ending.status == "partial"
        assert f"of {proposed}, the cash did not reach for more" in done.ending.detail
        assert 0 <= holdings(desk.portfolio.pk).cash < 200

    @pytest.mark.parametrize("price", ["100", "99.91", "33.37", "7.01"])
    def test_all_that_is_there_is_invested_within_the_gate_s_margins(self, desk, price):
        prices(AAPL=price)
        targets(desk, AAPL="1")
        propose(desk)
        assert execute(desk).ending.status == "executed"
        assert 0 <= holdings(desk.portfolio.pk).cash < 200

    def test_a_halt_stops_it_before_anything_is_sent(self, desk):
        targets(desk, AAPL="0.5")
        proposal = propose(desk).proposal
        trading_halt(portfolio_id=desk.portfolio.pk, user=make_user("officer", Role.RISK), reason="drill", at=clock.now())
        with pytest.raises(TradingHalted, match="drill"):
            execute(desk)
        assert (statuses(proposal), Order.objects.count()) == (["pending"], 0)

    def test_a_live_account_is_not_rebalanced_at_once(self, desk):
        targets(desk, AAPL="0.5")
        propose(desk)
        BrokerageAccount.objects.update(broker="ib", mode="live", number="U1234567")
        with pytest.raises(RuleRefused, match="live"):
            execute(desk)

    def test_another_portfolio_s_proposal_does_not_exist(self, desk):
        targets(desk, AAPL="0.5")
        proposal = propose(desk).proposal
        other = PortfolioFactory(owner=desk.trader)
        with pytest.raises(NotFound):
            execute(desk, portfolio_id=other.pk, proposal_id=proposal.pk)


def price_moves(desk: Desk) -> None:
    prices(AAPL="102.01")


def position_changes(desk: Desk) -> None:
    desk.submit(quantity="1")


def order_works(desk: Desk) -> None:
    desk.submit(order_type="limit", limit_price="90", quantity="1")


def targets_change(desk: Desk) -> None:
    targets(desk, AAPL="0.6")


class TestStale:
    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (price_moves, "the price of AAPL has moved by 2.01 %, more than 2.00 %"),
            (position_changes, "the position in AAPL has changed"),
            (order_works, "an order in AAPL still works"),
            (targets_change, "the targets have been changed"),
        ],
    )
    def test_it_is_refused_with_the_reason(self, desk, change: Callable[[Desk], None], text: str):
        targets(desk, AAPL="0.5")
        proposal = propose(desk).proposal
        change(desk)
        before = Order.objects.count()
        with pytest.raises(Conflict, match=text):
            execute(desk)
        assert (statuses(proposal), Order.objects.count()) == (["pending"], before)

    def test_it_expires(self, desk):
        targets(desk, AAPL="0.5")
        propose(desk)
        later = clock.now() + VALIDITY + timedelta(seconds=1)
        with pytest.raises(Conflict, match="it was valid until"):
            execute(desk, clock=lambda: later)

    def test_an_old_price_is_refused_before_anything_is_sent(self, desk):
        targets(desk, AAPL="0.5")
        propose(desk)
        later = clock.now() + timedelta(seconds=40)
        with pytest.raises(Conflict, match=r"the price of AAPL is 4\d s old"):
            execute(desk, clock=lambda: later)
        assert not Order.objects.exists()

    def test_a_price_within_the_tolerance_is_traded(self, desk):
        targets(desk, AAPL="0.5")
        propose(desk)
        prices(AAPL="102")
        assert execute(desk).ending.status == "executed"


class TestStops:
    @pytest.fixture
    def fallen(self, desk) -> Desk:
        """500 AAPL bought at 100.052, with VIX at 18: the stop is 12 % below."""
        InstrumentFactory(symbol="VIX", tradable=False)
        quote("VIX", "18", market_time=MARKET)
        targets(desk, AAPL="0.5", MSFT="0.3")
        propose(desk)
        execute(desk)
        prices(AAPL="88")
        return desk

    def test_a_breach_is_proposed_alone(self, fallen):
        found = propose(fallen).proposal
        assert (found.reason, trades(found)) == ("stop_loss", [("sell", "AAPL", 500)])
        assert (found.vix, found.vix_regime, found.stop_threshold) == (18, "Normal Volatility", Decimal("0.12"))
        assert found.trades.get().drawdown < Decimal("-0.12")

    def test_at_the_stop_is_not_through_it(self, fallen):
        prices(AAPL="88.05")
        assert propose(fallen).proposal is None

    def test_what_a_stop_sold_is_not_bought_back_until_the_targets_are_set_anew(self, fallen):
        propose(fallen)
        execute(fallen)
        assert "AAPL" not in held(fallen)
        view = portfolio_drift(fallen.portfolio, market=market_clock(clock.now()))
        assert [(one.symbol, one.stopped, one.target_weight) for one in view.positions if one.symbol == "AAPL"] == [("AAPL", True, 0)]
        again = propose(fallen, force=True).proposal
        assert again is None or "AAPL" not in [symbol for _, symbol, _ in trades(again)]
        targets(fallen, AAPL="0.5", MSFT="0.3")  # the same ones
        assert ("buy", "AAPL") in [(side, symbol) for side, symbol, _ in trades(propose(fallen).proposal)]

    def test_what_was_left_out_of_a_stop_keeps_its_target(self, fallen):
        """The trader unticks the stop's sale and executes the rest."""
        targets(fallen, AAPL="0.5")
        found = propose(fallen, force=True).proposal
        kept = [trade for trade in found.trades.select_related("instrument") if trade.instrument.symbol != "AAPL"]
        assert len(kept) < found.trades.count()
        execute(fallen, chosen=[ChosenTrade(symbol=trade.instrument.symbol, side=trade.side, quantity=trade.quantity) for trade in kept])
        assert stopped_symbols(target_plan(fallen.portfolio.pk, MARKET.date())) == frozenset()

    def test_a_stop_whose_sale_was_not_sent_keeps_its_target(self, fallen, monkeypatch):
        targets(fallen, AAPL="0.5")
        propose(fallen, force=True)

        def refusing(**fields: Any) -> Order:
            if fields["intent"].side == "sell" and fields["intent"].symbol == "AAPL":
                raise RuleRefused("not today")
            return submit(**fields)

        submit = rebalancing.order_submit
        monkeypatch.setattr(rebalancing, "order_submit", refusing)
        assert execute(fallen).ending.status == "partial"
        assert stopped_symbols(target_plan(fallen.portfolio.pk, MARKET.date())) == frozenset()

    def test_a_stop_that_sold_only_after_its_execution_had_ended_is_stopped_out(self, fallen, monkeypatch):
        """As through a broker, which fills later than at once."""
        propose(fallen)
        submit, late = rebalancing.order_submit, []
        monkeypatch.setattr(rebalancing, "order_submit", lambda **fields: late.append(fields))
        with pytest.raises(AttributeError):
            execute(fallen)
        monkeypatch.undo()
        rebalance_end(
            proposal=RebalanceProposal.objects.latest("id"),
            ending=Ending(status=RebalanceStatus.FAILED, trades=0, cost=Decimal(0)),
            user_id=None,
            at=clock.now(),
        )
        [fields] = late
        submit(**fields)
        assert stopped_symbols(target_plan(fallen.portfolio.pk, MARKET.date())) == {"AAPL"}

    def test_an_old_vix_stops_nothing(self, fallen):
        market(MARKET + timedelta(days=6))
        assert propose(fallen).proposal is None
