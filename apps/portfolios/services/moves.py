"""What moves shares without a trade, and cash between currencies: splits, transfers, conversions. Each is once under its reference."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum

from apps.core.errors import Conflict, InvalidInput
from apps.core.money import QUANTITY_DIGITS, QUANTITY_PLACES, ZERO
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.domain.closing import LotMethod, split_quantity
from apps.portfolios.domain.lots import Booking, Closure, Opening, trade_book
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.models import EntryKind, LedgerEntry, Lot, LotClosure, Portfolio
from apps.portfolios.models.ledger import RATIO_DIGITS, RATIO_PLACES
from apps.portfolios.services.entry_checks import number
from apps.portfolios.services.ledger import Named, entry_post, entry_posted_as, fact_post, picks_of, portfolio_of_book, reference_check
from apps.portfolios.services.portfolios import portfolio_lock
from apps.portfolios.services.posting import Fact, OpenPosition, Treatment, lots_resize, open_position


def split_post(
    *,
    portfolio_id: int,
    book_id: int,
    instrument_id: int,
    ratio: Decimal,
    in_lieu_price: Decimal | None = None,
    source: str,
    source_ref: str,
    effective_at: datetime,
    recorded_at: datetime,
) -> LedgerEntry:
    """Multiply every lot that was open before `effective_at` by `ratio` (new shares per old); costs stay, no cash moves.

    With `in_lieu_price` the fraction of a share that results is paid out at that price, as an entry of its own under "<source_ref>:lieu".
    Raises InvalidInput (ratio, or nothing is held), NotFound, Conflict (other content under the reference, or shares from before the split
    were closed after it: what was booked by the old count is for people to put right first).
    """
    ratio = number(ratio, places=RATIO_PLACES, digits=RATIO_DIGITS, field="ratio")
    if ratio <= 0:
        raise InvalidInput(f"the ratio was {ratio}, but it must be positive", field="ratio")
    reference_check(source, source_ref)
    with transaction.atomic():
        portfolio = portfolio_of_book(portfolio_id=portfolio_id, book_id=book_id)
        if posted := entry_posted_as(source, source_ref):
            return _same_split(posted, book_id, instrument_id, ratio)
        sizes, added, total = _resized(book_id, instrument_id, ratio, effective_at)
        fact = Fact(
            portfolio_id=portfolio_id,
            book_id=book_id,
            kind=EntryKind.SPLIT,
            instrument_id=instrument_id,
            quantity=added,
            currency=portfolio.base_currency,
            ratio=ratio,
            effective_at=effective_at,
        )
        treatment = Treatment(settles_on=local_date(HOME_CALENDAR, effective_at), booking=Booking())
        entry = fact_post(fact, treatment=treatment, source=source, source_ref=source_ref, recorded_at=recorded_at)
        lots_resize(sizes)
        fraction = total - int(total)
        if fraction and in_lieu_price is not None:
            entry_post(
                portfolio_id=portfolio_id, book_id=book_id, kind=EntryKind.CASH_IN_LIEU, instrument_id=instrument_id, quantity=-fraction,
                price=in_lieu_price, currency=portfolio.base_currency, source=source, source_ref=f"{source_ref}:lieu",
                effective_at=effective_at, recorded_at=recorded_at, locked=portfolio,
            )  # fmt: skip
        return entry


def _same_split(posted: LedgerEntry, book_id: int, instrument_id: int, ratio: Decimal) -> LedgerEntry:
    if (posted.book_id, posted.instrument_id, posted.ratio) != (book_id, instrument_id, ratio):
        raise Conflict(f"{posted.source}:{posted.source_ref} was posted before, and says otherwise", field="source_ref", entry_id=posted.pk)
    return posted


def _resized(book_id: int, instrument_id: int, ratio: Decimal, at: datetime) -> tuple[list[tuple[int, Decimal, Decimal]], Decimal, Decimal]:
    """Each lot with its new quantities, what that adds to the position, and what the position is then."""
    lots = list(Lot.objects.filter(book_id=book_id, instrument_id=instrument_id).exclude(remaining=0).order_by("opened_at", "id"))
    older = [lot for lot in lots if lot.opened_at < at]
    if not older:
        raise InvalidInput("the book held nothing that could be split", field="instrument_id")
    closed_later = LotClosure.objects.filter(
        lot__book_id=book_id, lot__instrument_id=instrument_id, lot__opened_at__lt=at, entry__effective_at__gte=at
    ).exists()
    if closed_later:
        raise Conflict("shares from before the split were closed after it", field="effective_at")
    sizes = [(lot.pk, _split(lot.quantity, ratio), _split(lot.remaining, ratio)) for lot in older]
    added = sum((remaining for _, _, remaining in sizes), ZERO) - sum((lot.remaining for lot in older), ZERO)
    return sizes, added, sum((lot.remaining for lot in lots), ZERO) + added


def _split(quantity: Decimal, ratio: Decimal) -> Decimal:
    units = split_quantity(int(quantity.scaleb(QUANTITY_PLACES)), new=int(ratio.scaleb(RATIO_PLACES)), old=10**RATIO_PLACES)
    return Decimal(units).scaleb(-QUANTITY_PLACES)


def shares_transfer(
    *,
    from_portfolio_id: int,
    from_book_id: int,
    to_portfolio_id: int,
    to_book_id: int,
    instrument_id: int,
    quantity: Decimal,
    lots: Named | None = None,
    source: str,
    source_ref: str,
    effective_at: datetime,
    recorded_at: datetime,
) -> tuple[LedgerEntry, ...]:
    """Move shares between books, lot by lot, with their cost and day of acquisition; nothing is earned. Entries in pairs: out, in.

    `quantity` is signed like the position. Lots go by the giving portfolio's method, or as `lots` names them.
    Raises InvalidInput (one book, more than is held, portfolios of different currencies), NotFound, Conflict (the receiving book holds the
    other side, or the reference was used for something else).
    """
    quantity = number(quantity, places=QUANTITY_PLACES, digits=QUANTITY_DIGITS, field="quantity")
    if not quantity:
        raise InvalidInput("a transfer has a quantity", field="quantity")
    if from_book_id == to_book_id:
        raise InvalidInput("a transfer goes to another book", field="to_book_id")
    reference_check(source, source_ref)
    with transaction.atomic():
        for portfolio_id in sorted({from_portfolio_id, to_portfolio_id}):
            portfolio_lock(portfolio_id)
        giver = portfolio_of_book(portfolio_id=from_portfolio_id, book_id=from_book_id)
        taker = portfolio_of_book(portfolio_id=to_portfolio_id, book_id=to_book_id)
        if posted := _transferred(source, source_ref, from_book_id, to_book_id, instrument_id, quantity):
            return posted
        if giver.base_currency != taker.base_currency:
            raise InvalidInput(f"{giver.name} counts in {giver.base_currency}, {taker.name} in {taker.base_currency}", field="to_portfolio_id")
        if open_position(book_id=to_book_id, instrument_id=instrument_id, against=quantity).lots:
            raise Conflict("the receiving book holds the other side: the shares would close it", field="to_book_id")
        held = open_position(book_id=from_book_id, instrument_id=instrument_id, against=-quantity)
        entries: list[LedgerEntry] = []
        for count, closure in enumerate(_leaving(held, quantity, giver, lots)):
            pair = _pair(closure, held, giver, taker, (from_book_id, to_book_id), instrument_id, effective_at)
            for leg, (fact, treatment) in zip(("out", "in"), pair, strict=True):
                ref = f"{source_ref}:{count}:{leg}"
                entries.append(fact_post(fact, treatment=treatment, source=source, source_ref=ref, recorded_at=recorded_at))
        return tuple(entries)


def _transferred(source: str, source_ref: str, from_book: int, to_book: int, instrument: int, quantity: Decimal) -> tuple[LedgerEntry, ...]:
    """The entries of this transfer, if it was made before."""
    if entry_posted_as(source, f"{source_ref}:0:out") is None:
        return ()
    entries = LedgerEntry.objects.filter(source=source, source_ref__startswith=f"{source_ref}:", kind=EntryKind.TRANSFER).order_by("id")
    moved = {row["book_id"]: row["total"] for row in entries.filter(instrument_id=instrument).values("book_id").annotate(total=Sum("quantity"))}
    if moved != {from_book: -quantity, to_book: quantity}:
        raise Conflict(f"{source}:{source_ref} was posted before, and says otherwise", field="source_ref")
    return tuple(entries)


def _leaving(held: OpenPosition, quantity: Decimal, giver: Portfolio, lots: Named | None) -> tuple[Closure, ...]:
    """The pieces that leave. Raises InvalidInput when there are not as many."""
    booking = trade_book(open_lots=held.lots, quantity=-quantity, amount=ZERO, method=LotMethod(giver.lot_method), named=lots)
    if booking.opening is not None:
        raise InvalidInput(f"the book holds {sum((lot.remaining for lot in held.lots), ZERO):f}, not {quantity:f}", field="quantity")
    return booking.closures


def _pair(
    closure: Closure, held: OpenPosition, giver: Portfolio, taker: Portfolio, books: tuple[int, int], instrument_id: int, at: datetime
) -> tuple[tuple[Fact, Treatment], tuple[Fact, Treatment]]:
    """One lot's piece, out of one book and into the other, at its cost."""
    settles_on, acquired_at = local_date(HOME_CALENDAR, at), held.opened_at[closure.lot_id]

    def fact(portfolio: Portfolio, book_id: int, sign: int) -> Fact:
        return Fact(
            portfolio_id=portfolio.pk,
            book_id=book_id,
            kind=EntryKind.TRANSFER,
            instrument_id=instrument_id,
            quantity=sign * closure.quantity,
            cost=sign * closure.cost,
            acquired_at=acquired_at,
            currency=portfolio.base_currency,
            effective_at=at,
        )

    at_cost = Closure(lot_id=closure.lot_id, quantity=closure.quantity, cost=closure.cost, proceeds=closure.cost)
    leaving = Treatment(
        settles_on=settles_on,
        booking=Booking(closures=(at_cost,)),
        lot_method=LotMethod.SPECIFIC.value,
        picks=picks_of(held, {closure.lot_id: closure.quantity}),
    )
    arriving = Treatment(settles_on=settles_on, booking=Booking(opening=Opening(quantity=closure.quantity, cost=closure.cost)))
    return (fact(giver, books[0], -1), leaving), (fact(taker, books[1], 1), arriving)


