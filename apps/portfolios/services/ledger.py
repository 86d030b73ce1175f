"""Posting to the ledger: the one way in which money and shares change. Lots, position and cash follow in the same transaction."""

from datetime import datetime
from decimal import Decimal
from functools import partial

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction

from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES, ZERO, exact
from apps.core.postgres.rows import rows_of
from apps.portfolios.domain.lots import Booking, trade_amount, trade_book
from apps.portfolios.models import EntryKind, LedgerEntry, Portfolio
from apps.portfolios.services.posting import Fact, fact_insert, open_lots
from apps.portfolios.signals import entry_posted

# In SQL, because each fill asks it.
LOCKED = "from portfolios_portfolio row join portfolios_book b on b.portfolio_id = row.id where row.id = %s and b.id = %s for update of row"
POSTED = "from portfolios_ledgerentry row where row.source = %s and row.source_ref = %s"
_INCOME = (EntryKind.DEPOSIT, EntryKind.DIVIDEND)


def entry_post(
    *,
    portfolio_id: int,
    book_id: int,
    kind: str,
    instrument_id: int | None = None,
    quantity: Decimal = ZERO,
    price: Decimal | None = None,
    amount: Decimal | None = None,
    fee: Decimal = ZERO,
    currency: str = "USD",
    source: str,
    source_ref: str,
    effective_at: datetime,
    recorded_at: datetime,
    locked: Portfolio | None = None,
) -> LedgerEntry:
    """Post one fact, and bring lots (FIFO), position and cash up to it, in one transaction, which may be the caller's.

    A trade gives `quantity` (signed, + in), `price` and `fee`; its amount is -(quantity x price) - fee. The cash kinds give `amount`:
    positive for deposit and dividend, negative for withdrawal and fee. The same fact posted again under the same
    (source, source_ref) returns the first entry and changes nothing. `signals.entry_posted` is sent after commit. `locked` is the
    portfolio's row from a caller who holds its lock, which spares asking for it again; the database ties the book to the portfolio.
    Raises InvalidInput (naming the field), NotFound (portfolio, or book not in it), Conflict (other content under the same reference).
    """
    fact = _checked(
        portfolio_id=portfolio_id,
        book_id=book_id,
        kind=kind,
        instrument_id=instrument_id,
        quantity=quantity,
        price=price,
        amount=amount,
        fee=fee,
        currency=currency,
        effective_at=effective_at,
    )
    if not source or not source_ref:
        raise InvalidInput("a ledger entry names its source and its reference there", field="source_ref")
    # No savepoint: an error leaves nothing half-done, in the caller's transaction neither.
    with transaction.atomic(savepoint=False):
        portfolio = locked or _portfolio_of_book(portfolio_id=portfolio_id, book_id=book_id)
        if posted := _posted(source, source_ref):
            return _same(posted, fact)
        if fact.currency != portfolio.base_currency:
            raise InvalidInput(f"{portfolio.name} keeps its books in {portfolio.base_currency}, not {currency}", field="currency")
        entry = _entry_insert(fact, source=source, source_ref=source_ref, recorded_at=recorded_at)
        transaction.on_commit(
            partial(
                entry_posted.send_robust,
                sender=LedgerEntry,
                portfolio_id=portfolio_id,
                book_id=book_id,
                instrument_id=instrument_id,
                entry_id=entry.pk,
                kind=str(fact.kind),
            )
        )
        return entry


def _checked(
    *,
    portfolio_id: int,
    book_id: int,
    kind: str,
    instrument_id: int | None,
    quantity: Decimal,
    price: Decimal | None,
    amount: Decimal | None,
    fee: Decimal,
    currency: str,
    effective_at: datetime,
) -> Fact:
    if kind not in EntryKind.values:
        raise InvalidInput(f"{kind!r} is no kind of ledger entry ({', '.join(EntryKind.values)})", field="kind")
    quantity = _number(quantity, places=QUANTITY_PLACES, digits=QUANTITY_DIGITS, field="quantity")
    fee = _number(fee, places=MONEY_PLACES, digits=MONEY_DIGITS, field="fee")
    if kind == EntryKind.TRADE:
        price, amount = _trade_checked(instrument_id, quantity, price, amount, fee)
    else:
        amount = _cash_checked(EntryKind(kind), quantity, price, amount, fee)
    return Fact(
        portfolio_id=portfolio_id,
        book_id=book_id,
        kind=EntryKind(kind),
        instrument_id=instrument_id,
        quantity=quantity,
        price=price,
        amount=amount,
        fee=fee,
        currency=currency,
        effective_at=effective_at,
    )


