"""What TWS has said so far, order by order, and the reports that follow from it.

TWS repeats messages, sends a status before the executions behind it, and commissions later than both. So nothing is made of a single
message: each one only adds to the picture of its order, and the reports of an order are all that its picture says. Whoever books
them leaves out what is booked already.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.core.money import ZERO
from apps.core.trading import OrderType, Side
from apps.execution.brokers.ib_words import (
    ORDER_TYPES,
    TIMES_IN_FORCE,
    IbState,
    Meaning,
    execution_parts,
    ib_state,
    meaning_of,
    moment_from_ib,
    number,
    side_of,
    symbol_from_ib,
)
from apps.execution.brokers.protocol import BrokerFill, BrokerOpenOrder, BrokerOrder, Execution, ExecutionReport
from apps.execution.domain.states import OrderEventKind


@dataclass(slots=True, kw_only=True)
class IbExecution:
    """One execution. `revision` counts the corrections of it, `most` is the largest quantity that any of them told; `fee` is None until its
    commission report has come.
    """

    execution_id: str
    revision: int
    reference: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    market_time: datetime
    venue: str
    seen_at: float
    most: Decimal
    fee: Decimal | None = None
    fee_currency: str = ""

    def as_execution(self) -> Execution:
        """What is booked. A rebate (a commission below zero) is no fee, and stands in `quote` like a commission that is not known."""
        fee = self.fee if self.fee is not None and self.fee > 0 else ZERO
        commission = "unknown" if self.fee is None else f"{self.fee:f} {self.fee_currency}".strip()
        quote = {"venue": self.venue, "commission": commission}
        return Execution(execution_id=self.execution_id, quantity=self.quantity, price=self.price, fee=fee, market_time=self.market_time, quote=quote)


@dataclass(slots=True, kw_only=True)
class IbOrder:
    """The picture of one order. Everything is as TWS said it last; `refusal` and the like are its words for a refusal, "" without one.

    `changing`: a change is on its way, so that a refusal is one of the change. `listed`: the gateway has the order in its books.
    `completed_at`: when it ended, where the gateway has told that.
    """

    reference: str
    account: str = ""
    order_id: int = 0
    client_id: int = 0
    perm_id: int = 0
    symbol: str = ""
    side: Side | None = None
    kind: str = ""
    quantity: Decimal = ZERO
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_stop: Decimal | None = None
    time_in_force: str = ""
    expire_at: datetime | None = None
    status: str = ""
    filled: Decimal = ZERO
    refusal: str = ""
    cancel_refusal: str = ""
    change_refusal: str = ""
    changing: bool = False
    listed: bool = False
    completed_at: datetime | None = None
    note: str = ""
    executions: dict[str, IbExecution] = field(default_factory=dict)

    @property
    def state(self) -> IbState:
        return ib_state(self.status)

    @property
    def is_known(self) -> bool:
        """The gateway has it, or has said what became of it."""
        return self.listed or self.state is not IbState.UNANSWERED or bool(self.executions) or bool(self.refusal)

    @property
    def executed(self) -> Decimal:
        return sum((one.quantity for one in self.executions.values()), ZERO)

    @property
    def is_complete(self) -> bool:
        """The executions that its status speaks of have come. A status may count those that were corrected downwards as they were before."""
        return sum((one.most for one in self.executions.values()), ZERO) >= self.filled


class IbBook:
    """The pictures of all orders of a gateway. `take_changed` gives the references whose picture has changed, "" for orders of nobody."""

    def __init__(self) -> None:
        self.orders: dict[str, IbOrder] = {}
        self.strangers: dict[int, IbOrder] = {}
        self.executions: dict[str, IbExecution] = {}
        self.open_ids: set[int] = set()
        self._changed: set[str] = set()
        self._by_id: dict[tuple[int, int], IbOrder] = {}
        self._by_perm: dict[int, IbOrder] = {}
        self._early: dict[tuple[int, int], list[tuple[Any, ...]]] = {}
        self._fees: dict[str, tuple[Decimal | None, str]] = {}

    @property
    def has_changed(self) -> bool:
        return bool(self._changed)

    def take_changed(self) -> frozenset[str]:
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def sent(self, *, reference: str, order_id: int, client_id: int, account: str = "") -> IbOrder:
        """An order is on its way under this id."""
        order = self.orders.setdefault(reference, IbOrder(reference=reference, account=account))
        order.order_id, order.client_id = order_id, client_id
        self._by_id[(client_id, order_id)] = order
        return order

    # What TWS says.

    def open_order(self, *, order_id: int, contract: Any, order: Any, status: str) -> None:
        """An order's values. Those of other clients and those made by hand come too."""
        known = self._picture(reference=order.orderRef, key=(order.clientId, order_id), perm_id=order.permId, account=order.account)
        known.listed = True
        self._values(known, contract, order)
        known.trail_stop = number(order.trailStopPrice)
        if order_id:
            known.order_id, known.client_id = order_id, order.clientId
        self.open_ids.add(order.permId)
        self._status(known, status)
        for early in self._early.pop((order.clientId, order_id), []):
            self._status(known, *early)

    def completed_order(self, *, contract: Any, order: Any, status: str, reason: str, time: str) -> None:
        """An order of today that has ended: TWS gives neither its id nor its client here."""
        known = self._picture(reference=order.orderRef, key=None, perm_id=order.permId, account=order.account)
        known.listed = True
        self._values(known, contract, order)
        filled = number(order.filledQuantity) or ZERO
        known.quantity = known.quantity or filled
        known.note = known.note or reason
        known.completed_at = moment_from_ib(time)
        self._status(known, status, filled)

    def order_status(self, *, order_id: int, client_id: int, perm_id: int, status: str, filled: float) -> None:
        known = self._by_id.get((client_id, order_id)) if order_id else None
        known = known or self._by_perm.get(perm_id)
        if known is None:
            self._early.setdefault((client_id, order_id), []).append((status, number(filled)))
            return
        if perm_id:
            self._by_perm[perm_id] = known
            known.perm_id = perm_id
        self._status(known, status, number(filled))

    def execution(self, *, contract: Any, execution: Any, now: float) -> None:
        """An execution, for the first time, again, or corrected. `now` is any clock that only goes forward (seconds)."""
        base, revision = execution_parts(execution.execId)
        before = self.executions.get(base)
        if before is not None and before.revision >= revision:
            return
        key = (execution.clientId, execution.orderId)
        known = self._picture(reference=execution.orderRef, key=key, perm_id=execution.permId, account=execution.acctNumber)
        fee, currency = self._fees.get(execution.execId, (None, ""))
        quantity = number(execution.shares) or ZERO
        made = IbExecution(
            execution_id=execution.execId,
            revision=revision,
            reference=known.reference,
            account=execution.acctNumber,
            symbol=symbol_from_ib(contract.symbol),
            side=side_of(execution.side),
            quantity=quantity,
            price=number(execution.price) or ZERO,
            market_time=execution.time,
            venue=execution.exchange,
            seen_at=now,
            most=max(quantity, before.most if before is not None else ZERO),
            fee=fee,
            fee_currency=currency,
        )
        self.executions[base] = known.executions[base] = made
        self._note_change(known)

    def commission(self, *, execution_id: str, amount: float, currency: str) -> None:
        """The commission of an execution, which may come before it."""
        self._fees[execution_id] = (number(amount), currency)
        execution = self.executions.get(execution_parts(execution_id)[0])
        if execution is not None and execution.execution_id == execution_id:
            execution.fee, execution.fee_currency = self._fees[execution_id]
            self._changed.add(execution.reference)

    def error(self, *, order_id: int, client_id: int, code: int, text: str) -> None:
        """What TWS says of one of our orders."""
        known = self._by_id.get((client_id, order_id))
        if known is None:
            return
        said, meaning = f"{code}: {text}", meaning_of(code)
        if meaning is Meaning.CHANGE_REFUSED or (meaning is Meaning.REFUSED and known.changing):
            known.change_refusal, known.changing = said, False
        elif meaning is Meaning.REFUSED:
            known.refusal = said
        elif meaning is Meaning.CANCEL_REFUSED:
            known.cancel_refusal = said
        elif meaning is Meaning.NOT_FOUND:
            known.cancel_refusal = known.change_refusal = said
        else:
            known.note = said
        self._note_change(known)

    def forget_open(self) -> None:
        """Before all working orders are asked for: which are open is what the answer says."""
        self.open_ids = set()

    def _picture(self, *, reference: str, key: tuple[int, int] | None, perm_id: int, account: str) -> IbOrder:
        """The picture that a message belongs to. What another account has under a reference of ours is a stranger's."""
        known = self.orders.get(reference) if reference else None
        if known is not None and known.account and account and known.account != account:
            reference = ""
        if not reference:
            known = self._by_perm.get(perm_id) or self.strangers.get(perm_id)
        if known is None:
            known = IbOrder(reference=reference)
            if reference:
                self.orders[reference] = known
            else:
                self.strangers[perm_id] = known
        known.account = known.account or account
        if key is not None and key[1]:
            self._by_id[key] = known
        if perm_id:
            self._by_perm[perm_id] = known
            known.perm_id = perm_id
        return known

    @staticmethod
    def _values(known: IbOrder, contract: Any, order: Any) -> None:
        known.symbol, known.side = symbol_from_ib(contract.symbol), side_of(order.action)
        known.kind = order.orderType
        known.quantity = number(order.totalQuantity) or known.quantity
        known.limit_price, known.stop_price = number(order.lmtPrice), number(order.auxPrice)
        known.time_in_force, known.expire_at = order.tif, moment_from_ib(order.goodTillDate)

    def _status(self, order: IbOrder, status: str, filled: Decimal | None = None) -> None:
        """An order that has ended stays ended, whatever comes late; what has filled never becomes less."""
        if filled is not None:
            order.filled = max(order.filled, filled)
        if order.state not in (IbState.ENDED, IbState.FILLED):
            order.status = status or order.status
        self._note_change(order)

    def _note_change(self, order: IbOrder) -> None:
        self._changed.add(order.reference)


