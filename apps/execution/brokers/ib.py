"""Interactive Brokers: the desk's orders as TWS knows them, and back. No database, no Django.

The gateway knows an order by our reference (its `orderRef`), and that is how it is found again, whatever happened to the line.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from apps.core.errors import Conflict, RuleRefused
from apps.core.money import ZERO
from apps.core.trading import TradingMode
from apps.execution.brokers.ib_book import IbBook, IbOrder, fill_of, open_order_of, reports_of
from apps.execution.brokers.ib_line import IbLine
from apps.execution.brokers.ib_words import ORDER_TYPES, TIMES_IN_FORCE, IbState, good_till, mode_of_number, symbol_to_ib
from apps.execution.brokers.protocol import BrokerOrder, BrokerStatement, BrokerTimeout, BrokerUnreachable, ExecutionReport
from apps.execution.domain.states import OrderEventKind

IB = "ib"
#: Commission reports follow an execution within moments. One that does not come for this long is booked later, as a fee of its own.
FEE_PATIENCE = timedelta(seconds=10)
#: Answers to a cancel or a change, which are no news to whoever has not asked.
ANSWERS = frozenset({OrderEventKind.CANCEL_REJECT, OrderEventKind.REPLACE_REJECT})


class GatewayMismatch(RuleRefused):
    """The gateway does not manage the account, or it trades for money where paper was meant, or the other way round."""

    code: ClassVar[str] = "GATEWAY_MISMATCH"


def contract_of(order: BrokerOrder) -> dict[str, str]:
    """The security of an order: a share, routed by SMART."""
    return {"symbol": symbol_to_ib(order.symbol), "exchange": "SMART", "currency": order.currency}


def values_of(order: BrokerOrder, account: str) -> dict[str, Any]:
    """An order's fields as TWS takes them: floats from here on."""
    stop = order.trail_offset if order.order_type.has_trail else order.stop_price
    prices = {"lmtPrice": order.limit_price, "auxPrice": stop}
    return {
        "account": account,
        "action": order.side.name,
        "totalQuantity": float(order.quantity),
        "orderType": ORDER_TYPES[order.order_type],
        "tif": TIMES_IN_FORCE[order.time_in_force],
        **{name: float(price) for name, price in prices.items() if price is not None},
        **({"goodTillDate": good_till(order.expire_at)} if order.expire_at else {}),
    }


