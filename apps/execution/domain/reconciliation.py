"""What the desk believes of an account against what its broker says: two books in, the breaks between them out. Pure.

A break is a fact about two books, never a guess about which of them is right: whoever resolves it looks at both.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import partial

from apps.core.money import ZERO
from apps.core.trading import Side

#: Money may differ by less than a cent and a bit of rounding; shares and prices may not differ at all.
CASH_TOLERANCE = Decimal("0.01")


class BreakKind(StrEnum):
    """In what the two books differ."""

    MISSING_AT_BROKER = "missing_at_broker"
    MISSING_LOCALLY = "missing_locally"
    QUANTITY = "qty"
    PRICE = "price"
    SIDE = "side"
    CASH = "cash"
    POSITION = "position"


class BreakSubject(StrEnum):
    """Of what it is a break."""

    ORDER = "order"
    EXECUTION = "execution"
    POSITION = "position"
    CASH = "cash"
    SETTLED_CASH = "settled_cash"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOrder:
    """A working order. `reference` is the desk's, "" for one that the desk never sent; `broker_id` is the broker's, where it is known.

    `certain` is False while nobody can say whether the broker works it: a request for it is on its way.
    """

    reference: str
    symbol: str
    side: Side
    quantity: Decimal
    cumulative: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_offset: Decimal | None = None
    broker_id: str = ""
    certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFill:
    """An execution. `reference` is that of its order, "" for an order that the desk never sent."""

    execution_id: str
    reference: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBook:
    """One side's picture of an account: working orders, executions since a time that both sides know, signed shares, cash by currency.

    `settled_cash` is compared in the currencies which both sides tell.
    """

    orders: tuple[BookOrder, ...] = ()
    fills: tuple[BookFill, ...] = ()
    positions: Mapping[str, Decimal] = field(default_factory=dict)
    cash: Mapping[str, Decimal] = field(default_factory=dict)
    settled_cash: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One difference. `key` names the order, execution, symbol or currency; `ours` and `theirs` say what stands in each book, "" for nothing.

    `difference` is theirs - ours where both are numbers. `halts`: something trades, or has traded, in the account that the desk did not
    send, so nothing new is opened there until a person has looked.
    """

    kind: BreakKind
    subject: BreakSubject
    key: str
    symbol: str = ""
    ours: str = ""
    theirs: str = ""
    difference: Decimal | None = None
    halts: bool = False

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes it the same break when it is found again: a difference that has changed is another break."""
        return (self.kind.value, self.subject.value, self.key, _n(self.difference) if self.difference is not None else self.theirs)


def books_compare(*, ours: AccountBook, theirs: AccountBook, known: Collection[str] = ()) -> tuple[Break, ...]:
    """Every difference between the desk's book and the broker's, in order: orders, executions, positions, cash.

    `known` are references of the desk's orders, ended ones included: a broker's order with another reference is a stranger. An order
    that the broker works although it has ended on the desk halts as well: it may trade.
    """
    references = frozenset(known) | {order.reference for order in ours.orders}
    return (
        *_orders(ours, theirs, references),
        *_fills(ours, theirs, references),
        *_amounts(BreakKind.POSITION, BreakSubject.POSITION, ours.positions, theirs.positions, ZERO),
        *_amounts(BreakKind.CASH, BreakSubject.CASH, ours.cash, theirs.cash, CASH_TOLERANCE),
        *_amounts(BreakKind.CASH, BreakSubject.SETTLED_CASH, *_both(ours.settled_cash, theirs.settled_cash), CASH_TOLERANCE),
    )


def _orders(ours: AccountBook, theirs: AccountBook, known: frozenset[str]) -> Iterator[Break]:
    mine = {order.reference: order for order in ours.orders}
    there = {order.reference for order in theirs.orders if order.reference}
    for order in sorted(theirs.orders, key=lambda one: (one.reference, one.broker_id)):
        own = mine.get(order.reference) if order.reference else None
        if own is not None:
            yield from _order(own, order)
            continue
        text = "ended" if order.reference in known else ""
        key = order.reference or order.broker_id
        yield Break(
            kind=BreakKind.MISSING_LOCALLY,
            subject=BreakSubject.ORDER,
            key=key,
            symbol=order.symbol,
            ours=text,
            theirs=_order_text(order),
            halts=True,
        )
    for order in sorted(ours.orders, key=lambda one: one.reference):
        if order.certain and order.reference not in there:
            yield Break(
                kind=BreakKind.MISSING_AT_BROKER, subject=BreakSubject.ORDER, key=order.reference, symbol=order.symbol, ours=_order_text(order)
            )


def _order(own: BookOrder, other: BookOrder) -> Iterator[Break]:
    """Side always; the rest while no change is on its way, which the broker may have made already."""
    make = partial(Break, subject=BreakSubject.ORDER, symbol=own.symbol)
    if own.side is not other.side or own.symbol != other.symbol:
        yield make(kind=BreakKind.SIDE, key=own.reference, ours=f"{own.side} {own.symbol}", theirs=f"{other.side} {other.symbol}")
        return
    if not own.certain:
        return
    if own.quantity != other.quantity:
        difference = other.quantity - own.quantity
        yield make(kind=BreakKind.QUANTITY, key=own.reference, ours=_n(own.quantity), theirs=_n(other.quantity), difference=difference)
    if own.cumulative != other.cumulative:
        # A key of its own: an order can break in what it is for and in what has traded of it.
        yield make(
            kind=BreakKind.QUANTITY,
            key=f"{own.reference} traded",
            ours=f"{_n(own.cumulative)} traded",
            theirs=f"{_n(other.cumulative)} traded",
            difference=other.cumulative - own.cumulative,
        )
    prices = (("", own.limit_price, other.limit_price), (" stop", own.stop_price, other.stop_price), (" trail", own.trail_offset, other.trail_offset))
    for name, mine, theirs in prices:
        if mine != theirs:
            yield make(kind=BreakKind.PRICE, key=f"{own.reference}{name}", ours=_n(mine), theirs=_n(theirs))


def _fills(ours: AccountBook, theirs: AccountBook, known: frozenset[str]) -> Iterator[Break]:
    mine = {fill.execution_id: fill for fill in ours.fills}
    there = {fill.execution_id: fill for fill in theirs.fills}
    for execution_id in sorted(there.keys() - mine.keys()):
        fill = there[execution_id]
        yield Break(
            kind=BreakKind.MISSING_LOCALLY,
            subject=BreakSubject.EXECUTION,
            key=execution_id,
            symbol=fill.symbol,
            theirs=_fill_text(fill),
            halts=fill.reference not in known,
        )
    for execution_id in sorted(mine.keys() - there.keys()):
        fill = mine[execution_id]
        yield Break(kind=BreakKind.MISSING_AT_BROKER, subject=BreakSubject.EXECUTION, key=execution_id, symbol=fill.symbol, ours=_fill_text(fill))
    for execution_id in sorted(mine.keys() & there.keys()):
        yield from _fill(mine[execution_id], there[execution_id])


def _fill(own: BookFill, other: BookFill) -> Iterator[Break]:
    make = partial(Break, subject=BreakSubject.EXECUTION, key=own.execution_id, symbol=own.symbol)
    if own.side is not other.side or own.symbol != other.symbol:
        yield make(kind=BreakKind.SIDE, ours=f"{own.side} {own.symbol}", theirs=f"{other.side} {other.symbol}")
    if own.quantity != other.quantity:
        yield make(kind=BreakKind.QUANTITY, ours=_n(own.quantity), theirs=_n(other.quantity), difference=other.quantity - own.quantity)
    if own.price != other.price:
        yield make(kind=BreakKind.PRICE, ours=_n(own.price), theirs=_n(other.price), difference=other.price - own.price)


def _amounts(
    kind: BreakKind, subject: BreakSubject, ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal], tolerance: Decimal
) -> Iterator[Break]:
    for key in sorted({*ours, *theirs}):
        left, right = ours.get(key, ZERO), theirs.get(key, ZERO)
        if abs(right - left) > tolerance:
            symbol = key if subject is BreakSubject.POSITION else ""
            yield Break(kind=kind, subject=subject, key=key, symbol=symbol, ours=_n(left), theirs=_n(right), difference=right - left)


def _both(ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal]) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    common = ours.keys() & theirs.keys()
    return {key: ours[key] for key in common}, {key: theirs[key] for key in common}


def _order_text(order: BookOrder) -> str:
    prices = ((" at", order.limit_price), (" stop", order.stop_price), (" trail", order.trail_offset))
    told = "".join(f"{name} {_n(price)}" for name, price in prices if price is not None)
    return f"{order.side} {_n(order.quantity)} {order.symbol}{told}"


def _fill_text(fill: BookFill) -> str:
    return f"{fill.side} {_n(fill.quantity)} {fill.symbol} at {_n(fill.price)}"


def _n(value: Decimal | None) -> str:
    return "none" if value is None else f"{value.normalize():f}"