def fx_convert(
    *,
    portfolio_id: int,
    book_id: int,
    sold: Decimal,
    sold_currency: str,
    sold_rate: Decimal | None = None,
    bought: Decimal,
    bought_currency: str,
    bought_rate: Decimal | None = None,
    source: str,
    source_ref: str,
    effective_at: datetime,
    recorded_at: datetime,
) -> tuple[LedgerEntry, LedgerEntry]:
    """Sell cash of one currency for cash of another (both amounts positive): two entries, out and in, together or not at all.

    The rates are base per unit of each currency, for what is not in the base currency. Raises InvalidInput, NotFound, Conflict.
    """
    for field, amount in (("sold", sold), ("bought", bought)):
        if amount <= 0:
            raise InvalidInput(f"the amount was {amount}, but it must be positive", field=field)
    if sold_currency == bought_currency:
        raise InvalidInput("a conversion has two currencies", field="bought_currency")
    reference_check(source, source_ref)
    legs = (("out", -sold, sold_currency, sold_rate), ("in", bought, bought_currency, bought_rate))
    with transaction.atomic():
        out, into = (
            entry_post(
                portfolio_id=portfolio_id, book_id=book_id, kind=EntryKind.FX, amount=amount, currency=currency, fx_rate=rate,
                source=source, source_ref=f"{source_ref}:{leg}", effective_at=effective_at, recorded_at=recorded_at,
            )
            for leg, amount, currency, rate in legs
        )  # fmt: skip
        return out, into
