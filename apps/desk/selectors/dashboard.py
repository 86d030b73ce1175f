"""The home screen: one portfolio at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apps.alerts.selectors import ReceivedAlert, open_alerts
from apps.desk.selectors.shell import portfolio_chosen
from apps.execution.selectors.orders import orders_traded, working_count
from apps.portfolios.domain.valuation import PositionValue, Valuation
from apps.portfolios.selectors.portfolios import portfolios_visible
from apps.risk.domain.limits import LimitKind, LimitUse
from apps.risk.domain.summary import RiskSummary
from apps.risk.selectors.measured import latest_snapshot
from apps.risk.selectors.summary import risk_view_now

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.portfolios.models import Portfolio

POSITIONS = 10
TRADES = 10
ALERTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """`positions` are the ten with the largest day P&L by amount, unknown ones first: they need a look.

    `total_return` is time-weighted: the value compounded without flows, less one. `measured` is the last stored snapshot of the risk, None
    before the first.
    """

    portfolio: "Portfolio"
    valuation: Valuation
    summary: RiskSummary
    positions: Sequence[PositionValue]
    trades: Sequence[dict[str, Any]]
    alerts: Sequence[ReceivedAlert]
    working: int
    measured: Any

    @property
    def channel(self) -> str:
        return f"portfolio:{self.portfolio.pk}"

    @property
    def day_return(self) -> Decimal | None:
        """Day P&L on the equity that the day began with."""
        return self.valuation.day_return

    @property
    def total_return(self) -> Decimal | None:
        return None if self.summary.wealth is None else self.summary.wealth - 1

    @property
    def drawdown_use(self) -> LimitUse | None:
        return self._use(LimitKind.DRAWDOWN)

    @property
    def loss_use(self) -> LimitUse | None:
        return self._use(LimitKind.DAILY_LOSS)

    @property
    def var_share(self) -> float | None:
        """Historical value at risk of one session at 95 % as a fraction of the equity, when it was measured last."""
        known = self.measured is not None and self.measured.var_95 is not None and self.measured.equity
        return self.measured.var_95 / self.measured.equity if known else None

    @property
    def var_use(self) -> LimitUse | None:
        return self._use(LimitKind.VAR)

    @property
    def exposure_use(self) -> LimitUse | None:
        return self._use(LimitKind.TOTAL_EXPOSURE)

    def _use(self, kind: LimitKind) -> LimitUse | None:
        return next((use for use in self.summary.limits if use.kind is kind), None)


def dashboard(*, user: "User", wanted_portfolio: object, now: datetime) -> Dashboard | None:
    """The dashboard of the wanted portfolio, or of the first that the user sees; None when there is none."""
    portfolio = portfolio_chosen(list(portfolios_visible(user)), wanted_portfolio)
    if portfolio is None:
        return None
    view = risk_view_now(portfolio_id=portfolio.pk, now=now)
    by_result = sorted(view.valuation.positions, key=lambda p: (p.day_pnl is not None, -abs(p.day_pnl or Decimal(0))))
    return Dashboard(
        portfolio=portfolio,
        valuation=view.valuation,
        summary=view.summary,
        positions=by_result[:POSITIONS],
        trades=orders_traded(portfolio.pk, limit=TRADES),
        alerts=open_alerts(user, limit=ALERTS),
        working=working_count([portfolio.pk]),
        measured=latest_snapshot(portfolio.pk),
    )
