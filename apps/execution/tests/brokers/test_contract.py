"""What every broker adapter keeps: one class of tests, one subclass for each adapter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from apps.core.trading import OrderType, Side, TimeInForce
from apps.execution.brokers.paper import PaperBroker, PaperCosts, PaperFaults
from apps.execution.brokers.protocol import Broker, BrokerOrder, ExecutionReport, MarketPrice
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.states import OrderEventKind

NOON = datetime(2024, 7, 2, 16, tzinfo=UTC)


def make_broker_order(**fields) -> BrokerOrder:
    return BrokerOrder(
        **{
            "reference": "7",
            "symbol": "AAPL",
            "side": Side.BUY,
            "quantity": Decimal(100),
            "cumulative": Decimal(0),
            "order_type": OrderType.MARKET,
            "time_in_force": TimeInForce.DAY,
            **fields,
        }
    )


def kinds(reports: tuple[ExecutionReport, ...]) -> list[str]:
    return [report.kind.value for report in reports]


def executed(reports: tuple[ExecutionReport, ...]) -> list[tuple[Decimal, Decimal]]:
    return [(report.execution.quantity, report.execution.price) for report in reports if report.execution]


class BrokerContract:
    """Subclasses give `broker(price)`: an adapter whose market stands at that price for AAPL (None: no price).

    Where answers come later than calls return they also say how to wait for them (`submitted`), and how an order comes to work at the
    broker with so much of it traded (`working`).
    """

    def broker(self, price: str | None) -> Broker:
        raise NotImplementedError

    def submitted(self, broker: Broker, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """All that happens to an order that is submitted."""
        return broker.submit(order)

    def working(self, broker: Broker, order: BrokerOrder) -> None:
        """The order is at the broker, with `order.cumulative` traded."""

    def test_an_order_is_acknowledged_first(self):
        assert kinds(self.broker("100").submit(make_broker_order()))[0] == "new"

    def test_a_market_order_trades_all_it_wants(self):
        assert sum(quantity for quantity, _ in executed(self.submitted(self.broker("100"), make_broker_order()))) == 100

    def test_submitting_the_same_reference_again_executes_nothing_new(self):
        broker = self.broker("100")
        first, second = (self.submitted(broker, make_broker_order()) for _ in range(2))
        ids = [{report.execution.execution_id for report in reports if report.execution} for reports in (first, second)]
        assert ids[0]
        assert ids[1] <= ids[0]

    def test_two_orders_never_share_an_execution_id(self):
        broker = self.broker("100")
        ids = [r.execution.execution_id for ref in ("1", "2") for r in self.submitted(broker, make_broker_order(reference=ref)) if r.execution]
        assert len(ids) == len(set(ids))

    @pytest.mark.parametrize(("side", "limit"), [(Side.BUY, "99"), (Side.SELL, "101")])
    def test_a_limit_away_from_the_market_rests(self, side, limit):
        order = make_broker_order(side=side, order_type=OrderType.LIMIT, limit_price=Decimal(limit))
        assert kinds(self.submitted(self.broker("100"), order)) == ["new"]

    @pytest.mark.parametrize(("side", "limit"), [(Side.BUY, "101"), (Side.SELL, "99")])
    def test_a_limit_is_never_passed(self, side, limit):
        order = make_broker_order(side=side, order_type=OrderType.LIMIT, limit_price=Decimal(limit))
        ((_, price),) = executed(self.submitted(self.broker("100"), order))
        assert (price - Decimal(limit)) * side.sign <= 0

    @pytest.mark.parametrize("time_in_force", [TimeInForce.IOC, TimeInForce.FOK])
    def test_an_immediate_order_never_rests(self, time_in_force):
        order = make_broker_order(order_type=OrderType.LIMIT, limit_price=Decimal(99), time_in_force=time_in_force)
        assert kinds(self.submitted(self.broker("100"), order)) == ["new", "canceled"]

    def test_a_cancel_is_confirmed_while_something_is_left(self):
        broker, order = self.at_work("99")
        assert kinds(broker.cancel(order))[-1] == "canceled"

    def test_a_cancel_comes_too_late_when_nothing_is_left(self):
        broker, order = self.at_work("100")
        assert kinds(broker.cancel(order))[-1] == "cancel_reject"

    def test_a_change_is_confirmed_while_something_is_left(self):
        broker, order = self.at_work("99")
        assert "replaced" in kinds(broker.replace(order, replace(order, limit_price=Decimal(91))))

    def test_a_change_comes_too_late_when_nothing_is_left(self):
        broker, order = self.at_work("100")
        assert kinds(broker.replace(order, replace(order, quantity=Decimal(200))))[-1] == "replace_reject"

    def test_looking_an_order_up_executes_nothing_new(self):
        broker = self.broker("100")
        first, again = (
            {r.execution.execution_id for r in reports if r.execution}
            for reports in (self.submitted(broker, make_broker_order()), broker.lookup(make_broker_order()))
        )
        assert first
        assert again <= first

    def at_work(self, cumulative: str) -> tuple[Broker, BrokerOrder]:
        """A limit order away from the market of which so much has traded."""
        broker = self.broker("100")
        order = make_broker_order(order_type=OrderType.LIMIT, limit_price=Decimal(90), cumulative=Decimal(cumulative))
        self.working(broker, order)
        return broker, order


class StatementContract(BrokerContract):
    """For brokers with books of their own: what they remember of an order, and of an account."""

    def test_an_order_that_was_never_there_is_one_reject(self):
        assert kinds(self.broker("100").lookup(make_broker_order(reference="404"))) == ["rejected"]

    def test_a_look_up_tells_the_whole_story(self):
        broker, order = self.at_work("60")
        reports = broker.lookup(order)
        assert kinds(reports) == ["new", "trade"]
        assert sum(quantity for quantity, _ in executed(reports)) == 60

    def test_a_statement_has_orders_fills_positions_and_cash(self):
        broker, order = self.at_work("60")
        statement = broker.statement(datetime(2024, 1, 1, tzinfo=UTC))
        (working,) = statement.open_orders
        assert (working.reference, working.side, working.quantity, working.cumulative) == (order.reference, order.side, Decimal(100), Decimal(60))
        assert working.limit_price == Decimal(90)
        assert [(fill.reference, fill.symbol, fill.side) for fill in statement.fills] == [(order.reference, "AAPL", Side.BUY)]
        (execution,) = (fill.execution for fill in statement.fills)
        assert statement.positions == {"AAPL": Decimal(60)}
        assert statement.cash == {"USD": Decimal(100_000) - 60 * execution.price - execution.fee}

    @pytest.mark.parametrize("order_type", OrderType)
    def test_a_statement_tells_the_prices_of_what_works(self, order_type):
        order = make_broker_order(
            order_type=order_type,
            limit_price=Decimal(90) if order_type.has_limit else None,
            stop_price=Decimal(95) if order_type.has_stop else None,
            trail_offset=Decimal(2) if order_type.has_trail else None,
        )
        broker = self.broker(None)
        broker.submit(order)
        (working,) = broker.statement(datetime(2024, 1, 1, tzinfo=UTC)).open_orders
        assert (working.limit_price, working.stop_price, working.trail_offset) == (order.limit_price, order.stop_price, order.trail_offset)


class TestPaperBroker(BrokerContract):
    COSTS = PaperCosts(slippage_bps=Decimal(5), commission=Decimal(1))

    def broker(self, price):
        return PaperBroker(market=lambda _symbol: None if price is None else self.price(price), costs=self.COSTS)

    def price(self, price, volume=None):
        return MarketPrice(symbol="AAPL", price=Decimal(price), market_time=NOON, source="test", volume=volume)

    @pytest.mark.parametrize(("side", "expected"), [(Side.BUY, "100.05"), (Side.SELL, "99.95")])
    def test_a_market_order_pays_the_slippage(self, side, expected):
        assert executed(self.broker("100").submit(make_broker_order(side=side))) == [(Decimal(100), Decimal(expected))]

    def test_commission_is_charged_once_per_order(self):
        broker = self.broker("100")
        (first,) = (r.execution for r in broker.match(make_broker_order(), self.price("100", Decimal(40))) if r.execution)
        (second,) = (r.execution for r in broker.match(make_broker_order(cumulative=Decimal(40)), self.price("100")) if r.execution)
        assert (first.quantity, first.fee, second.quantity, second.fee) == (Decimal(40), Decimal(1), Decimal(60), Decimal(0))
        assert first.execution_id != second.execution_id

    def test_the_fill_says_what_it_was_matched_against(self):
        (execution,) = (r.execution for r in self.broker("100").submit(make_broker_order()) if r.execution)
        assert execution.quote == {"price": "100", "market_time": "2024-07-02T16:00:00Z", "source": "test", "slippage_bps": "5"}

    def quoted(self, last: str = "100", bid: str | None = "99", ask: str | None = "101", **fields) -> MarketPrice:
        """A last price with its book."""
        sides = {name: value and Decimal(value) for name, value in (("bid", bid), ("ask", ask))}
        return replace(self.price(last), quote_time=NOON + timedelta(seconds=1), **sides, **fields)

    @pytest.mark.parametrize(("side", "fill", "basis"), [(Side.BUY, "101.0505", "ask"), (Side.SELL, "98.9505", "bid")])
    def test_a_market_order_takes_the_other_side_of_the_book(self, side, fill, basis):
        (report,) = self.broker("100").match(make_broker_order(side=side), self.quoted())
        assert (report.execution.price, report.execution.market_time) == (Decimal(fill), NOON + timedelta(seconds=1))
        assert report.execution.quote == {
            "price": "101" if basis == "ask" else "99",
            "market_time": "2024-07-02T16:00:01Z",
            "source": "test",
            "slippage_bps": "5",
            "basis": basis,
            "last": "100",
        }

    @pytest.mark.parametrize(("bid", "ask"), [("101", "99"), ("100.5", "100.5"), ("99", None), ("99", "0")])
    def test_a_book_that_cannot_be_is_not_traded_against(self, bid, ask):
        assert executed(self.broker("100").match(make_broker_order(), self.quoted(bid=bid, ask=ask))) == [(Decimal(100), Decimal("100.05"))]

    @pytest.mark.parametrize(("side", "limit", "reached"), [(Side.BUY, "100.5", "100.40"), (Side.SELL, "99.5", "99.60")])
    def test_a_limit_waits_until_the_other_side_comes_to_it(self, side, limit, reached):
        order = make_broker_order(side=side, order_type=OrderType.LIMIT, limit_price=Decimal(limit))
        broker = self.broker("100")
        assert broker.match(order, self.quoted()) == ()  # the last price is through it already
        ((_, price),) = executed(broker.match(order, self.quoted(**{"ask" if side is Side.BUY else "bid": reached})))
        assert (price - Decimal(reached)) * side.sign > 0
        assert (price - Decimal(limit)) * side.sign <= 0

    @pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.TRAILING_STOP])
    def test_a_stop_is_triggered_by_the_last_price_and_trades_at_its_side(self, kind):
        terms = {"stop_price": Decimal(95)} if kind is OrderType.STOP else {"trail_offset": Decimal(5), "working_stop": Decimal(95)}
        order = make_broker_order(side=Side.SELL, order_type=kind, **terms)
        assert self.broker("100").match(order, self.quoted("96", "94", "97")) == ()
        reports = self.broker("100").match(order, self.quoted("95", "94", "97"))
        assert kinds(reports) == ["triggered", "trade"]
        assert executed(reports) == [(Decimal(100), Decimal("93.953"))]

    def test_a_stop_limit_meets_its_limit_at_its_side(self):
        order = make_broker_order(order_type=OrderType.STOP_LIMIT, stop_price=Decimal(100), limit_price=Decimal("100.5"))
        assert kinds(self.broker("100").match(order, self.quoted())) == ["triggered"]
        assert kinds(self.broker("100").match(replace(order, stop_triggered=True), self.quoted("103", "100", "100.5"))) == ["trade"]

    @pytest.mark.parametrize(
        ("quantity", "size", "taken", "filled"),
        [
            ("50", "80", "0", "50"),  # a small order does not notice
            ("100", "80", "0", "80"),
            ("100", "80", "30", "50"),
            ("100", "80", "80", None),
            ("100", "80.7", "0", "80.7"),  # displayed in fractions, as coins are
            ("2.5", "2", "0", "2"),
            ("100", None, "0", "100"),
        ],
    )
    def test_an_order_takes_what_is_displayed_and_rests(self, quantity, size, taken, filled):
        order = make_broker_order(quantity=Decimal(quantity), taken=Decimal(taken))
        reports = self.broker("100").match(order, self.quoted(ask_size=size and Decimal(size)))
        assert [trimmed(done) for done, _ in executed(reports)] == ([filled] if filled else [])
        assert all(report.execution.quote.get("displayed") == size for report in reports)

    @pytest.mark.parametrize(("share", "filled"), [("0.25", 20), (None, 100)])
    def test_the_account_says_which_share_of_it(self, share, filled):
        broker = PaperBroker(market=lambda _: None, costs=self.COSTS, displayed_share=share and Decimal(share))
        assert executed(broker.match(make_broker_order(), self.quoted(ask_size=Decimal(80))))[0][0] == filled

    @pytest.mark.parametrize(("time_in_force", "told"), [(TimeInForce.IOC, ["trade", "canceled"]), (TimeInForce.FOK, ["canceled"])])
    def test_an_immediate_order_sees_what_is_displayed(self, time_in_force, told):
        order = make_broker_order(time_in_force=time_in_force)
        assert kinds(self.broker("100").match(order, self.quoted(ask_size=Decimal(80)))) == told

    def test_with_latency_an_order_rests_first(self):
        broker = PaperBroker(market=lambda _: self.price("100"), costs=self.COSTS, faults=PaperFaults(latency=timedelta(milliseconds=1)))
        for fields in ({}, {"time_in_force": TimeInForce.IOC}):
            assert kinds(broker.submit(make_broker_order(**fields))) == ["new"]

    def test_rejects_follow_from_seed_and_client_order_id(self):
        faults = PaperFaults(reject_share=Decimal("0.3"), seed=7)
        ids = [str(UUID(int=number)) for number in range(2000)]
        refused = {one for one in ids if faults.rejects(one)}
        assert len(refused) == pytest.approx(600, abs=80)
        assert refused == {one for one in reversed(ids) if faults.rejects(one)}
        assert refused != {one for one in ids if replace(faults, seed=8).rejects(one)}
        assert not any(PaperFaults(seed=7).rejects(one) for one in ids)
        assert all(replace(faults, reject_share=Decimal(1)).rejects(one) for one in ids)
        broker = PaperBroker(market=lambda _: self.price("100"), costs=self.COSTS, faults=faults)
        for one in ids[:20]:
            order = make_broker_order(client_order_id=one)
            for reports in (broker.submit(order), broker.lookup(order)):
                assert kinds(reports) == (["rejected"] if one in refused else ["new", "trade"])

    def test_the_close_is_the_last_price(self):
        order = make_broker_order(order_type=OrderType.MARKET_ON_CLOSE)
        assert executed(self.broker("100").close(order, self.quoted(ask_size=Decimal(5)))) == [(Decimal(100), Decimal("100.05"))]

    def test_without_a_price_it_rests_or_dies(self):
        assert kinds(self.broker(None).submit(make_broker_order())) == ["new"]
        assert kinds(self.broker(None).submit(make_broker_order(time_in_force=TimeInForce.IOC))) == ["new", "canceled"]

    def test_a_partial_immediate_order_cancels_its_rest(self):
        order = make_broker_order(time_in_force=TimeInForce.IOC)
        assert kinds(self.broker("100").match(order, self.price("100", Decimal(40)))) == ["trade", "canceled"]

    def test_fill_or_kill_takes_all_or_nothing(self):
        order = make_broker_order(time_in_force=TimeInForce.FOK)
        assert kinds(self.broker("100").match(order, self.price("100", Decimal(40)))) == ["canceled"]
        assert kinds(self.broker("100").match(order, self.price("100", Decimal(100)))) == ["trade"]

    def test_a_stop_waits_for_its_price_and_then_trades_at_the_market(self):
        order = make_broker_order(side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal(95))
        broker = self.broker("100")
        assert kinds(broker.submit(order)) == ["new"]
        reports = broker.match(order, self.price("94"))
        assert kinds(reports) == ["triggered", "trade"]
        assert executed(reports) == [(Decimal(100), Decimal("93.953"))]

    def test_a_stop_limit_rests_after_its_stop_while_the_limit_is_away(self):
        order = make_broker_order(order_type=OrderType.STOP_LIMIT, stop_price=Decimal(105), limit_price=Decimal(106))
        broker = self.broker("100")
        assert kinds(broker.match(order, self.price("107"))) == ["triggered"]
        triggered = make_broker_order(order_type=OrderType.STOP_LIMIT, stop_price=Decimal(105), limit_price=Decimal(106), stop_triggered=True)
        assert executed(broker.match(triggered, self.price("105.5"))) == [(Decimal(100), Decimal("105.55275"))]

    def test_fractions_of_a_share_fill_exactly(self):
        order = make_broker_order(quantity=Decimal("0.123456"))
        assert executed(self.broker("100").submit(order))[0][0] == Decimal("0.123456")


def test_a_report_has_an_execution_exactly_when_it_reports_a_trade():
    with pytest.raises(ValueError, match="exactly when"):
        ExecutionReport(kind=OrderEventKind.TRADE)
