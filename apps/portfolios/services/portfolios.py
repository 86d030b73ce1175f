"""Portfolios, their books and who may see them."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.money import MONEY_DIGITS, MONEY_PLACES, ZERO, exact
from apps.core.postgres.base import Question
from apps.core.postgres.rows import rows_of, rows_question
from apps.marketdata.domain.weights import Optimizer
from apps.marketdata.selectors.instruments import instrument_get
from apps.portfolios.domain.closing import LotMethod
from apps.portfolios.models import (
    MAIN_BOOK,
    Book,
    EntryKind,
    Portfolio,
    PortfolioMembership,
    PortfolioRole,
    PortfolioStatus,
    PortfolioValue,
    Position,
)
from apps.portfolios.selectors.free_cash import orders_open
from apps.portfolios.services.ledger import entry_post
from apps.portfolios.signals import portfolio_opened

if TYPE_CHECKING:
    from apps.core.models import User

NAME_LENGTH, MOST_POSITIONS = 100, 200


def portfolio_create(
    *,
    name: str,
    owner: "User",
    initial_capital: Decimal,
    benchmark_symbol: str = "",
    currency: str = "USD",
    optimizer_type: str = "",
    num_positions: int = 20,
    effective_at: datetime,
    recorded_at: datetime,
) -> Portfolio:
    """Open a portfolio with a book "main", its owner as manager and the capital as first deposit; its value series starts there.

    `effective_at` is market time. Raises InvalidInput (name, capital not positive or with too many places, malformed currency, unknown
    optimiser or benchmark, number of positions), Conflict (a portfolio of that name exists).
    """
    if not 0 < len(name.strip()) <= NAME_LENGTH:
        raise InvalidInput(f"a portfolio has a name of at most {NAME_LENGTH} characters", field="name")
    capital = exact(initial_capital, places=MONEY_PLACES, field="initial_capital")
    if not 0 < capital < Decimal(1).scaleb(MONEY_DIGITS - MONEY_PLACES):
        raise InvalidInput(f"the initial capital was {capital}, but it must be positive", field="initial_capital")
    if len(currency) != 3 or not currency.isascii() or not currency.isupper():
        raise InvalidInput(f"{currency!r} is no ISO 4217 currency code", field="currency")
    if benchmark_symbol:
        _benchmark_check(benchmark_symbol)
    if not 1 <= num_positions <= MOST_POSITIONS:
        raise InvalidInput(f"a portfolio has 1 to {MOST_POSITIONS} positions, not {num_positions}", field="num_positions")
    optimizer = Optimizer.parse(optimizer_type).value if optimizer_type else ""
    with transaction.atomic():
        portfolio = _portfolio_insert(
            name=name.strip(),
            base_currency=currency,
            benchmark_symbol=benchmark_symbol,
            optimizer_type=optimizer,
            num_positions=num_positions,
            created_at=recorded_at,
        )
        book = Book.objects.create(portfolio=portfolio, name=MAIN_BOOK, created_at=recorded_at)
        PortfolioMembership.objects.create(portfolio=portfolio, user=owner, role=PortfolioRole.MANAGER)
        deposit = entry_post(
            portfolio_id=portfolio.pk,
            book_id=book.pk,
            kind=EntryKind.DEPOSIT,
            amount=capital,
            currency=currency,
            source="opening",
            source_ref=f"portfolio:{portfolio.pk}",
            effective_at=effective_at,
            recorded_at=recorded_at,
        )
        PortfolioValue.objects.create(
            portfolio_id=portfolio.pk,
            ts=effective_at,
            cash=capital,
            invested=ZERO,
            total=capital,
            flow=capital,
            last_entry_id=deposit.pk,
            recorded_at=recorded_at,
        )
        return portfolio


def _benchmark_check(symbol: str) -> None:
    try:
        instrument_get(symbol)
    except NotFound as error:
        raise InvalidInput(error.detail, field="benchmark_symbol") from error


def _portfolio_insert(**values: Any) -> Portfolio:
    try:
        with transaction.atomic():
            return Portfolio.objects.create(**values)
    except IntegrityError as error:
        raise Conflict(f"there is a portfolio named {values['name']!r} already", field="name") from error


def portfolio_open(*, is_paper_trading: bool = True, **fields: Any) -> Portfolio:
    """`portfolio_create`, and tell the app that has the brokerage accounts, which gives it one for paper. Raises as that does."""
    with transaction.atomic():
        portfolio = portfolio_create(**fields)
        transaction.on_commit(partial(portfolio_opened.send, sender=Portfolio, portfolio_id=portfolio.pk, is_paper_trading=is_paper_trading))
    return portfolio


_LOCK = "from portfolios_portfolio row where row.id = %s for update"


def portfolio_lock(portfolio_id: int) -> Portfolio:
    """The portfolio's row, locked until the caller's transaction ends: taken first, in order of id, by all that change its orders or money.

    Raises NotFound, and TransactionManagementError outside a transaction. In SQL, because each order asks it twice.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("portfolio_lock needs a transaction")
    found = rows_of(Portfolio, _LOCK, [portfolio_id])
    if not found:
        raise NotFound(f"no portfolio {portfolio_id}", field="portfolio_id")
    return found[0]


