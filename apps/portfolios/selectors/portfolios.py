"""Which portfolios there are, for whom."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.db import connection

from apps.core.errors import NotFound
from apps.portfolios.models import MAIN_BOOK as MAIN_BOOK
from apps.portfolios.models import Book, Portfolio, PortfolioMembership, PortfolioRole
from apps.portfolios.models.portfolios import PortfolioQuerySet

if TYPE_CHECKING:
    from apps.core.models import User


def portfolios_visible(user: "User") -> PortfolioQuerySet:
    """Portfolios whose numbers the user may see, by name."""
    return Portfolio.objects.visible_to(user).order_by("name")


def portfolios_tradable(user: "User") -> PortfolioQuerySet:
    """Active portfolios in which the user may place orders, by name."""
    return Portfolio.objects.tradable_by(user).order_by("name")


def portfolio_get(*, user: "User", portfolio_id: int) -> Portfolio:
    """Raises NotFound, also for a portfolio of others: the two look alike from outside."""
    portfolio = Portfolio.objects.visible_to(user).filter(pk=portfolio_id).first()
    if portfolio is None:
        raise NotFound(f"no portfolio {portfolio_id}")
    return portfolio


def portfolio_by_name(name: str) -> Portfolio:
    """For commands, which name portfolios as people do; a number is an id. Raises NotFound."""
    portfolio = Portfolio.objects.filter(name=name).first()
    if portfolio is None and name.isdecimal():
        portfolio = Portfolio.objects.filter(pk=int(name)).first()
    if portfolio is None:
        raise NotFound(f"no portfolio {name!r}", field="portfolio")
    return portfolio


def portfolio_may_trade(*, user: "User", portfolio_id: int) -> bool:
    """True when the user may place orders in the portfolio and it is open."""
    return Portfolio.objects.tradable_by(user).filter(pk=portfolio_id).exists()


def holds_trading_role(*, user: "User", portfolio_ids: Collection[int]) -> bool:
    """True when the user is a trader or manager of one of these portfolios, also of a closed one and whatever permissions the user has."""
    roles = [PortfolioRole.TRADER, PortfolioRole.MANAGER]
    return PortfolioMembership.objects.filter(portfolio_id__in=portfolio_ids, user_id=user.pk, role__in=roles).exists()


def portfolio_manages(*, user: "User", portfolio_id: int) -> bool:
    """True when the user is a manager of the portfolio."""
    return PortfolioMembership.objects.filter(portfolio_id=portfolio_id, user_id=user.pk, role=PortfolioRole.MANAGER).exists()


def portfolios_managed(user: "User") -> frozenset[int]:
    """Ids of the portfolios of which the user is a manager."""
    rows = PortfolioMembership.objects.filter(user_id=user.pk, role=PortfolioRole.MANAGER)
    return frozenset(rows.values_list("portfolio_id", flat=True))


def books(portfolio_id: int) -> dict[str, int]:
    """Ids of the portfolio's books, by name."""
    with connection.cursor() as cursor:
        cursor.execute("select name, id from portfolios_book where portfolio_id = %s order by name", [portfolio_id])
        return dict(cursor.fetchall())


def books_many(portfolio_ids: Collection[int]) -> dict[int, list[str]]:
    """Names of the books of several portfolios: the main one first, the others in order."""
    found: dict[int, list[str]] = {portfolio_id: [] for portfolio_id in portfolio_ids}
    rows = Book.objects.filter(portfolio_id__in=portfolio_ids).order_by("portfolio_id", "name").values_list("portfolio_id", "name")
    for portfolio_id, name in rows:
        found[portfolio_id].insert(0 if name == MAIN_BOOK else len(found[portfolio_id]), name)
    return found


def portfolio_names(portfolio_ids: Collection[int] | None = None) -> dict[int, str]:
    """Names by id: of all portfolios, or of some."""
    found = Portfolio.objects.all() if portfolio_ids is None else Portfolio.objects.filter(pk__in=portfolio_ids)
    return dict(found.order_by("id").values_list("id", "name"))


def benchmark_symbol(portfolio_id: int) -> str:
    """What the portfolio is compared with; "" where it names nothing, or does not exist."""
    return Portfolio.objects.filter(pk=portfolio_id).values_list("benchmark_symbol", flat=True).first() or ""


def portfolio_members(portfolio_id: int) -> tuple[int, ...]:
    """Ids of the users who are members: those who are told what happens to it."""
    return tuple(PortfolioMembership.objects.filter(portfolio_id=portfolio_id).order_by("user_id").values_list("user_id", flat=True))
