"""Shares that move without a trade, lot by lot with their cost and day of acquisition: between books, into the desk and out of it.

Nothing is earned by it. Each entry says what the shares were worth when they were moved, because they are a flow of their portfolio. Each
transfer is once under its reference; its entries are "<source_ref>:<count>:out" and ":in".
"""

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum

from apps.core.errors import Conflict, InvalidInput
from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, QUANTITY_DIGITS, QUANTITY_PLACES, ZERO, money
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.domain.closing import LotMethod
from apps.portfolios.domain.lots import Booking, Closure, Opening, trade_book
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.models import EntryKind, LedgerEntry, Portfolio
from apps.portfolios.services.entry_checks import number
from apps.portfolios.services.ledger import Named, entry_posted_as, fact_post, picks_of, portfolio_of_book, reference_check
from apps.portfolios.services.portfolios import portfolios_lock
from apps.portfolios.services.posting import Fact, OpenPosition, Treatment, open_position


def shares_transfer(
    *,
    from_portfolio_id: int,
    from_book_id: int,
    to_portfolio_id: int,
    to_book_id: int,
    instrument_id: int,
    quantity: Decimal,
    price: Decimal,
    lots: Named | None = None,
    source: str,
    source_ref: str,
    effective_at: datetime,
    recorded_at: datetime,
) -> tuple[LedgerEntry, ...]:
    """Move shares between books of the desk. Entries in pairs: out, in.

    `quantity` is signed like the position; `price` [portfolios' currency a share] is what they are worth now. Lots go by the giving portfolio's
    method, or as `lots` names them. Raises InvalidInput (one book, more than is held, portfolios of different currencies), NotFound, Conflict
    (the receiving book holds the other side, or the reference was used for something else).
    """
    quantity = _checked(quantity, price, source, source_ref)
    if from_book_id == to_book_id:
        raise InvalidInput("a transfer goes to another book", field="to_book_id")
    with transaction.atomic():
        portfolios_lock({from_portfolio_id, to_portfolio_id})
        giver = portfolio_of_book(portfolio_id=from_portfolio_id, book_id=from_book_id)
        taker = portfolio_of_book(portfolio_id=to_portfolio_id, book_id=to_book_id)
        if posted := _transferred(source, source_ref, instrument_id, {from_book_id: -quantity, to_book_id: quantity}):
            return posted
        if giver.base_currency != taker.base_currency:
            raise InvalidInput(f"{giver.name} counts in {giver.base_currency}, {taker.name} in {taker.base_currency}", field="to_portfolio_id")
        _other_side_check(to_book_id, instrument_id, quantity)
        held = open_position(book_id=from_book_id, instrument_id=instrument_id, against=-quantity)
        entries: list[LedgerEntry] = []
        for count, piece in enumerate(_leaving(held, quantity, giver, lots)):
            acquired_at = held.opened_at[piece.lot_id]
            out = _moved(giver, from_book_id, instrument_id, -piece.quantity, -piece.cost, acquired_at, price, effective_at)
            into = _moved(taker, to_book_id, instrument_id, piece.quantity, piece.cost, acquired_at, price, effective_at)
            for leg, fact, treatment in (("out", out, _given(held, piece, out)), ("in", into, _taken(into))):
                ref = f"{source_ref}:{count}:{leg}"
                entries.append(fact_post(fact, treatment=treatment, source=source, source_ref=ref, recorded_at=recorded_at))
        return tuple(entries)


def shares_deliver(
    *,
    portfolio_id: int,
    book_id: int,
    instrument_id: int,
    quantity: Decimal,
    price: Decimal,
    lots: Named | None = None,
    source: str,
    source_ref: str,
    effective_at: datetime,
    recorded_at: datetime,
) -> tuple[LedgerEntry, ...]:
    """Shares leave the desk: one entry for each lot. Arguments and errors as of `shares_transfer`."""
    quantity = _checked(quantity, price, source, source_ref)
    with transaction.atomic():
        giver = portfolio_of_book(portfolio_id=portfolio_id, book_id=book_id)
        if posted := _transferred(source, source_ref, instrument_id, {book_id: -quantity}):
            return posted
        held = open_position(book_id=book_id, instrument_id=instrument_id, against=-quantity)
        entries: list[LedgerEntry] = []
        for count, piece in enumerate(_leaving(held, quantity, giver, lots)):
            fact = _moved(giver, book_id, instrument_id, -piece.quantity, -piece.cost, held.opened_at[piece.lot_id], price, effective_at)
            ref = f"{source_ref}:{count}:out"
            entries.append(fact_post(fact, treatment=_given(held, piece, fact), source=source, source_ref=ref, recorded_at=recorded_at))
        return tuple(entries)


