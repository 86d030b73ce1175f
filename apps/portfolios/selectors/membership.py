"""Who may trade where, as the gate asks it: afresh for each order, so that what was taken away counts from the next order on."""

from apps.core.postgres.rows import fetch
from apps.portfolios.models import PortfolioRole, PortfolioStatus

# The user is active and has the permission (as superuser, directly or by a group: what User.has_perm answers by three queries), is a
# trader or manager of the portfolio, and the portfolio is open. In one statement, because each order asks it twice; each condition is asked by
# what is given, not row by row, or PostgreSQL reads all that groups may.
_PERMISSION = """(select p.id from auth_permission p where p.codename = 'add_order' and p.content_type_id = (
    select t.id from django_content_type t where t.app_label = 'execution' and t.model = 'order'))"""
MAY_TRADE = f"""
select portfolio.base_currency, (select id from portfolios_book where portfolio_id = portfolio.id and name = %(book)s)
from portfolios_portfoliomembership member
join portfolios_portfolio portfolio on portfolio.id = member.portfolio_id and portfolio.status = %(status)s
join core_user u on u.id = member.user_id
where member.user_id = %(user)s and member.portfolio_id = %(portfolio)s and member.role = any(%(roles)s) and u.is_active and (u.is_superuser
    or exists (select from core_user_user_permissions own where own.user_id = %(user)s and own.permission_id = {_PERMISSION})
    or exists (select from core_user_groups g join auth_group_permissions gp on gp.group_id = g.group_id
        where g.user_id = %(user)s and gp.permission_id = {_PERMISSION}))
"""  # noqa: S608 - a fixed text


def tradable_currency(*, user_id: int, portfolio_id: int) -> str | None:
    """Base currency of the portfolio when it is open and the user may place orders in it, else None."""
    return _may_trade(user_id, portfolio_id, "")[0]


def tradable_book(*, user_id: int, portfolio_id: int, book: str) -> int | None:
    """Id of the portfolio's book of that name under the same conditions; None also where there is no such book. One query for both."""
    return _may_trade(user_id, portfolio_id, book)[1]


def may_trade_values(*, user_id: int | None, portfolio_id: int, book: str = "") -> dict[str, int | str | list[str] | None]:
    """What `MAY_TRADE` is asked with."""
    return {
        "book": book,
        "user": user_id,
        "portfolio": portfolio_id,
        "roles": [PortfolioRole.TRADER.value, PortfolioRole.MANAGER.value],
        "status": PortfolioStatus.ACTIVE.value,
    }


def _may_trade(user_id: int, portfolio_id: int, book: str) -> tuple[str | None, int | None]:
    for currency, book_id in fetch(MAY_TRADE, may_trade_values(user_id=user_id, portfolio_id=portfolio_id, book=book)):
        return currency, book_id
    return None, None
