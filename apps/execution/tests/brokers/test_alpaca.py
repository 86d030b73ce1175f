"""Alpaca: the library's real client over HTTP, against a server of ours which speaks its API."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from alpaca.trading.enums import OrderStatus

from apps.core.trading import OrderType, Side, TimeInForce, TradingMode
from apps.execution.brokers.alpaca import AccountMismatch, AlpacaBroker
from apps.execution.brokers.alpaca_line import LIVE_URL, PAPER_URL, AlpacaLine, AlpacaSettings
from apps.execution.brokers.alpaca_words import STATES, AlpacaState, alpaca_state, mode_of_number, moment, number, reference_of, side_of
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable
from apps.execution.tests.brokers.test_contract import StatementContract, executed, kinds, make_broker_order
from apps.execution.tests.gateways.alpaca import KEY, SECRET, AlpacaGateway

SINCE = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def gateway() -> Iterator[AlpacaGateway]:
    with AlpacaGateway() as running:
        yield running


def settings_of(gateway, **changes) -> AlpacaSettings:
    return replace(AlpacaSettings(key=KEY, secret=SECRET, url=gateway.url, stream=gateway.stream_url, timeout_seconds=60), **changes)


@pytest.fixture
def broker(gateway) -> Iterator[AlpacaBroker]:
    line = AlpacaLine(settings_of(gateway))
    yield AlpacaBroker(line=line, account=gateway.account, mode=TradingMode.PAPER)
    line.close()


class TestAlpacaBroker(StatementContract):
    @pytest.fixture(autouse=True)
    def at_alpaca(self, gateway, broker):
        self.gateway, self.adapter = gateway, broker

    def broker(self, price):
        if price is not None:
            self.gateway.price("AAPL", price)
        return self.adapter

    def submitted(self, broker, order):
        first = broker.submit(order)
        return broker.lookup(order) if first[0].kind.value == "new" else first

    def working(self, broker, order):
        broker.submit(replace(order, cumulative=Decimal(0)))
        if order.cumulative:
            self.gateway.fill(order.reference, f"{order.cumulative:f}", "90")


LIMIT = make_broker_order(order_type=OrderType.LIMIT, limit_price=Decimal(90))


class TestWords:
    def test_every_status_of_the_library_is_mapped(self):
        assert {status.value for status in OrderStatus} == set(STATES)

    def test_what_is_not_known_works(self):
        assert alpaca_state("something new") is AlpacaState.WORKING

    @pytest.mark.parametrize(
        ("told", "read"), [("1.5", "1.5"), ("100", "100"), (None, None), ("", None), ("0.1234565", "0.123456"), (12.5, "12.5"), ("NaN", None)]
    )
    def test_numbers_are_decimals(self, told, read):
        assert number(told) == (None if read is None else Decimal(read))

    def test_words(self):
        assert (side_of("sell_short"), side_of("buy")) == (Side.SELL, Side.BUY)
        assert reference_of("a/2") == reference_of("a") == "a"
        assert moment("2024-07-02T16:00:00.123456789Z") == datetime(2024, 7, 2, 16, 0, 0, 123456, tzinfo=UTC)
        assert (mode_of_number("PA3X"), mode_of_number("123456789")) == (TradingMode.PAPER, TradingMode.LIVE)


class TestTheOrder:
    @pytest.mark.parametrize("order_type", OrderType)
    def test_it_arrives_as_it_is(self, gateway, broker, order_type):
        order = make_broker_order(
            symbol="BRK.B",
            side=Side.SELL,
            quantity=Decimal("12.5"),
            order_type=order_type,
            limit_price=Decimal("101.25") if order_type.has_limit else None,
            stop_price=Decimal("99.75") if order_type.has_stop else None,
            trail_offset=Decimal("1.5") if order_type.has_trail else None,
        )
        assert kinds(broker.submit(order)) == ["new"]
        read = gateway.order("7")
        assert (read.symbol, read.side, read.qty, read.client_order_id) == ("BRK.B", "sell", Decimal("12.5"), "7")
        assert read.type == ("market" if order_type is OrderType.MARKET_ON_CLOSE else order_type.value)
        assert read.time_in_force == ("cls" if order_type is OrderType.MARKET_ON_CLOSE else "day")
        assert (read.limit_price, read.stop_price, read.trail_price) == (
            "101.25" if order_type.has_limit else None,
            "99.75" if order_type.has_stop else None,
            "1.5" if order_type.has_trail else None,
        )

    def test_what_alpaca_has_no_words_for_is_not_sent(self, gateway, broker):
        order = replace(LIMIT, time_in_force=TimeInForce.GTD, expire_at=datetime(2024, 12, 31, tzinfo=UTC))
        assert kinds(broker.submit(order)) == ["rejected"]
        assert gateway.orders == []

    def test_a_refusal_is_a_reject_with_its_reason(self, gateway, broker):
        gateway.refusal = "insufficient buying power"
        (report,) = broker.submit(LIMIT)
        assert (report.kind.value, report.reason) == ("rejected", "40310000: insufficient buying power")

    def test_the_end_waits_for_the_executions_that_it_speaks_of(self, gateway, broker):
        broker.submit(LIMIT)
        gateway.fill("7", "60", "90")
        gateway.end("7", "canceled")
        gateway.late_activities = True
        assert kinds(broker.lookup(LIMIT)) == ["new"]
        gateway.late_activities = False
        assert kinds(broker.lookup(LIMIT)) == ["new", "trade", "canceled"]

    @pytest.mark.parametrize(("status", "kind"), [("canceled", "canceled"), ("expired", "expired"), ("rejected", "rejected")])
    def test_ends(self, gateway, broker, status, kind):
        broker.submit(LIMIT)
        gateway.end("7", status)
        assert kinds(broker.lookup(LIMIT))[-1] == kind

    @pytest.mark.parametrize("status", [status for status, state in STATES.items() if state is AlpacaState.WORKING])
    def test_what_may_still_trade_works(self, gateway, broker, status):
        broker.submit(LIMIT)
        gateway.end("7", status)
        assert kinds(broker.lookup(LIMIT)) == ["new"]


class TestChanges:
    def test_what_has_traded_is_taken_off_and_the_two_are_one_order(self, gateway, broker):
        broker.submit(LIMIT)
        gateway.fill("7", "60", "90")
        order = replace(LIMIT, cumulative=Decimal(60))
        assert kinds(broker.replace(order, replace(order, limit_price=Decimal(91)))) == ["trade", "replaced"]
        assert [(one.client_order_id, one.qty, one.status) for one in gateway.orders] == [
            ("7", Decimal(100), "replaced"),
            ("7/1", Decimal(40), "new"),
        ]
        (working,) = broker.statement(SINCE).open_orders
        assert (working.reference, working.quantity, working.cumulative, working.limit_price) == ("7", Decimal(100), Decimal(60), Decimal(91))
        gateway.price("AAPL", "90.5")
        reports = broker.lookup(order)
        assert executed(reports) == [(Decimal(60), Decimal(90)), (Decimal(40), Decimal("90.5"))]
        assert {fill.reference for fill in broker.statement(SINCE).fills} == {"7"}
        assert kinds(broker.cancel(order))[-1] == "cancel_reject"

    def test_a_refused_change_leaves_the_order_as_it_was(self, gateway, broker):
        broker.submit(LIMIT)
        gateway.refusal = "not now"
        assert kinds(broker.replace(LIMIT, replace(LIMIT, limit_price=Decimal(91)))) == ["replace_reject"]
        assert gateway.order("7").limit_price == "90"

    def test_one_that_is_not_certain_yet_is_told_later(self, gateway, broker):
        broker.submit(LIMIT)
        gateway.first_status = "pending_new"
        changed = replace(LIMIT, limit_price=Decimal(91))
        assert kinds(broker.replace(LIMIT, changed)) == []
        gateway.order("7").status = "new"
        assert kinds(broker.reports(LIMIT, wanted=changed)) == ["new", "replaced"]


class TestFaults:
    def test_an_answer_that_is_lost_is_ambiguous_and_the_order_is_there_once(self, gateway, broker):
        gateway.faults.append("cut")
        with pytest.raises(BrokerTimeout):
            broker.submit(LIMIT)
        assert gateway.placed("7") == 1
        assert kinds(broker.lookup(LIMIT)) == ["new"]
        assert kinds(broker.submit(LIMIT)) == ["new"]  # and never a second time
        assert gateway.placed("7") == 1

    @pytest.mark.parametrize("fault", ["lost", 500, 502, 503, 504])
    def test_a_request_that_may_have_been_lost_is_ambiguous(self, gateway, broker, fault):
        gateway.faults.append(fault)
        with pytest.raises(BrokerTimeout):
            broker.submit(LIMIT)
        assert kinds(broker.lookup(LIMIT)) == ["rejected"]

    def test_silence_is_a_time_out(self, gateway):
        line = AlpacaLine(settings_of(gateway, timeout_seconds=0.2))
        gateway.faults.append("silent")
        with pytest.raises(BrokerTimeout):
            line.ask("GET", "/account")
        line.close()

    @pytest.mark.parametrize("fault", [429, 401])
    def test_what_certainly_did_nothing_is_not_made_again_by_the_library(self, gateway, broker, fault):
        gateway.faults.append(fault)
        before = len(gateway.requests)
        with pytest.raises(BrokerUnreachable):
            broker.submit(LIMIT)
        assert len(gateway.requests) == before + 1
        assert gateway.orders == []

    @pytest.mark.parametrize("fault", [400, 403, 422])
    def test_a_refusal_by_status_is_a_reject(self, gateway, broker, fault):
        gateway.faults.append(fault)
        assert kinds(broker.submit(LIMIT)) == ["rejected"]

    def test_nobody_listens(self):
        with AlpacaGateway() as gone:
            settings = settings_of(gone)
        with pytest.raises(BrokerUnreachable, match="cannot be reached"):
            AlpacaBroker(line=AlpacaLine(settings), account="PA3TESTS", mode=TradingMode.PAPER)


class TestWhoseAccount:
    @pytest.mark.parametrize(
        ("account", "mode", "url"),
        [
            ("PA3TESTS", TradingMode.LIVE, ""),
            ("123456789", TradingMode.PAPER, ""),
            ("PA9OTHER", TradingMode.PAPER, ""),
            ("PA3TESTS", TradingMode.PAPER, LIVE_URL),
            ("123456789", TradingMode.LIVE, PAPER_URL),
        ],
    )
    def test_paper_and_live_are_never_mixed_up(self, gateway, account, mode, url):
        with pytest.raises(AccountMismatch):
            AlpacaBroker(line=AlpacaLine(settings_of(gateway, **({"url": url} if url else {}))), account=account, mode=mode)

    def test_the_keys_are_not_shown(self, gateway):
        assert SECRET not in repr(settings_of(gateway))


def test_a_statement_knows_strangers_and_pages_of_executions(gateway, broker):
    broker.submit(replace(LIMIT, quantity=Decimal(1000)))
    for _ in range(230):
        gateway.fill("7", "1", "90")
    by_hand = gateway.stranger()
    statement = broker.statement(SINCE)
    assert len({fill.execution.execution_id for fill in statement.fills}) == 230
    assert {order.reference for order in statement.open_orders} == {"7", by_hand.client_order_id}
    assert statement.positions == {"AAPL": Decimal(230)}
    assert statement.cash == {"USD": Decimal(100_000) - 230 * 90}
