"""What an address asks of the risk page."""

from typing import TypeVar

from django.http import HttpRequest

from apps.core.clock import now
from apps.core.errors import InvalidInput
from apps.core.money import QUANTITY_DIGITS, QUANTITY_PLACES, exact
from apps.core.trading import Side
from apps.risk.domain.portfolio_risk import CONFIDENCES, HORIZONS
from apps.risk.domain.what_if import HypotheticalTrade
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.what_if import trade_at_market

Value = TypeVar("Value")


def asked_board(request: HttpRequest, portfolio_id: int) -> RiskBoard:
    """At the confidence and horizon that the address names, with the trade that it asks about (`symbol`, `side`, `quantity`).

    Raises InvalidInput for others than those that are computed and for a trade that is none, NotFound for its symbol.
    """
    confidence = _one_of(request, "confidence", {f"{one:g}": one for one in CONFIDENCES})
    horizon = _one_of(request, "horizon", {str(one): one for one in HORIZONS})
    board = RiskBoard(portfolio_id=portfolio_id, now=now(), confidence=confidence, horizon=horizon)
    if request.GET.get("symbol"):
        board.trade = _asked_trade(request, board)
    return board


def _asked_trade(request: HttpRequest, board: RiskBoard) -> HypotheticalTrade:
    side = _one_of(request, "side", {side.value: side for side in Side})
    quantity = exact(request.GET.get("quantity", "").replace(",", ""), places=QUANTITY_PLACES, field="quantity")
    if quantity <= 0 or quantity.adjusted() >= QUANTITY_DIGITS - QUANTITY_PLACES:
        raise InvalidInput("a trade has a positive number of shares", field="quantity")
    summary = board.view.summary
    return trade_at_market(
        symbol=request.GET["symbol"].strip().upper(), quantity=quantity * side.sign, base=summary.currency, market_time=summary.market_time
    )


def _one_of(request: HttpRequest, name: str, known: dict[str, Value]) -> Value:
    """The named one, the first where the address names none."""
    wanted = request.GET.get(name, next(iter(known)))
    if wanted not in known:
        raise InvalidInput(f"{name} is one of {', '.join(known)}, not {wanted!r}", field=name)
    return known[wanted]
