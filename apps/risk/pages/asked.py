"""What an address asks of the risk page."""

from typing import TypeVar

from django.http import HttpRequest

from apps.core.clock import now
from apps.core.errors import InvalidInput
from apps.risk.domain.portfolio_risk import CONFIDENCES, HORIZONS
from apps.risk.selectors.board import RiskBoard

Value = TypeVar("Value")


def asked_board(request: HttpRequest, portfolio_id: int) -> RiskBoard:
    """At the confidence and horizon that the address names. Raises InvalidInput for others than those that are computed."""
    confidence = _one_of(request, "confidence", {f"{one:g}": one for one in CONFIDENCES})
    horizon = _one_of(request, "horizon", {str(one): one for one in HORIZONS})
    return RiskBoard(portfolio_id=portfolio_id, now=now(), confidence=confidence, horizon=horizon)


def _one_of(request: HttpRequest, name: str, known: dict[str, Value]) -> Value:
    """The named one, the first where the address names none."""
    wanted = request.GET.get(name, next(iter(known)))
    if wanted not in known:
        raise InvalidInput(f"{name} is one of {', '.join(known)}, not {wanted!r}", field=name)
    return known[wanted]