class IbBroker:
    """A `Broker` for one account at one gateway."""

    name = IB

    def __init__(self, *, line: IbLine, account: str, mode: TradingMode) -> None:
        """Raises GatewayMismatch when the account is not one of the gateway's, or when numbers and mode do not agree."""
        if mode_of_number(account) is not mode:
            raise GatewayMismatch(f"account {account} trades in {mode_of_number(account)}, not in {mode}", account=account)
        strangers = [number for number in line.accounts if mode_of_number(number) is not mode]
        if strangers:
            raise GatewayMismatch(f"the gateway {line.settings} trades in another mode than {mode}: {', '.join(strangers)}", account=account)
        if account not in line.accounts:
            raise GatewayMismatch(f"the gateway {line.settings} does not manage account {account}", account=account)
        self.line, self.account, self.mode = line, account, mode

    def submit(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Send the order unless the gateway has it, and wait for its first word."""
        if self.line.ask(lambda book: self._own(book, order)) is None:
            self.send(order)
        reports = self._answered(order, lambda picture: picture.is_known)
        return tuple(report for report in reports if report.kind not in ANSWERS)

    def send(self, order: BrokerOrder, *, order_id: int = 0) -> int:
        """Send the order without waiting, under a new id or the given one; returns it. Raises Conflict for one that the gateway has."""
        if self.line.ask(lambda book: order.reference in book.orders):
            raise Conflict(f"the gateway {self.line.settings} knows of order {order.reference} already: it is not sent again")
        return self.line.place(reference=order.reference, contract=contract_of(order), values=values_of(order, self.account), order_id=order_id)

    def cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Ask for the cancel, and wait for its first answer."""
        self.send_cancel(order)
        kinds = {OrderEventKind.CANCELED, OrderEventKind.CANCEL_REJECT, OrderEventKind.REJECTED}
        reports = self._answered(order, lambda picture: any(report.kind in kinds for report in reports_of(picture, order)))
        return tuple(report for report in reports if report.kind in kinds | {OrderEventKind.TRADE})

    def send_cancel(self, order: BrokerOrder, *, order_id: int = 0) -> None:
        """Ask for the cancel without waiting. `order_id` helps where the gateway has not told of the order yet."""
        self.line.cancel(reference=order.reference, order_id=order_id or self._order_id(order))

    def replace(self, order: BrokerOrder, changed: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Send the changed order under the same id, and wait for its first answer."""
        self.send_change(order, changed)
        kinds = {OrderEventKind.REPLACED, OrderEventKind.REPLACE_REJECT, OrderEventKind.CANCELED}
        reports = self._answered(order, lambda picture: any(r.kind in kinds for r in reports_of(picture, order, wanted=changed)), wanted=changed)
        return tuple(report for report in reports if report.kind in kinds | {OrderEventKind.TRADE})

    def send_change(self, order: BrokerOrder, changed: BrokerOrder, *, order_id: int = 0) -> None:
        """Send the changed order without waiting."""
        order_id = order_id or self._order_id(order)

        def begin(book: IbBook) -> None:
            picture = book.sent(reference=order.reference, order_id=order_id, client_id=self.line.settings.client_id)
            picture.changing, picture.change_refusal = True, ""

        self.line.ask(begin)
        self.line.place(reference=order.reference, contract=contract_of(changed), values=values_of(changed, self.account), order_id=order_id)

    def lookup(self, order: BrokerOrder, *, wanted: BrokerOrder | None = None) -> tuple[ExecutionReport, ...]:
        """Ask the gateway anew for everything, and tell what it has of this order."""
        self.line.refresh()
        if not self.knows(order):
            return (self.never_had(order),)
        return tuple(report for report in self.reports(order, wanted=wanted) if wanted or report.kind not in ANSWERS)

    def knows(self, order: BrokerOrder) -> bool:
        """The gateway has said something of the order."""
        picture = self.line.ask(lambda book: self._own(book, order))
        return picture is not None and picture.is_known

    def works(self, order: BrokerOrder) -> bool:
        """The gateway may still trade the order, as far as it has told."""
        picture = self.line.ask(lambda book: self._own(book, order))
        if picture is None or picture.executed >= picture.quantity:
            return False
        return picture.state is IbState.WORKING or (picture.state is IbState.HELD and not picture.refusal)

    def completed_at(self, order: BrokerOrder) -> datetime | None:
        """When the order ended, as far as the gateway has told."""
        picture = self.line.ask(lambda book: self._own(book, order))
        return picture.completed_at if picture is not None else None

    def never_had(self, order: BrokerOrder) -> ExecutionReport:
        """What is so when the gateway has told everything and not of this order. Its last word on it, if any, is the reason."""
        picture = self.line.ask(lambda book: self._own(book, order))
        note = picture.note if picture is not None else ""
        return ExecutionReport(kind=OrderEventKind.REJECTED, reason=note or "the gateway has never had it")

    def reports(self, order: BrokerOrder, *, wanted: BrokerOrder | None = None, patience: timedelta = FEE_PATIENCE) -> tuple[ExecutionReport, ...]:
        """All that has happened to an order as far as the gateway has told, without asking."""
        fees_until = self.line.now() - patience.total_seconds()

        def told(book: IbBook) -> tuple[ExecutionReport, ...]:
            picture = self._own(book, order)
            return reports_of(picture, order, wanted=wanted, fees_until=fees_until) if picture else ()

        return self.line.ask(told)

    def statement(self, since: datetime, *, as_of: datetime | None = None) -> BrokerStatement:
        """What the gateway's books say of the account now; executions since a time, of today at most: TWS keeps no older ones."""
        self.line.refresh()
        self.line.balances()
        account = self.account

        def told(book: IbBook) -> BrokerStatement:
            orders = [*book.orders.values(), *book.strangers.values()]
            open_orders = [open_order_of(order) for order in orders if order.account == account and order.perm_id in book.open_ids]
            fills = [fill_of(one) for one in book.executions.values() if one.account == account and one.market_time >= since]
            cash = self.line.cash.get(account, {})
            return BrokerStatement(
                as_of=as_of or datetime.now(UTC),
                open_orders=tuple(order for order in open_orders if order is not None),
                fills=tuple(sorted(fills, key=lambda fill: (fill.execution.market_time, fill.execution.execution_id))),
                positions={symbol: shares for symbol, shares in self.line.positions.get(account, {}).items() if shares},
                cash=dict(cash.get("CashBalance", {})),
                settled_cash=_settled(cash.get("SettledCash", {})),
            )

        return self.line.ask(told)

    def _own(self, book: IbBook, order: BrokerOrder) -> IbOrder | None:
        """The picture of the order; None where the gateway has none, and where it is one of another account."""
        picture = book.orders.get(order.reference)
        return picture if picture is not None and picture.account in ("", self.account) else None

    def _order_id(self, order: BrokerOrder) -> int:
        picture = self.line.ask(lambda book: self._own(book, order))
        if picture is None or not picture.order_id:
            raise BrokerUnreachable(f"the gateway {self.line.settings} knows no id of order {order.reference}")
        return picture.order_id

    def _answered(self, order: BrokerOrder, enough: Any, *, wanted: BrokerOrder | None = None) -> tuple[ExecutionReport, ...]:
        def answered(book: IbBook) -> bool:
            picture = self._own(book, order)
            return picture is not None and enough(picture)

        if not self.line.wait(self.line.settings.timeout_seconds, until=answered):
            raise BrokerTimeout(f"the gateway {self.line.settings} did not answer for order {order.reference}")
        return self.reports(order, wanted=wanted)


def _settled(cash: dict[str, Decimal]) -> dict[str, Decimal]:
    return {currency: amount for currency, amount in cash.items() if amount != ZERO}
