"""What the risk page is made of: everything about one portfolio's risk, each part read once and only when a table asks for it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from apps.risk.domain.factor_exposure import FactorExposure
from apps.risk.domain.limits import LimitScope, LimitUse
from apps.risk.domain.portfolio_risk import CONFIDENCES, HORIZONS, Method, PortfolioRisk, RiskState
from apps.risk.domain.summary import RiskView
from apps.risk.domain.var_backtest import BackTest
from apps.risk.domain.what_if import HypotheticalTrade
from apps.risk.selectors.factor_exposure import factor_exposure
from apps.risk.selectors.pnl_explain import ExplainedSession, session_explained
from apps.risk.selectors.portfolio_risk import risk_inputs
from apps.risk.selectors.reports import StoredReport, reports_stored
from apps.risk.selectors.stops import StopStatus, stop_status
from apps.risk.selectors.stress import StressReport, stress_report
from apps.risk.selectors.summary import risk_view_now
from apps.risk.selectors.utilisation import limit_uses_now
from apps.risk.selectors.var_backtests import hypothetical_back_tests, stored_back_test
from apps.risk.selectors.what_if import WhatIf, what_if

#: Scopes that a limit of the whole portfolio has.
WHOLE = (LimitScope.DESK, LimitScope.PORTFOLIO)
#: Methods that move through a year of history while somebody waits for a page.
QUICK = (Method.HISTORICAL, Method.NORMAL, Method.CORNISH_FISHER)


@dataclass(kw_only=True)
class RiskBoard:
    """One portfolio's risk at `now`, the wall time. (No slots: what several tables ask for is read once and kept.)

    Tables of value at risk are at `confidence` and over `horizon` sessions; `trade` is one that nobody has made.
    """

    portfolio_id: int
    now: datetime
    confidence: float = CONFIDENCES[0]
    horizon: int = HORIZONS[0]
    trade: HypotheticalTrade | None = None

    @cached_property
    def view(self) -> RiskView:
        """Value and limits at the latest prices. Raises Unavailable when prices cannot be read."""
        return risk_view_now(portfolio_id=self.portfolio_id, now=self.now)

    @cached_property
    def uses(self) -> tuple[LimitUse, ...]:
        """Every limit of the portfolio, of the desk and of parts of the portfolio, the most used first."""
        return limit_uses_now(portfolio_id=self.portfolio_id, now=self.now)

    @property
    def limited(self) -> bool:
        """True when the portfolio has limits of its own."""
        return any(use.scope is LimitScope.PORTFOLIO for use in self.uses)

    @property
    def keyed_uses(self) -> list[tuple[str, LimitUse]]:
        """Each use with its key on the page: the kind where the live frame carries the same number, else one that no frame has."""
        parts = {use.kind for use in self.uses if use.scope not in WHOLE}
        told = {use.kind for use in self.view.summary.limits if use.used is not None} - parts
        return [(str(use.kind) if use.kind in told else f"{use.kind} {use.scope} {use.subject}", use) for use in self.uses]

    @cached_property
    def stops(self) -> StopStatus:
        """Where positions stand to the stop of the VIX's regime."""
        return stop_status(self.view)

    @cached_property
    def risk(self) -> PortfolioRisk:
        """Value at risk, its parts and everything else that today's positions and the history of their returns say."""
        return risk_inputs(self.view, now=self.now).full()

    @cached_property
    def factors(self) -> FactorExposure:
        """What today's positions have in the stored market, size and value factors."""
        return factor_exposure(self.risk)

    @cached_property
    def stress(self) -> StressReport:
        """Today's positions under each active scenario. Raises Unavailable when prices cannot be read."""
        return stress_report(portfolio_id=self.portfolio_id, now=self.now)

    @cached_property
    def what_if(self) -> WhatIf | None:
        """Risk and scenarios with `trade`; None where none is asked about."""
        return None if self.trade is None else what_if(self.view, self.trade, now=self.now)

    @cached_property
    def explained(self) -> ExplainedSession:
        """What the last session's result is made of."""
        return session_explained(portfolio_id=self.portfolio_id, now=self.now)

    @cached_property
    def reports(self) -> tuple[StoredReport, ...]:
        """The newest daily reports."""
        return reports_stored(self.portfolio_id, last=10)

    @cached_property
    def backtests(self) -> tuple[BackTest, ...]:
        """Of the stored forecasts at the board's confidence once they are enough to be tested, until then of today's positions through history."""
        stored = tuple(stored_back_test(portfolio_id=self.portfolio_id, method=method, confidence=self.confidence) for method in Method)
        if any(test.state is RiskState.OK for test in stored):
            return stored
        return hypothetical_back_tests(self.risk, QUICK, (self.confidence,))
