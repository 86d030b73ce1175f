"""Interactive Brokers: the library's real client over a socket, against a gateway of ours which speaks the TWS protocol."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import Conflict
from apps.core.trading import OrderType, Side, TimeInForce, TradingMode
from apps.execution.brokers import ib_words
from apps.execution.brokers.ib import GatewayMismatch, IbBroker, values_of
from apps.execution.brokers.ib_line import GatewaySettings, IbLine
from apps.execution.brokers.ib_words import IbState, Meaning, execution_parts, ib_state, meaning_of, mode_of_number, number
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable
from apps.execution.tests.brokers.test_contract import StatementContract, executed, kinds, make_broker_order
from apps.execution.tests.gateways.ib import IbGateway

ACCOUNT = "DU1234567"


@pytest.fixture
def gateway() -> Iterator[IbGateway]:
    with IbGateway(accounts=(ACCOUNT,)) as running:
        yield running


@pytest.fixture
def line(gateway) -> Iterator[IbLine]:
    opened = IbLine(GatewaySettings(host="127.0.0.1", port=gateway.port, client_id=7, timeout_seconds=60))
    opened.connect()
    yield opened
    opened.close()


@pytest.fixture
def broker(line) -> IbBroker:
    return IbBroker(line=line, account=ACCOUNT, mode=TradingMode.PAPER)


def until(broker, order, kind):
    """The order's reports once one of this kind is among them."""
    assert broker.line.wait(60, until=lambda book: kind in kinds(broker_reports(broker, book, order)))
    return broker.reports(order)


def broker_reports(_broker, book, order):
    from apps.execution.brokers.ib_book import reports_of

    picture = book.orders.get(order.reference)
    return reports_of(picture, order) if picture else ()


class TestIbBroker(StatementContract):
    @pytest.fixture(autouse=True)
    def at_the_gateway(self, gateway, broker):
        self.gateway, self.adapter = gateway, broker

    def broker(self, price):
        if price is not None:
            self.gateway.price("AAPL", price)
        return self.adapter

    def submitted(self, broker, order):
        broker.submit(order)
        at_gateway = self.gateway.order(order.reference)
        if at_gateway.status in ("Filled", "Cancelled"):
            until(broker, order, "trade" if at_gateway.filled else "canceled")
        return tuple(report for report in broker.reports(order) if report.kind.value in ("new", "trade", "canceled"))

    def working(self, broker, order):
        broker.submit(order)
        self.gateway.fill(order.reference, str(order.cumulative), "90")
        until(broker, order, "trade")


