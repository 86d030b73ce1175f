"""What the risk page is made of: everything about one portfolio's risk, each part read once and only when a table asks for it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from apps.risk.domain.summary import RiskView
from apps.risk.selectors.stops import StopStatus, stop_status
from apps.risk.selectors.summary import risk_view_now


@dataclass(kw_only=True)
class RiskBoard:
    """One portfolio's risk at `now`, the wall time. (No slots: what several tables ask for is read once and kept.)"""

    portfolio_id: int
    now: datetime

    @cached_property
    def view(self) -> RiskView:
        """Value and limits at the latest prices. Raises Unavailable when prices cannot be read."""
        return risk_view_now(portfolio_id=self.portfolio_id, now=self.now)

    @cached_property
    def stops(self) -> StopStatus:
        """Where positions stand to the stop of the VIX's regime."""
        return stop_status(self.view)
