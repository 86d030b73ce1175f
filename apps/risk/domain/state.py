"""The trading state of a portfolio: its own and the desk's, of which the stricter one holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apps.core.trading import TradingState

_STRICTNESS: Final = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    """What may be traded, since when (None: it was never switched), by whom and why.

    `scope` is the portfolio that was switched, None for the whole desk; `change_id` the row that says so.
    """

    state: TradingState
    reason: str = ""
    since: datetime | None = None
    by: str = ""
    scope: int | None = None
    change_id: int | None = None

    @property
    def desk(self) -> bool:
        """True when the whole desk is in this state."""
        return self.scope is None


def never_switched(scope: int | None) -> StateView:
    """ACTIVE, as every scope begins."""
    return StateView(state=TradingState.ACTIVE, scope=scope)


def stricter(own: StateView, desk: StateView) -> StateView:
    """The stricter of the two; the desk's where they are equally strict and not ACTIVE."""
    own_level, desk_level = _STRICTNESS[own.state], _STRICTNESS[desk.state]
    return desk if desk_level > own_level or (desk_level == own_level > 0) else own
