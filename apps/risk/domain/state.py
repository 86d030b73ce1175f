"""The trading state of a portfolio: its own and the desk's, of which the stricter one holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apps.core.trading import TradingState

_STRICTNESS: Final = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    """What may be traded, since when (None: it was never switched), by whom and why.

    `scope` is the portfolio that was switched, None for the whole desk; `change_id` the row that says so, `by_id` the user. `flatten`:
    it only reduces because everything is being closed.
    """

    state: TradingState
    reason: str = ""
    since: datetime | None = None
    by: str = ""
    scope: int | None = None
    change_id: int | None = None
    by_id: int | None = None
    flatten: bool = False

    @property
    def desk(self) -> bool:
        """True when the whole desk is in this state."""
        return self.scope is None

    @property
    def level(self) -> tuple[int, bool]:
        """How strict it is. Closing everything is stricter than only reducing, and less than standing still."""
        return _STRICTNESS[self.state], self.flatten


def never_switched(scope: int | None) -> StateView:
    """ACTIVE, as every scope begins."""
    return StateView(state=TradingState.ACTIVE, scope=scope)


def stricter(own: StateView, desk: StateView) -> StateView:
    """The stricter of the two; the desk's where they are equally strict and not ACTIVE."""
    own_level, desk_level = own.level, desk.level
    return desk if desk_level > own_level or (desk_level == own_level and desk.state is not TradingState.ACTIVE) else own
