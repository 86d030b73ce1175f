"""The live channels "trading" (the desk's trading state) and "trading:<portfolio id>" (the stricter of the desk's and the portfolio's)."""

from functools import partial
from typing import Any

from django.db import transaction

from apps.core.models import User
from apps.core.streams import publish, register_stream
from apps.portfolios.selectors.portfolios import portfolios_visible
from apps.portfolios.selectors.track import active_portfolio_ids
from apps.risk.domain.state import StateView
from apps.risk.selectors.state import trading_state, trading_states


def _as_dict(view: StateView) -> dict[str, Any]:
    return {"state": view.state, "reason": view.reason, "by": view.by, "since": view.since, "desk": view.desk, "flatten": view.flatten}


def _snapshot(_user: User, key: str) -> dict[str, Any]:
    return _as_dict(trading_state(int(key) if key else None))


def _allowed(user: User, key: str) -> bool:
    return not key or (key.isdecimal() and portfolios_visible(user).filter(pk=int(key)).exists())


def register_trading_stream() -> None:
    """Declare the stream; called when Django is ready."""
    register_stream("trading", snapshot=_snapshot, allowed=_allowed)


def trading_state_publish(*, portfolio_id: int | None) -> None:
    """Send the state as it is now to everybody whom a change of this scope concerns: a change of the desk, to every portfolio's channel."""
    if portfolio_id is None:
        transaction.on_commit(partial(publish, "trading", _as_dict(trading_state(None))))
    for key, view in trading_states([portfolio_id] if portfolio_id is not None else active_portfolio_ids()).items():
        transaction.on_commit(partial(publish, f"trading:{key}", _as_dict(view)))
