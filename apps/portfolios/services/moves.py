"""What changes shares without a trade, and cash between currencies: splits and conversions. Each is once under its reference."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from apps.core.errors import Conflict, InvalidInput
from apps.core.money import QUANTITY_PLACES, ZERO
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.domain.closing import split_quantity
from apps.portfolios.domain.lots import Booking
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.models import EntryKind, LedgerEntry, Lot, LotClosure
from apps.portfolios.models.ledger import RATIO_DIGITS, RATIO_PLACES
from apps.portfolios.services.entry_checks import number
from apps.portfolios.services.ledger import entry_post, entry_posted_as, fact_post, portfolio_of_book, reference_check
from apps.portfolios.services.posting import Fact, Treatment, lots_resize


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
