"""What may be sold short today, and where Rule 201 restricts it."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from apps.core.postgres.rows import fetch

_LOCATED = """
select coalesce((select sum(quantity) from compliance_locate
        where portfolio_id = %(portfolio)s and instrument_id = %(instrument)s and session = %(session)s), 0)
    - coalesce((select sum(quantity) from compliance_locateuse
        where portfolio_id = %(portfolio)s and instrument_id = %(instrument)s and session = %(session)s and client_order_id <> %(order)s), 0)
"""


def located_quantity(*, portfolio_id: int, instrument_id: int, session: date, client_order_id: UUID) -> Decimal:
    """Shares (>= 0) that the portfolio has located for the session and other orders than this one have not used."""
    values = {"portfolio": portfolio_id, "instrument": instrument_id, "session": session, "order": client_order_id}
    ((quantity,),) = fetch(_LOCATED, values)
    return max(Decimal(0), quantity)


def restricted_since(*, instrument_id: int, session: date) -> date | None:
    """The session whose fall restricts short sales in `session`; None where nothing does."""
    rows = fetch(
        "select max(session) from compliance_shortsalerestriction where instrument_id = %s and session <= %s and last_session >= %s",
        [instrument_id, session, session],
    )
    found: date | None = rows[0][0]
    return found
