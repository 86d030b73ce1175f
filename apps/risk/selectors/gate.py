"""What risk reads first of an order that waits: who may trade, what it is held to, and whether anybody watches. One query."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from apps.core.postgres.base import Question
from apps.core.postgres.rows import fetch
from apps.core.trading import OrderIntent, TradingState
from apps.risk.domain.limits import LimitsMet
from apps.risk.domain.state import StateView, never_switched, stricter
from apps.risk.selectors.limits import LIMITS_MET, met_by

_STATE = """(select c.state, null::numeric, null::numeric, c.reason, c.flatten, c.portfolio_id, null::varchar, null::bigint, ''::varchar,
    'state', null::timestamptz from risk_tradingstatechange c where c.portfolio_id {} order by c.id desc limit 1)"""
# The columns of a limit, what the row says, and a time: the limits and the losses that stand broken, the newest change of the portfolio's and of
# the desk's state (flatten, scope and reason stand in columns of their type), and when the live monitor computed all portfolios last.
_AT_GATE: Final = f"""
select met.*, 'limit' as says, null::timestamptz as at from ({LIMITS_MET}) met
union all {_STATE.format("= %(portfolio)s")} union all {_STATE.format("is null")}
union all select '', null, null, '', null, null, null, null, '', 'watch', computed_at from risk_monitorstate
"""  # noqa: S608 - made of fixed texts


@dataclass(frozen=True, slots=True, kw_only=True)
class AtGate:
    """The trading `state` that holds and why, the limits, whether a monitor has ever run here, and when it computed all portfolios last."""

    state: TradingState
    reason: str
    met: LimitsMet
    monitored: bool
    risk_computed_at: datetime | None


def at_gate_question(intent: OrderIntent, at: datetime) -> Question:
    """What `at_gate` asks, for `asked_together`."""
    values: dict[str, Any] = {"portfolio": intent.portfolio_id, "at": at, "book": intent.book_id, "instrument": intent.instrument_id}
    return _AT_GATE, values


def at_gate(intent: OrderIntent, at: datetime) -> AtGate:
    """What stands at a moment of wall time."""
    rows = fetch(*at_gate_question(intent, at))
    states, beats, limits = {}, [], []
    for *row, says, computed_at in rows:
        if says == "state":
            state, _, _, reason, flatten, scope, *_ = row
            states[scope] = StateView(state=TradingState(state), reason=reason, scope=scope, flatten=flatten)
        elif says == "watch":
            beats.append(computed_at)
        else:
            limits.append(tuple(row))
    own, desk = (states.get(scope) or never_switched(scope) for scope in (intent.portfolio_id, None))
    view = stricter(own, desk)
    met, watched_at = met_by(tuple(limits)), beats[0] if beats else None
    return AtGate(state=view.state, reason=view.reason, met=met, monitored=bool(beats), risk_computed_at=watched_at)
