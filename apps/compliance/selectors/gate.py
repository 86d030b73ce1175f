"""What compliance reads first of an order that waits: whether its user may trade, and what restricts it. One query."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apps.core.postgres.base import Question
from apps.core.postgres.rows import fetch
from apps.core.trading import OrderIntent
from apps.portfolios.selectors.membership import MAY_TRADE, may_trade_values

# A row for each restriction, and one where there is none; the currency is null where the user may not trade.
_AT_GATE: Final = f"""
select (select may.base_currency from ({MAY_TRADE}) may), r.level, r.reason from (values (true)) gate (is_there) left join (
    select id, level, reason from compliance_restriction
    where instrument_id = %(instrument)s and (portfolio_id is null or portfolio_id = %(portfolio)s) and active_from <= %(at)s
        and (active_to is null or active_to > %(at)s)) r on gate.is_there
order by r.id
"""  # noqa: S608 - made of fixed texts


@dataclass(frozen=True, slots=True, kw_only=True)
class AtGate:
    """Base currency of the portfolio where it is open and the user may place orders in it, else None; (level, reason) of each restriction that
    concerns orders of the portfolio in the instrument."""

    tradable_currency: str | None
    restrictions: tuple[tuple[str, str], ...]


def at_gate_question(intent: OrderIntent, *, user_id: int | None, at: datetime) -> Question:
    """What `at_gate` asks, for `asked_together`."""
    values = may_trade_values(user_id=user_id, portfolio_id=intent.portfolio_id)
    return _AT_GATE, {**values, "instrument": intent.instrument_id, "at": at}


def at_gate(intent: OrderIntent, *, user_id: int | None, at: datetime) -> AtGate:
    """What stands at a moment of wall time. In SQL, because each order asks it."""
    rows = fetch(*at_gate_question(intent, user_id=user_id, at=at))
    restrictions = tuple((level, reason) for _, level, reason in rows if level is not None)
    return AtGate(tradable_currency=rows[0][0], restrictions=restrictions)