class TestWords:
    def test_every_status_of_the_library_has_a_meaning(self):
        from ib_insync.order import OrderStatus

        words = {word for word in vars(OrderStatus).values() if isinstance(word, str) and word == getattr(OrderStatus, word, None)}
        assert len(words) == 9
        assert words == set(ib_words.STATES)
        assert {word for word in words if ib_state(word) in (IbState.ENDED, IbState.FILLED)} == OrderStatus.DoneStates

    def test_what_is_not_known_may_still_trade(self):
        assert ib_state("SomethingNew") is IbState.WORKING
        assert ib_state("") is IbState.UNANSWERED

    @pytest.mark.parametrize(
        ("code", "meaning"),
        [
            (201, Meaning.REFUSED),
            (103, Meaning.REFUSED),
            (202, Meaning.CANCELLED),
            (399, Meaning.NOTE),
            (2104, Meaning.NOTE),
            (2158, Meaning.NOTE),
            (104, Meaning.CHANGE_REFUSED),
            (105, Meaning.CHANGE_REFUSED),
            (135, Meaning.NOT_FOUND),
            (136, Meaning.CANCEL_REFUSED),
            (1100, Meaning.LINE_LOST),
            (1101, Meaning.RESTORED_WITHOUT_DATA),
            (1102, Meaning.RESTORED),
            (99999, Meaning.NOTE),
        ],
    )
    def test_error_codes(self, code, meaning):
        assert meaning_of(code) is meaning

    @pytest.mark.parametrize("nothing", [1.7976931348623157e308, 2147483647, "1.7976931348623157E308", float("inf"), float("nan"), "", None])
    def test_sentinels_are_nothing(self, nothing):
        assert number(nothing) is None

    @given(st.decimals(min_value="0.000001", max_value="99999999", places=6))
    def test_numbers_survive_the_way_to_a_float_and_back(self, value):
        assert number(float(value)) == value

    @given(st.from_regex(r"[A-Z]{1,2}[0-9]{5,9}", fullmatch=True), st.sampled_from(list(TradingMode)))
    def test_no_account_gets_an_adapter_of_the_other_mode(self, account, mode):
        line = IbLine.__new__(IbLine)  # never connected: the check needs the gateway's accounts only
        line.accounts, line.settings = (account,), GatewaySettings(host="h", port=1, client_id=1)
        assert mode_of_number(account) is (TradingMode.PAPER if account.startswith(("DU", "DF")) else TradingMode.LIVE)
        if mode_of_number(account) is mode:
            assert IbBroker(line=line, account=account, mode=mode).mode is mode
        else:
            with pytest.raises(GatewayMismatch):
                IbBroker(line=line, account=account, mode=mode)

    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("20241231-21:00:00", datetime(2024, 12, 31, 21, tzinfo=UTC)),
            ("20241231 16:00:00 US/Eastern", datetime(2024, 12, 31, 21, tzinfo=UTC)),
            ("20241231 16:00:00", None),
            ("20241231 16:00:00 Nowhere/Land", None),
            ("", None),
        ],
    )
    def test_the_end_of_an_order_in_the_words_of_tws(self, text, moment):
        assert ib_words.moment_from_ib(text) == moment

    def test_a_correction_shares_the_base_of_the_execution(self):
        assert execution_parts("0000e0d5.571fcd44.01.01") == ("0000e0d5.571fcd44.01", 1)
        assert execution_parts("0000e0d5.571fcd44.01.02") == ("0000e0d5.571fcd44.01", 2)
        assert execution_parts("odd") == ("odd", 0)

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, {"orderType": "MKT", "tif": "DAY"}),
            (
                {"order_type": OrderType.LIMIT, "limit_price": Decimal("99.5"), "time_in_force": TimeInForce.GTC},
                {"orderType": "LMT", "lmtPrice": 99.5},
            ),
            ({"order_type": OrderType.STOP, "stop_price": Decimal(95), "time_in_force": TimeInForce.IOC}, {"orderType": "STP", "auxPrice": 95.0}),
            (
                {"order_type": OrderType.STOP_LIMIT, "stop_price": Decimal(95), "limit_price": Decimal(94), "time_in_force": TimeInForce.FOK},
                {"orderType": "STP LMT", "auxPrice": 95.0, "lmtPrice": 94.0, "tif": "FOK"},
            ),
            ({"order_type": OrderType.TRAILING_STOP, "trail_offset": Decimal(2)}, {"orderType": "TRAIL", "auxPrice": 2.0}),
            ({"order_type": OrderType.MARKET_ON_CLOSE}, {"orderType": "MOC", "tif": "DAY"}),
            (
                {"time_in_force": TimeInForce.GTD, "expire_at": datetime(2024, 12, 31, 20, 59, tzinfo=UTC)},
                {"tif": "GTD", "goodTillDate": "20241231-20:59:00"},
            ),
        ],
    )
    def test_order_types_and_times_in_force(self, fields, expected):
        values = values_of(make_broker_order(**fields), ACCOUNT)
        assert expected.items() <= values.items()
        assert (values["action"], values["account"], values["totalQuantity"]) == ("BUY", ACCOUNT, 100.0)


