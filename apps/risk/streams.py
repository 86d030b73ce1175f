"""The live channel "portfolio:<id>": valuation and risk of one portfolio. The monitor sends the deltas."""

from typing import Any

from apps.core import clock
from apps.core.errors import NotFound
from apps.core.models import User
from apps.core.streams import register_stream
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.risk.selectors.summary import portfolio_frame, risk_view_now


def _snapshot(user: User, key: str) -> dict[str, Any]:  # noqa: ARG001 - every stream's snapshot is told the user
    return portfolio_frame(risk_view_now(portfolio_id=int(key), now=clock.now()))


def _allowed(user: User, key: str) -> bool:
    if not key.isdecimal():
        return False
    try:
        portfolio_get(user=user, portfolio_id=int(key))
    except NotFound:
        return False
    return True


def register_portfolio_stream() -> None:
    """Declare the stream; called when Django is ready."""
    register_stream("portfolio", snapshot=_snapshot, allowed=_allowed)
