"""What a counterparty corrects after it was booked: the entry is reversed by one entry and booked anew by another. Nothing is changed."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import F

from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.money import ZERO
from apps.portfolios.models import EntryKind, LedgerEntry, Lot, Portfolio
from apps.portfolios.services.ledger import entry_post, entry_posted_as, portfolio_of_book

REVERSAL, CORRECTION = "reversal", "correction"


def trade_correct(
    *,
    source: str,
    source_ref: str,
    version: str,
    quantity: Decimal,
    price: Decimal,
    fee: Decimal | None,
    effective_at: datetime,
    recorded_at: datetime,
    locked: Portfolio | None = None,
) -> tuple[LedgerEntry, ...]:
    """Book `version` of a trade that was posted as (source, source_ref): what stood so far is reversed, and this stands instead.

    `quantity` is signed; 0 is a trade that never was, which is reversed only. `fee` is that of the whole trade (None: as it was): what it is
    more than was booked goes into the new entry, a lower one changes nothing. The reversal stands at the time and the rate of what it
    reverses, and closes the very lot that this opened while that is whole. Returns the entries that were posted, none when this
    version was booked before. Raises NotFound, InvalidInput for an entry that is no trade, and Conflict when a split has multiplied its shares
    since: what is told in shares of then is for people.
    """
    ref = f"{source}:{source_ref}:{version}"
    first = entry_posted_as(source, source_ref)
    if first is None:
        raise NotFound(f"no entry {source}:{source_ref}", field="source_ref")
    if first.kind != EntryKind.TRADE or first.instrument_id is None:
        raise InvalidInput(f"{source}:{source_ref} is a {first.kind}, no trade", field="source_ref")
    with transaction.atomic():
        portfolio = locked or portfolio_of_book(portfolio_id=first.portfolio_id, book_id=first.book_id)
        if entry_posted_as(REVERSAL, ref) or entry_posted_as(CORRECTION, ref):
            return ()
        later = LedgerEntry.objects.filter(book_id=first.book_id, instrument_id=first.instrument_id, kind=EntryKind.SPLIT, id__gt=first.pk)
        if later.exists():
            raise Conflict(f"{source}:{source_ref} was split since it was booked: its correction is for people", field="source_ref")
        standing = _standing(first)
        posted = []
        if standing is not None:
            posted.append(
                _again(
                    standing, portfolio, source=REVERSAL, source_ref=ref, quantity=-standing.quantity, price=_price(standing),
                    lots=_whole_lot(standing), effective_at=standing.effective_at, recorded_at=recorded_at,
                )
            )  # fmt: skip
        if quantity:
            more = ZERO if fee is None else max(ZERO, fee - _fees(first))
            posted.append(
                _again(
                    first, portfolio, source=CORRECTION, source_ref=ref, quantity=quantity, price=price, fee=more,
                    effective_at=effective_at, recorded_at=recorded_at,
                )
            )  # fmt: skip
        return tuple(posted)


def _standing(first: LedgerEntry) -> LedgerEntry | None:
    """The entry of the trade that is not reversed; None after one that never was."""
    of_trade = LedgerEntry.objects.filter(source_ref__startswith=f"{first.source}:{first.source_ref}:")
    last = of_trade.filter(source__in=(REVERSAL, CORRECTION)).order_by("-id").first()
    return first if last is None else last if last.source == CORRECTION else None


def _fees(first: LedgerEntry) -> Decimal:
    corrections = LedgerEntry.objects.filter(source=CORRECTION, source_ref__startswith=f"{first.source}:{first.source_ref}:")
    return sum(corrections.values_list("fee", flat=True), first.fee)


def _whole_lot(entry: LedgerEntry) -> dict[int, Decimal] | None:
    lot = Lot.objects.filter(entry=entry, quantity=entry.quantity, remaining=F("quantity")).first()
    return None if lot is None else {lot.pk: lot.remaining}


def _price(entry: LedgerEntry) -> Decimal:
    assert entry.price is not None  # noqa: S101 - the database lets no trade be without one
    return entry.price


def _again(
    like: LedgerEntry,
    portfolio: Portfolio,
    *,
    source: str,
    source_ref: str,
    quantity: Decimal,
    price: Decimal,
    fee: Decimal = ZERO,
    lots: dict[int, Decimal] | None = None,
    effective_at: datetime,
    recorded_at: datetime,
) -> LedgerEntry:
    """A trade in the same instrument and currency, at the same rate."""
    return entry_post(
        portfolio_id=like.portfolio_id,
        book_id=like.book_id,
        kind=EntryKind.TRADE,
        instrument_id=like.instrument_id,
        quantity=quantity,
        price=price,
        fee=fee,
        currency=like.currency,
        fx_rate=None if like.currency == portfolio.base_currency else like.fx_rate,
        lots=lots,
        source=source,
        source_ref=source_ref,
        effective_at=effective_at,
        recorded_at=recorded_at,
        locked=portfolio,
    )