class TestOverTheWire:
    @pytest.mark.parametrize("order_type", list(OrderType))
    @pytest.mark.parametrize("time_in_force", [TimeInForce.DAY, TimeInForce.GTD])
    def test_what_the_gateway_reads_is_what_was_ordered(self, gateway, broker, order_type, time_in_force):
        order = make_broker_order(
            side=Side.SELL,
            symbol="BRK.B",
            quantity=Decimal("12.5"),
            order_type=order_type,
            time_in_force=time_in_force,
            limit_price=Decimal("101.25") if order_type.has_limit else None,
            stop_price=Decimal("99.75") if order_type.has_stop else None,
            trail_offset=Decimal("1.5") if order_type.has_trail else None,
            expire_at=datetime(2024, 12, 31, 21, tzinfo=UTC) if time_in_force is TimeInForce.GTD else None,
        )
        assert kinds(broker.submit(order)) == ["new"]
        read = gateway.order("7")
        assert (read.action, read.symbol, read.quantity, read.tif) == ("SELL", "BRK B", Decimal("12.5"), time_in_force.name)
        assert read.kind == ib_words.ORDER_TYPES[order_type]
        assert read.limit == ("101.25" if order_type.has_limit else "")
        assert read.aux == ("99.75" if order_type.has_stop else "1.5" if order_type.has_trail else "")
        assert read.good_till == ("20241231-21:00:00" if time_in_force is TimeInForce.GTD else "")

    def test_a_refusal_is_a_reject_with_its_reason(self, gateway, broker):
        gateway.refusal = (201, "Order rejected - reason:insufficient margin")
        (report,) = broker.submit(make_broker_order())
        assert (report.kind.value, report.reason) == ("rejected", "201: Order rejected - reason:insufficient margin")

    def test_a_warning_is_no_reject(self, gateway, broker):
        order = make_broker_order(order_type=OrderType.LIMIT, limit_price=Decimal(90))
        broker.submit(order)
        gateway.say_error(399, "Order Message: your order will not be placed at the exchange until 09:30", gateway.order("7").order_id)
        gateway.say_error(2109, "Outside regular trading hours is ignored", gateway.order("7").order_id)
        broker.line.heartbeat()
        assert kinds(broker.reports(order)) == ["new"]

    def test_a_refused_change_leaves_the_order_as_it_was(self, gateway, broker):
        order = make_broker_order(order_type=OrderType.LIMIT, limit_price=Decimal(90))
        broker.submit(order)
        gateway.refusal = (201, "Order rejected - reason:price")
        assert kinds(broker.replace(order, replace(order, limit_price=Decimal(91)))) == ["replace_reject"]
        gateway.cancel("7")
        assert kinds(until(broker, order, "canceled"))[-1] == "canceled"  # and not rejected

    def test_silence_is_a_time_out_and_no_line_is_not(self, gateway, line, broker):
        order = make_broker_order()
        gateway.silent = True
        line.settings = replace(line.settings, timeout_seconds=0.2)
        with pytest.raises(BrokerTimeout):
            broker.submit(order)
        with pytest.raises(BrokerTimeout):
            line.heartbeat()
        deadline = time.monotonic() + 60
        while not gateway.placed:  # what was sent is on its way, and the gateway says nothing of it
            assert time.monotonic() < deadline, "the order did not arrive"
            time.sleep(0.01)
        line.disconnect()
        with pytest.raises(BrokerUnreachable):
            broker.submit(make_broker_order(reference="8"))
        assert gateway.placed == ["7"]

    def test_nobody_listens(self):
        with IbGateway() as gone:
            pass
        line = IbLine(GatewaySettings(host="127.0.0.1", port=gone.port, client_id=7, timeout_seconds=2))
        with pytest.raises(BrokerUnreachable, match="cannot be reached"):
            line.connect()
        line.close()

    def test_nothing_is_sent_while_the_gateway_has_lost_the_broker(self, gateway, line, broker):
        gateway.say_error(1100, "Connectivity between IB and TWS has been lost")
        line.heartbeat()
        with pytest.raises(BrokerUnreachable, match="has lost"):
            broker.submit(make_broker_order())
        gateway.say_error(1102, "restored, data maintained")
        line.heartbeat()
        assert kinds(broker.submit(make_broker_order())) == ["new"]
        assert line.data_lost  # somebody asks anew

    def test_an_order_that_the_gateway_has_is_not_sent_again(self, gateway, broker):
        broker.submit(make_broker_order())
        with pytest.raises(Conflict):
            broker.send(make_broker_order())
        assert gateway.placed == ["7"]


class TestAccounts:
    """Two accounts behind one gateway: an order of another one is none of ours, whatever it is called."""

    OTHER = "DU7654321"

    @pytest.fixture
    def gateway(self) -> Iterator[IbGateway]:
        with IbGateway(accounts=(ACCOUNT, self.OTHER)) as running:
            yield running

    def test_an_order_of_another_account_is_not_taken_for_ours(self, gateway, line, broker):
        gateway.price("AAPL", "100")
        other, order = IbBroker(line=line, account=self.OTHER, mode=TradingMode.PAPER), make_broker_order()
        other.submit(order)
        until(other, order, "trade")
        assert broker.reports(order) == ()
        assert kinds(broker.lookup(order)) == ["rejected"]
        with pytest.raises(Conflict):
            broker.submit(order)
        with pytest.raises(BrokerUnreachable):
            broker.cancel(order)
        assert gateway.placed == ["7"]

    def test_what_another_account_does_under_our_reference_is_a_strangers(self, gateway, line, broker):
        order = make_broker_order(order_type=OrderType.LIMIT, limit_price=Decimal(90))
        broker.submit(order)
        gateway.by_hand("AAPL", "3", "100", reference=order.reference, account=self.OTHER)
        line.heartbeat()
        assert kinds(broker.reports(order)) == ["new"]
        assert [(one.reference, one.account) for one in line.ask(lambda book: list(book.executions.values()))] == [("", self.OTHER)]


