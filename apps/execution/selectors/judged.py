"""What risk has said about orders, for the replay of a limit."""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.core.trading import Check, Outcome
from apps.risk.domain.replay import JudgedOrder

# Of the thirty checks of a decision one is wanted: the database picks it.
_JUDGED = """
select o.id, o.portfolio_id, o.book_id, o.instrument_id, i.symbol, i.sector, o.strategy, d.decided_at,
    jsonb_path_query_first(d.checks, '$[*] ? (@.code == $code)', jsonb_build_object('code', %(code)s::text))::text
from execution_orderdecision d join execution_order o on o.id = d.order_id join marketdata_instrument i on i.id = o.instrument_id
where d.authority = 'risk' and d.decided_at >= %(since)s and d.decided_at <= %(until)s
    and (%(portfolio)s::bigint is null or o.portfolio_id = %(portfolio)s)
order by d.id
"""


def judged_orders(code: str, portfolio_id: int | None, since: datetime, until: datetime) -> Iterator[JudgedOrder]:
    """Each decision of risk in the time, with its check of this code (None: it made none). One query."""
    with connection.cursor() as cursor:
        cursor.execute(_JUDGED, {"code": code, "portfolio": portfolio_id, "since": since, "until": until})
        rows = cursor.fetchall()
    for *fields, strategy, decided_at, check in rows:
        order_id, portfolio, book_id, instrument_id, symbol, sector = fields
        yield JudgedOrder(
            order_id=order_id,
            portfolio_id=portfolio,
            book_id=book_id,
            instrument_id=instrument_id,
            symbol=symbol,
            sector=sector,
            strategy=strategy,
            decided_at=decided_at,
            check=None if check is None else check_from_dict(json.loads(check)),
        )


def check_from_dict(stored: dict[str, Any]) -> Check:
    """The check that `check_as_dict` has written."""
    numbers = {name: None if stored[name] is None else Decimal(stored[name]) for name in ("limit", "before", "after")}
    return Check(code=stored["code"], outcome=Outcome(stored["outcome"]), message=stored["message"], unit=stored["unit"], **numbers)