def reports_of(
    picture: IbOrder, order: BrokerOrder, *, wanted: BrokerOrder | None = None, fees_until: float | None = None
) -> tuple[ExecutionReport, ...]:
    """All that has happened to an order according to its picture, in an order in which it can have happened.

    `wanted` is the order as a change asks it to be. An execution waits for its commission while it was seen after `fees_until`, and
    the end of an order waits for the executions that its status speaks of.
    """
    if picture.refusal and picture.state is IbState.UNANSWERED and not picture.executions:
        return (ExecutionReport(kind=OrderEventKind.REJECTED, reason=picture.refusal),)
    if not picture.is_known:
        return ()
    trades, waiting = _trades(picture.executions.values(), fees_until)
    reports = [ExecutionReport(kind=OrderEventKind.NEW)]
    if (
        order.order_type.has_trail
        and picture.trail_stop is not None
        and picture.trail_stop != order.working_stop
        and picture.state is IbState.WORKING
    ):
        reports.append(ExecutionReport(kind=OrderEventKind.RESTATED, working_stop=picture.trail_stop))
    change = [ExecutionReport(kind=OrderEventKind.REPLACED)] if wanted is not None and _is_changed(picture, order, wanted) else []
    grows = wanted is not None and wanted.quantity >= order.quantity
    reports += [*change, *trades] if grows else [*trades, *change]
    if not waiting and picture.is_complete:
        reports += _ending(picture)
    return tuple(reports)