class TestDisorder:
    @pytest.mark.parametrize("seed", range(4))
    def test_messages_in_any_order_and_twice_tell_the_same(self, gateway, broker, seed):
        gateway.shuffle, gateway.repeat, gateway.largest_fill = Random(seed), 2, Decimal(40)
        order = make_broker_order(order_type=OrderType.LIMIT, limit_price=Decimal(101))
        broker.submit(order)
        for price in ("101", "100", "99"):
            gateway.price("AAPL", price)
        assert broker.line.wait(60, until=lambda _: len(executed(broker_reports(broker, broker.line.book, order))) == 3)
        reports = broker.reports(order)
        assert executed(reports) == [(Decimal(40), Decimal(101)), (Decimal(40), Decimal(100)), (Decimal(20), Decimal(99))]
        assert {report.execution.fee for report in reports if report.execution} == {Decimal("1.25")}

    def test_an_execution_waits_for_its_commission_for_a_while(self, gateway, broker):
        from datetime import timedelta

        gateway.hold = {59}
        gateway.price("AAPL", "100")
        order = make_broker_order()
        broker.submit(order)
        assert broker.line.wait(60, until=lambda book: bool(book.executions))
        assert executed(broker.reports(order)) == []
        (late,) = (report.execution for report in broker.reports(order, patience=timedelta(seconds=-1)) if report.execution)
        assert (late.fee, late.quote["commission"]) == (0, "unknown")
        gateway.release()
        until(broker, order, "trade")
        (told,) = (report.execution for report in broker.reports(order) if report.execution)
        assert (told.fee, told.quote["commission"]) == (Decimal("1.25"), "1.25 USD")

    def test_a_status_before_its_executions_ends_nothing(self, gateway, broker):
        gateway.hold = {11}
        gateway.price("AAPL", "100")
        order = make_broker_order(order_type=OrderType.LIMIT, limit_price=Decimal(100), time_in_force=TimeInForce.IOC)
        gateway.largest_fill = Decimal(30)
        broker.submit(order)
        assert broker.line.wait(60, until=lambda book: book.orders["7"].status == "Cancelled")
        assert kinds(broker.reports(order)) == ["new"]
        gateway.release()
        assert kinds(until(broker, order, "canceled")) == ["new", "trade", "canceled"]

    def test_more_than_was_ordered_proves_a_change_that_was_not_confirmed(self, gateway, broker):
        order = make_broker_order(order_type=OrderType.LIMIT, limit_price=Decimal(90))
        broker.submit(order)
        gateway.hold = {5}
        wanted = replace(order, quantity=Decimal(150))
        broker.send_change(order, wanted)
        broker.line.heartbeat()
        assert kinds(broker.reports(order, wanted=wanted)) == ["new"]
        gateway.fill("7", "120", "90")
        until(broker, order, "trade")
        assert kinds(broker.reports(order, wanted=wanted)) == ["new", "replaced", "trade"]

    def test_a_correction_takes_the_place_of_the_execution(self, gateway, broker):
        gateway.price("AAPL", "100")
        order = make_broker_order()
        broker.submit(order)
        until(broker, order, "trade")
        gateway.correct("7", "99.5")
        assert broker.line.wait(60, until=lambda book: any(one.revision == 2 for one in book.executions.values()))
        (corrected,) = broker.line.ask(lambda book: list(book.executions.values()))
        assert (corrected.execution_id[-3:], corrected.price) == (".02", Decimal("99.5"))


class TestStatement:
    def test_orders_of_nobody_have_no_reference(self, gateway, broker):
        gateway.by_hand("MSFT", "3", "400")
        statement = broker.statement(datetime(2024, 1, 1, tzinfo=UTC))
        assert [(fill.reference, fill.symbol, fill.execution.quantity) for fill in statement.fills] == [("", "MSFT", Decimal(3))]
        assert statement.positions == {"MSFT": Decimal(3)} == gateway.positions(ACCOUNT)
        assert statement.cash == {"USD": gateway.cash_of(ACCOUNT)}
