"""Telling people about a live engine."""

from datetime import datetime

from apps.alerts.services import alert_raise
from apps.execution.models import TradingEngine
from apps.portfolios.selectors.portfolios import portfolio_members

#: What a strategy may say again at each bar.
REPEATED = "STRATEGY_NOT_TRADING"


def engine_alert(engine: TradingEngine, code: str, severity: str, title: str, detail: str, at: datetime) -> None:
    """Tell the portfolio's people, and the one as whom the engine runs. That it still does not trade is counted, and not sent again."""
    alert_raise(
        code=code,
        severity=severity,
        title=f"{engine.strategy}: {title}"[:200],
        detail=detail,
        subject=f"portfolio:{engine.portfolio_id}",
        data={"engine": engine.pk, "strategy": engine.strategy, "symbols": engine.symbols},
        recipients={*portfolio_members(engine.portfolio_id), engine.runs_as_id},
        occurred_at=at,
        recorded_at=at,
        key=f"{code}:{engine.pk}:{title}"[:120] if code == REPEATED else "",
    )