def shares_receive(
    *,
    portfolio_id: int,
    book_id: int,
    instrument_id: int,
    quantity: Decimal,
    cost: Decimal,
    acquired_at: datetime,
    price: Decimal,
    source: str,
    source_ref: str,
    effective_at: datetime,
    recorded_at: datetime,
) -> tuple[LedgerEntry, ...]:
    """Shares come to the desk as one lot: `cost` [portfolio's currency] is what was paid for all of them, signed like the quantity, and
    `acquired_at` when. Raises InvalidInput (also a cost of the other sign, and shares acquired after they came), NotFound, Conflict."""
    quantity = _checked(quantity, price, source, source_ref)
    cost = number(cost, places=MONEY_PLACES, digits=MONEY_DIGITS, field="cost")
    if cost and (cost > 0) != (quantity > 0):
        raise InvalidInput(f"the cost was {cost}, but it is signed like the quantity", field="cost")
    if acquired_at > effective_at:
        raise InvalidInput("the shares were acquired before they come", field="acquired_at")
    with transaction.atomic():
        taker = portfolio_of_book(portfolio_id=portfolio_id, book_id=book_id)
        if posted := _transferred(source, source_ref, instrument_id, {book_id: quantity}):
            return posted
        _other_side_check(book_id, instrument_id, quantity)
        fact = _moved(taker, book_id, instrument_id, quantity, cost, acquired_at, price, effective_at)
        return (fact_post(fact, treatment=_taken(fact), source=source, source_ref=f"{source_ref}:0:in", recorded_at=recorded_at),)


def _checked(quantity: Decimal, price: Decimal, source: str, source_ref: str) -> Decimal:
    quantity = number(quantity, places=QUANTITY_PLACES, digits=QUANTITY_DIGITS, field="quantity")
    if not quantity:
        raise InvalidInput("a transfer has a quantity", field="quantity")
    if not 0 < price < Decimal(1).scaleb(PRICE_DIGITS):
        raise InvalidInput(f"the price was {price}, but it must be positive", field="price")
    reference_check(source, source_ref)
    return quantity


def _transferred(source: str, source_ref: str, instrument_id: int, wanted: dict[int, Decimal]) -> tuple[LedgerEntry, ...]:
    """The entries of this transfer, if it was made before; `wanted` is what each book gets."""
    if not any(entry_posted_as(source, f"{source_ref}:0:{leg}") for leg in ("out", "in")):
        return ()
    entries = LedgerEntry.objects.filter(source=source, source_ref__startswith=f"{source_ref}:", kind=EntryKind.TRANSFER)
    moved = entries.filter(instrument_id=instrument_id).values_list("book_id").annotate(total=Sum("quantity"))
    if dict(moved) != wanted:
        raise Conflict(f"{source}:{source_ref} was posted before, and says otherwise", field="source_ref")
    return tuple(entries.order_by("id"))


def _other_side_check(book_id: int, instrument_id: int, quantity: Decimal) -> None:
    if open_position(book_id=book_id, instrument_id=instrument_id, against=quantity).lots:
        raise Conflict("the receiving book holds the other side: the shares would close it", field="to_book_id")


def _leaving(held: OpenPosition, quantity: Decimal, giver: Portfolio, lots: Named | None) -> tuple[Closure, ...]:
    """The pieces that leave. Raises InvalidInput when there are not as many."""
    named = {lot_id: number(part, places=QUANTITY_PLACES, digits=QUANTITY_DIGITS, field="lots") for lot_id, part in (lots or {}).items()}
    booking = trade_book(open_lots=held.lots, quantity=-quantity, amount=ZERO, method=LotMethod(giver.lot_method), named=named)
    if booking.opening is not None:
        raise InvalidInput(f"the book holds {sum((lot.remaining for lot in held.lots), ZERO):f}, not {quantity:f}", field="quantity")
    return booking.closures


def _moved(
    portfolio: Portfolio, book_id: int, instrument_id: int, quantity: Decimal, cost: Decimal, acquired_at: datetime, price: Decimal, at: datetime
) -> Fact:
    return Fact(
        portfolio_id=portfolio.pk,
        book_id=book_id,
        kind=EntryKind.TRANSFER,
        instrument_id=instrument_id,
        quantity=quantity,
        cost=cost,
        acquired_at=acquired_at,
        market_value=money(quantity * price),
        currency=portfolio.base_currency,
        effective_at=at,
    )


def _given(held: OpenPosition, piece: Closure, fact: Fact) -> Treatment:
    """A piece of a lot leaves at its cost."""
    at_cost = Closure(lot_id=piece.lot_id, quantity=piece.quantity, cost=piece.cost, proceeds=piece.cost)
    return Treatment(
        settles_on=local_date(HOME_CALENDAR, fact.effective_at),
        booking=Booking(closures=(at_cost,)),
        lot_method=LotMethod.SPECIFIC.value,
        picks=picks_of(held, {piece.lot_id: piece.quantity}),
    )


def _taken(fact: Fact) -> Treatment:
    """It opens a lot in the receiving book."""
    opening = Opening(quantity=fact.quantity, cost=fact.cost or ZERO)
    return Treatment(settles_on=local_date(HOME_CALENDAR, fact.effective_at), booking=Booking(opening=opening))