def portfolios_lock(portfolio_ids: Collection[int]) -> None:
    """The same for several, in the order in which everybody locks them."""
    for portfolio_id in sorted(portfolio_ids):
        portfolio_lock(portfolio_id)


def portfolio_lock_question(portfolio_id: int) -> Question:
    """What `portfolio_lock` asks, for `asked_together`."""
    return rows_question("null", Portfolio, _LOCK, [portfolio_id])


def book_get_or_create(*, portfolio_id: int, name: str, recorded_at: datetime) -> Book:
    """The portfolio's book of that name. Raises NotFound (portfolio), InvalidInput (empty name)."""
    if not name.strip():
        raise InvalidInput("a book has a name", field="book")
    if not Portfolio.objects.filter(pk=portfolio_id).exists():
        raise NotFound(f"no portfolio {portfolio_id}", field="portfolio_id")
    book, _ = Book.objects.get_or_create(portfolio_id=portfolio_id, name=name.strip(), defaults={"created_at": recorded_at})
    return book


def membership_grant(*, portfolio_id: int, user_id: int, role: str) -> PortfolioMembership:
    """Give a user a role ("viewer", "trader" or "manager") in the portfolio, instead of the one they may have.

    Raises InvalidInput, NotFound (portfolio).
    """
    if role not in PortfolioRole.values:
        raise InvalidInput(f"{role!r} is no role in a portfolio ({', '.join(PortfolioRole.values)})", field="role")
    with transaction.atomic():
        portfolio = portfolio_lock(portfolio_id)
        membership = PortfolioMembership.objects.filter(portfolio=portfolio, user_id=user_id).first()
        if membership is None:
            return PortfolioMembership.objects.create(portfolio=portfolio, user_id=user_id, role=role)
        if membership.role != role:
            membership.role = role
            membership.save()  # one by one, so that history sees it
        return membership


def lot_method_set(*, user: "User", portfolio_id: int, method: str, reason: str) -> Portfolio:
    """Close lots by another method from the next entry on; history keeps who changed it and why. The same method again changes nothing.

    Raises NotFound (also for a portfolio that the user does not see), NotPermitted (not its manager), InvalidInput (method, reason).
    """
    if method not in set(LotMethod):
        raise InvalidInput(f"{method!r} is no lot method ({', '.join(LotMethod)})", field="lot_method")
    if not reason.strip():
        raise InvalidInput("a change of the lot method has a reason", field="reason")
    with transaction.atomic():
        portfolio = portfolio_managed(user=user, portfolio_id=portfolio_id, act="changes its lot method")
        if portfolio.lot_method != method:
            portfolio.lot_method = method
            portfolio._change_reason = reason[:100]  # type: ignore[attr-defined] # read by django-simple-history
            portfolio.save()
        return portfolio


def portfolio_managed(*, user: "User", portfolio_id: int, act: str) -> Portfolio:
    """The portfolio's row, locked, for its manager; `act` is what it says that others may not.

    Raises NotFound (also for a portfolio that the user does not see) and NotPermitted.
    """
    portfolio = Portfolio.objects.visible_to(user).filter(pk=portfolio_id).first()
    if portfolio is None:
        raise NotFound(f"no portfolio {portfolio_id}")
    portfolio = portfolio_lock(portfolio_id)
    if not PortfolioMembership.objects.filter(portfolio=portfolio, user=user, role=PortfolioRole.MANAGER).exists():
        raise NotPermitted(f"only a manager of {portfolio.name} {act}")
    return portfolio


def portfolio_close(*, user: "User", portfolio_id: int, reason: str = "") -> Portfolio:
    """Close a portfolio for trading; its numbers stay. Closing a closed one changes nothing.

    Raises NotFound (also for a portfolio that the user does not see), NotPermitted (not its manager), Conflict (open positions,
    working orders: what they still traded nobody could sell).
    """
    with transaction.atomic():
        portfolio = portfolio_managed(user=user, portfolio_id=portfolio_id, act="closes it")
        if portfolio.status == PortfolioStatus.CLOSED:
            return portfolio
        if opened := Position.objects.filter(book__portfolio=portfolio).exclude(quantity=0).count():
            raise Conflict(f"{portfolio.name} has {opened} open positions: close them first", positions=opened)
        if symbols := sorted({order.symbol for order in orders_open(portfolio_id)}):
            raise Conflict(f"{portfolio.name} still has working orders of {', '.join(symbols)}: cancel them first", symbols=symbols)
        portfolio.status = PortfolioStatus.CLOSED
        portfolio._change_reason = reason[:100]  # type: ignore[attr-defined] # read by django-simple-history
        portfolio.save()
        return portfolio
