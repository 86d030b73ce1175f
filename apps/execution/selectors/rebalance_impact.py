"""What the trades of a proposal would do to the portfolio's risk."""

import logging
from datetime import datetime

from apps.core.errors import DeskError
from apps.core.trading import Side
from apps.portfolios.selectors.rebalances import ProposalView
from apps.risk.domain.pretrade_risk import RiskImpact
from apps.risk.domain.what_if import HypotheticalTrade
from apps.risk.selectors.summary import risk_view_now
from apps.risk.selectors.what_if import trades_impact

logger = logging.getLogger(__name__)


def proposal_impact(view: ProposalView, *, now: datetime) -> RiskImpact | None:
    """Value at risk, shortfall and stress losses before and after all of its trades; None where that cannot be looked up now."""
    trades = [
        HypotheticalTrade(
            symbol=trade.instrument.symbol,
            instrument_id=trade.instrument_id,
            quantity=Side(trade.side).sign * trade.quantity,
            price=trade.price,
            currency=trade.instrument.currency,
            rate=trade.value / trade.quantity / trade.price,
        )
        for trade in view.trades
    ]
    try:
        return trades_impact(risk_view_now(portfolio_id=view.proposal.portfolio_id, now=now), trades, now=now)
    except DeskError as error:
        logger.warning("what rebalance %s does to risk could not be computed: %s", view.proposal.pk, error.detail)
        return None