def _trade_checked(
    instrument_id: int | None, quantity: Decimal, price: Decimal | None, amount: Decimal | None, fee: Decimal
) -> tuple[Decimal, Decimal]:
    """Price and amount of a trade."""
    if instrument_id is None:
        raise InvalidInput("a trade names its instrument", field="instrument_id")
    if not quantity:
        raise InvalidInput("a trade has a quantity", field="quantity")
    if price is None:
        raise InvalidInput("a trade has a price", field="price")
    price = _number(price, places=PRICE_PLACES, digits=PRICE_DIGITS, field="price")
    if price <= 0:
        raise InvalidInput(f"the price was {price}, but it must be positive", field="price")
    if fee < 0:
        raise InvalidInput(f"the fee was {fee}, but it must not be negative", field="fee")
    computed = _number(trade_amount(quantity=quantity, price=price, fee=fee), places=MONEY_PLACES, digits=MONEY_DIGITS, field="quantity")
    if amount is not None and amount != computed:
        raise InvalidInput(f"the amount was {amount}, but quantity, price and fee make {computed}", field="amount")
    return price, computed


def _cash_checked(kind: EntryKind, quantity: Decimal, price: Decimal | None, amount: Decimal | None, fee: Decimal) -> Decimal:
    """Amount of a cash entry."""
    for field, given in (("quantity", quantity), ("price", price), ("fee", fee)):
        if given:
            raise InvalidInput(f"a {kind} carries an amount only", field=field)
    if amount is None:
        raise InvalidInput(f"a {kind} has an amount", field="amount")
    amount = _number(amount, places=MONEY_PLACES, digits=MONEY_DIGITS, field="amount")
    if amount == 0 or (amount > 0) != (kind in _INCOME):
        raise InvalidInput(f"the amount of a {kind} was {amount}, but it must be {'positive' if kind in _INCOME else 'negative'}", field="amount")
    return amount


def _number(value: Decimal, *, places: int, digits: int, field: str) -> Decimal:
    """The value, exactly as the database stores it."""
    number = exact(value, places=places, field=field)
    if abs(number) >= Decimal(1).scaleb(digits - places):
        raise InvalidInput(f"{value} has more than {digits - places} digits before the point", field=field)
    return number


def _portfolio_of_book(*, portfolio_id: int, book_id: int) -> Portfolio:
    """The portfolio's row, locked: first in the fixed order of locks, so that postings to one portfolio queue up."""
    if found := rows_of(Portfolio, LOCKED, [portfolio_id, book_id]):
        return found[0]
    known = Portfolio.objects.filter(pk=portfolio_id).exists()
    raise NotFound(f"no book {book_id} in portfolio {portfolio_id}" if known else f"no portfolio {portfolio_id}")


def _posted(source: str, source_ref: str) -> LedgerEntry | None:
    """The entry under this reference, if there is one."""
    found = rows_of(LedgerEntry, POSTED, [source, source_ref])
    return found[0] if found else None


def _same(posted: LedgerEntry, fact: Fact) -> LedgerEntry:
    """The entry that was posted before, when it says the same."""
    for field in fact.__slots__:
        was, now = getattr(posted, field), getattr(fact, field)
        if was != now:
            raise Conflict(f"{posted.source}:{posted.source_ref} was posted before with {field} {was}, not {now}", field=field, entry_id=posted.pk)
    return posted


def _entry_insert(fact: Fact, *, source: str, source_ref: str, recorded_at: datetime) -> LedgerEntry:
    try:
        entry_id = fact_insert(fact, booking=_booking(fact), source=source, source_ref=source_ref, recorded_at=recorded_at)
    except IntegrityError as error:
        # The portfolio's lock rules out a race inside it; another portfolio may have used the reference meanwhile.
        if "ledger_source_once" in str(error):
            raise Conflict(f"{source}:{source_ref} was posted before to another portfolio", field="source_ref") from error
        raise
    fields = {name: getattr(fact, name) for name in fact.__slots__}
    entry = LedgerEntry(pk=entry_id, **fields, source=source, source_ref=source_ref, recorded_at=recorded_at)
    entry._state.adding, entry._state.db = False, DEFAULT_DB_ALIAS  # it is stored, as Django sees it too
    return entry


def _booking(fact: Fact) -> Booking | None:
    """What a trade does to the lots of its position; None for cash."""
    if fact.kind != EntryKind.TRADE or fact.instrument_id is None:
        return None
    lots = open_lots(book_id=fact.book_id, instrument_id=fact.instrument_id, quantity=fact.quantity)
    return trade_book(open_lots=lots, quantity=fact.quantity, amount=fact.amount)
