"""Checks of an order against limits of value at risk, expected shortfall and the loss in the worst stress scenario.

Each is made where its limit is set. Without the number nothing new is opened; a reduction passes, and so does an order that lowers a number
which is above its limit already.
"""

from decimal import ROUND_UP, Decimal
from typing import Final

from apps.core.trading import Check, Outcome
from apps.risk.domain.case import WAIVED, ZERO, Case, against, number
from apps.risk.domain.limits import Limit, LimitKind
from apps.risk.domain.pretrade_risk import RiskChange

PLACES: Final = Decimal("0.000001")
_CHECKS: Final = {
    LimitKind.VAR: ("VAR_LIMIT", "var", "value at risk of a day"),
    LimitKind.EXPECTED_SHORTFALL: ("ES_LIMIT", "es", "expected shortfall of a day"),
    LimitKind.STRESS_LOSS: ("STRESS_LIMIT", "stress", "loss in the worst scenario"),
}
#: Kinds that need what an order does to the portfolio's risk.
TAIL_KINDS: Final = tuple(_CHECKS)


def tail_limits(case: Case) -> list[Check]:
    """One check for each of the limits that is set."""
    return [_check(case, limit, *terms) for kind, terms in _CHECKS.items() if (limit := case.limits.get(kind))]


def _check(case: Case, limit: Limit, code: str, name: str, what: str) -> Check:
    if case.reduces:
        message = f"{WAIVED}the {what} is not limited"
        return Check(code=code, outcome=Outcome.PASS, message=message, unit=limit.kind.unit, limit=limit.hard)
    change: RiskChange | None = None if case.impact is None else getattr(case.impact, name)
    equity = ZERO if case.impact is None else Decimal(repr(case.impact.equity))
    if change is None or change.before is None or change.after is None or equity <= 0:
        message = f"The {what} is not known, so nothing new is opened: {_why(change, equity)}"
        return Check(code=code, outcome=Outcome.BLOCK, message=message, unit=limit.kind.unit, limit=limit.hard)
    before, after = (_fraction(value, equity) for value in (change.before, change.after))
    if limit.hard < after < before:
        message = f"Lowers the {what} from {number(before)} to {number(after)}, still above the limit {number(limit.hard)}"
        return Check(code=code, outcome=Outcome.WARN, message=message, unit=limit.kind.unit, limit=limit.hard, before=before, after=after)
    noted = f"{what} ({change.note})" if change.note else what
    return against(limit, code=code, before=before, after=after, what=noted)


def _why(change: RiskChange | None, equity: Decimal) -> str:
    if change is None:
        return "it could not be computed"
    if change.before is None:
        return f"{change.state.name} ({change.note})" if change.note else change.state.name
    return f"the portfolio is worth {number(equity)}"


def _fraction(value: float, equity: Decimal) -> Decimal:
    """Of the portfolio's value, six places, upwards: what is above a limit by less than that is still above it."""
    return (Decimal(repr(value)) / equity).quantize(PLACES, rounding=ROUND_UP)
