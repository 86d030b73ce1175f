"""Who may trade where, as the gate asks it: afresh for each order, so that what was taken away counts from the next order on."""

from django.db import connection

from apps.portfolios.models import PortfolioRole, PortfolioStatus

# The user is active and has the permission (as superuser, directly or by a group: what User.has_perm answers by three queries), is a
# trader or manager of the portfolio, and the portfolio is open. In one statement, because each order asks it twice; the permission's id is
# found first, or PostgreSQL reads all that groups may.
MAY_TRADE = """
with permission as materialized (
    select p.id from auth_permission p join django_content_type t on t.id = p.content_type_id
    where t.app_label = 'execution' and t.model = 'order' and p.codename = 'add_order'
)
select portfolio.base_currency, (select id from portfolios_book where portfolio_id = portfolio.id and name = %(book)s)
from core_user u
join portfolios_portfoliomembership member on member.user_id = u.id and member.role = any(%(roles)s)
join portfolios_portfolio portfolio on portfolio.id = member.portfolio_id and portfolio.status = %(status)s
where u.id = %(user)s and portfolio.id = %(portfolio)s and u.is_active and (u.is_superuser
    or exists (select from core_user_user_permissions own where own.user_id = u.id and own.permission_id = (select id from permission))
    or exists (select from core_user_groups g join auth_group_permissions gp on gp.group_id = g.group_id
        where g.user_id = u.id and gp.permission_id = (select id from permission)))
"""


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
    with connection.cursor() as cursor:
        cursor.execute(MAY_TRADE, may_trade_values(user_id=user_id, portfolio_id=portfolio_id, book=book))
        row = cursor.fetchone()
    return row or (None, None)