def _trades(executions: Iterable[IbExecution], fees_until: float | None) -> tuple[list[ExecutionReport], bool]:
    ready, waiting = [], False
    for one in sorted(executions, key=lambda execution: (execution.market_time, execution.execution_id)):
        if one.fee is None and (fees_until is None or one.seen_at > fees_until):
            waiting = True
        else:
            ready.append(ExecutionReport(kind=OrderEventKind.TRADE, execution=one.as_execution()))
    return ready, waiting


def _is_changed(picture: IbOrder, order: BrokerOrder, wanted: BrokerOrder) -> bool:
    """TWS has the values that were asked for, or more has traded than the order was for before. TRAIL keeps its offset as a stop's price."""
    if order.quantity < picture.executed <= wanted.quantity:
        return True
    stop = wanted.trail_offset if wanted.order_type.has_trail else wanted.stop_price
    return (
        picture.quantity == wanted.quantity
        and picture.time_in_force == TIMES_IN_FORCE[wanted.time_in_force]
        and (picture.expire_at is None or picture.expire_at == wanted.expire_at)
        and (not wanted.order_type.has_limit or picture.limit_price == wanted.limit_price)
        and (stop is None or picture.stop_price == stop)
    )


def _ending(picture: IbOrder) -> list[ExecutionReport]:
    state = picture.state
    refused = bool(picture.refusal) and state in (IbState.HELD, IbState.ENDED)
    if refused:
        return [ExecutionReport(kind=OrderEventKind.REJECTED, reason=picture.refusal)]
    if state is IbState.ENDED:
        return [ExecutionReport(kind=OrderEventKind.CANCELED, reason=picture.note)]
    if state is IbState.FILLED:
        too_late = "it has traded"
        return [ExecutionReport(kind=kind, reason=too_late) for kind in (OrderEventKind.REPLACE_REJECT, OrderEventKind.CANCEL_REJECT)]
    answers = []
    if picture.change_refusal:
        answers.append(ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason=picture.change_refusal))
    if picture.cancel_refusal:
        answers.append(ExecutionReport(kind=OrderEventKind.CANCEL_REJECT, reason=picture.cancel_refusal))
    return answers


def open_order_of(order: IbOrder) -> BrokerOpenOrder | None:
    """A working order for a statement; None for one that does not work."""
    if order.side is None or order.state in (IbState.ENDED, IbState.FILLED) or order.perm_id == 0:
        return None
    trails = order.kind == ORDER_TYPES[OrderType.TRAILING_STOP]
    stop_price = order.stop_price or None  # TWS says 0 of a price that an order has not
    return BrokerOpenOrder(
        reference=order.reference,
        broker_order_id=str(order.perm_id),
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        cumulative=max(order.filled, order.executed),
        limit_price=order.limit_price or None,
        stop_price=None if trails else stop_price,
        trail_offset=stop_price if trails else None,
    )


def fill_of(execution: IbExecution) -> BrokerFill:
    return BrokerFill(reference=execution.reference, symbol=execution.symbol, side=execution.side, execution=execution.as_execution())
