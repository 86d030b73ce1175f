"""What a trade that nobody has made would do to a portfolio's risk and under its scenarios. Nothing is kept of it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.core.errors import InvalidInput
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.holdings import pair
from apps.risk.domain.portfolio_risk import PortfolioRisk
from apps.risk.domain.scenarios import ScenarioOutcome
from apps.risk.domain.summary import RiskView
from apps.risk.domain.what_if import HypotheticalTrade
from apps.risk.selectors.portfolio_risk import risk_inputs
from apps.risk.selectors.stress import stress_results


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhatIf:
    """The portfolio's risk and scenarios with the trade in it; costs of the trade are left out, equity stays what it is."""

    trade: HypotheticalTrade
    risk: PortfolioRisk
    outcomes: tuple[ScenarioOutcome, ...]


def trade_at_market(*, symbol: str, quantity: Decimal, base: str, market_time: datetime) -> HypotheticalTrade:
    """Signed shares at the price by which the desk values them. Raises NotFound (symbol) and InvalidInput where there is no price or rate."""
    instrument = instrument_get(symbol)
    rate_of = None if instrument.currency == base else pair(instrument.currency, base)
    prices = reference_prices([symbol, *([rate_of] if rate_of else [])], market_time=market_time)
    for name in (symbol, rate_of):
        if name is not None and name not in prices:
            raise InvalidInput(f"{name} has no price", field="symbol")
    return HypotheticalTrade(
        symbol=instrument.symbol,
        instrument_id=instrument.pk,
        quantity=quantity,
        price=prices[symbol].price,
        currency=instrument.currency,
        rate=prices[rate_of].price if rate_of else Decimal(1),
    )


def what_if(view: RiskView, trade: HypotheticalTrade, *, now: datetime) -> WhatIf:
    """The risk of a portfolio that has been valued, had the trade been made. Raises Unavailable when prices cannot be read."""
    return WhatIf(
        trade=trade,
        risk=risk_inputs(view, now=now, trade=trade).full(),
        outcomes=stress_results(portfolio_id=view.valuation.portfolio_id, now=now, trade=trade),
    )
