"""Memberships as the gate asks for them: one small query for each order."""

from django.db import connection

from apps.portfolios.models import PortfolioRole, PortfolioStatus


def tradable_currency(*, user_id: int, portfolio_id: int) -> str | None:
    """Base currency of the portfolio when it is open and the user is a trader or manager of it, else None.

    Whether the user may place orders at all is a permission, which the caller asks for.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "select p.base_currency from portfolios_portfoliomembership m join portfolios_portfolio p on p.id = m.portfolio_id "
            "where m.user_id = %s and m.portfolio_id = %s and m.role = any(%s) and p.status = %s",
            [user_id, portfolio_id, [PortfolioRole.TRADER.value, PortfolioRole.MANAGER.value], PortfolioStatus.ACTIVE.value],
        )
        row = cursor.fetchone()
    return row[0] if row else None
