"""The trading state of a portfolio: its own and the desk's, of which the stricter one holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apps.core.trading import TradingState

_STRICTNESS: Final = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    """What may be traded, since when (None: it was never switched), by whom and why. `desk` says that the whole desk is in it."""

    state: TradingState
    reason: str = ""
    since: datetime | None = None
    by: str = ""
    desk: bool = False
    change_id: int | None = None


ACTIVE: Final = StateView(state=TradingState.ACTIVE)


def stricter(own: StateView, desk: StateView) -> StateView:
    """The stricter of the two; the desk's where they are equally strict and not ACTIVE."""
    own_level, desk_level = _STRICTNESS[own.state], _STRICTNESS[desk.state]
    return desk if desk_level > own_level or (desk_level == own_level > 0) else own
