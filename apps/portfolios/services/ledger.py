"""Posting to the ledger: the one way in which money and shares change. Lots, position and cash follow in the same transaction."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import partial

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction

from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.money import QUANTITY_DIGITS, QUANTITY_PLACES, ZERO
from apps.core.postgres.rows import rows_of
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.domain.closing import LotMethod
from apps.portfolios.domain.lots import trade_book
from apps.portfolios.domain.settlement import local_date, trade_settles_on
from apps.portfolios.models import TRADED, LedgerEntry, Portfolio
from apps.portfolios.services.entry_checks import fact_checked, number, rate_check
from apps.portfolios.services.posting import Fact, OpenPosition, Treatment, fact_insert, open_position
from apps.portfolios.signals import entry_posted

# In SQL, because each fill asks it.
LOCKED = "from portfolios_portfolio row join portfolios_book b on b.portfolio_id = row.id where row.id = %s and b.id = %s for update of row"
POSTED = "from portfolios_ledgerentry row where row.source = %s and row.source_ref = %s"

Named = Mapping[int, Decimal]


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
    fx_rate: Decimal | None = None,
    lots: Named | None = None,
    settles_on: date | None = None,
    source: str,
    source_ref: str,
    effective_at: datetime,
    recorded_at: datetime,
    locked: Portfolio | None = None,
) -> LedgerEntry:
    """Post one fact, and bring lots, position and cash up to it, in one transaction, which may be the caller's.

    A trade, and cash in lieu of fractions, give `quantity` (signed, + in), `price` and `fee`; the amount is -(quantity x price) - fee. The
    cash kinds give `amount`: positive for deposit and dividend, negative for withdrawal, fee, borrow fee and a dividend paid on a short,
    either for interest and a leg of a conversion. An entry which is not in the portfolio's currency names its `fx_rate`, base per unit.

    Lots are closed by the portfolio's method, or as `lots` names them (lot id -> quantity, signed like the lot): then they are exactly what
    the trade closes. A trade settles by the rules of its day, cash at once, unless `settles_on` says otherwise.

    The same fact posted again under the same (source, source_ref) returns the first entry and changes nothing. `signals.entry_posted` is
    sent after commit. `locked` is the portfolio's row from a caller who holds its lock, which spares asking for it again; the database ties
    the book to the portfolio.
    Raises InvalidInput (naming the field), NotFound (portfolio, or book not in it), Conflict (other content under the same reference).
    """
    fact = fact_checked(
        portfolio_id=portfolio_id,
        book_id=book_id,
        kind=kind,
        instrument_id=instrument_id,
        quantity=quantity,
        price=price,
        amount=amount,
        fee=fee,
        currency=currency,
        fx_rate=fx_rate,
        effective_at=effective_at,
    )
    reference_check(source, source_ref)
    # No savepoint: an error leaves nothing half-done, in the caller's transaction neither.
    with transaction.atomic(savepoint=False):
        portfolio = locked or portfolio_of_book(portfolio_id=portfolio_id, book_id=book_id)
        held = _held(fact, (source, source_ref))
        if (held is None or held.posted) and (posted := entry_posted_as(source, source_ref)):
            return _same(posted, fact)
        rate_check(fact, base_currency=portfolio.base_currency, fx_rate=fx_rate)
        treatment = _treatment(fact, held=held, method=LotMethod(portfolio.lot_method), named=lots, settles_on=settles_on)
        return fact_post(fact, treatment=treatment, source=source, source_ref=source_ref, recorded_at=recorded_at)


def reference_check(source: str, source_ref: str) -> None:
    """Raises InvalidInput for an entry that does not say where it comes from."""
    if not source or not source_ref:
        raise InvalidInput("a ledger entry names its source and its reference there", field="source_ref")


def portfolio_of_book(*, portfolio_id: int, book_id: int) -> Portfolio:
    """The portfolio's row, locked: first in the fixed order of locks, so that postings to one portfolio queue up."""
    if found := rows_of(Portfolio, LOCKED, [portfolio_id, book_id]):
        return found[0]
    known = Portfolio.objects.filter(pk=portfolio_id).exists()
    raise NotFound(f"no book {book_id} in portfolio {portfolio_id}" if known else f"no portfolio {portfolio_id}")


def entry_posted_as(source: str, source_ref: str) -> LedgerEntry | None:
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


def _held(fact: Fact, reference: tuple[str, str]) -> OpenPosition | None:
    """What a trade may close, and whether it is posted already; None for cash, which touches no lots."""
    if fact.kind not in TRADED or fact.instrument_id is None:
        return None
    return open_position(book_id=fact.book_id, instrument_id=fact.instrument_id, against=fact.quantity, reference=reference)


def _treatment(fact: Fact, *, held: OpenPosition | None, method: LotMethod, named: Named | None, settles_on: date | None) -> Treatment:
    """How a trade closes and opens lots."""
    if held is None:
        if named:
            raise InvalidInput(f"a {fact.kind} closes no lots", field="lots")
        return Treatment(settles_on=settles_on or local_date(HOME_CALENDAR, fact.effective_at))
    named = {lot_id: number(part, places=QUANTITY_PLACES, digits=QUANTITY_DIGITS, field="lots") for lot_id, part in (named or {}).items()}
    if not named and method is LotMethod.SPECIFIC:
        method = LotMethod.FIFO  # nothing was identified
    return Treatment(
        settles_on=settles_on or trade_settles_on(calendar=held.calendar, asset_class=held.asset_class, traded_at=fact.effective_at),
        booking=trade_book(open_lots=held.lots, quantity=fact.quantity, amount=fact.base_amount, method=method, named=named),
        lot_method=LotMethod.SPECIFIC.value if named else method.value,
        picks=picks_of(held, named) if named else None,
    )


def picks_of(held: OpenPosition, named: Named) -> list[tuple[int, str]]:
    """Named lots as the ledger keeps them: by the entries that opened them, which a rebuild knows too."""
    return [(held.entry_ids[lot_id], f"{part:f}") for lot_id, part in named.items()]


def fact_post(fact: Fact, *, treatment: Treatment, source: str, source_ref: str, recorded_at: datetime) -> LedgerEntry:
    """Write a checked fact. The caller holds the portfolio's lock, and has seen that the reference is free. Raises Conflict when it is not."""
    try:
        entry_id = fact_insert(fact, treatment=treatment, source=source, source_ref=source_ref, recorded_at=recorded_at)
    except IntegrityError as error:
        # The portfolio's lock rules out a race inside it; another portfolio may have used the reference meanwhile.
        if "ledger_source_once" in str(error):
            raise Conflict(f"{source}:{source_ref} was posted before to another portfolio", field="source_ref") from error
        raise
    entry = LedgerEntry(
        pk=entry_id,
        **{name: getattr(fact, name) for name in fact.__slots__},
        base_amount=fact.base_amount,
        lot_method=treatment.lot_method,
        lot_picks=None if treatment.picks is None else [list(pick) for pick in treatment.picks],
        settles_on=treatment.settles_on,
        source=source,
        source_ref=source_ref,
        recorded_at=recorded_at,
    )
    entry._state.adding, entry._state.db = False, DEFAULT_DB_ALIAS  # it is stored, as Django sees it too
    transaction.on_commit(
        partial(
            entry_posted.send_robust,
            sender=LedgerEntry,
            portfolio_id=fact.portfolio_id,
            book_id=fact.book_id,
            instrument_id=fact.instrument_id,
            entry_id=entry_id,
            kind=str(fact.kind),
        )
    )
    return entry
