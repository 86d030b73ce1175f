"""What the desk's scenarios would do to a portfolio as it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from apps.core.trading import ReferencePrice
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.holdings import Holdings, pair
from apps.portfolios.domain.valuation import value_holdings
from apps.portfolios.selectors.holdings import holdings
from apps.risk.domain.scenarios import ScenarioOutcome, stressed
from apps.risk.domain.what_if import HypotheticalTrade
from apps.risk.selectors.scenarios import scenarios_kept

__all__ = ["HeldValues", "StressReport", "held_values", "stress_report", "stress_results"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldValues:
    """What scenarios are held against: `values` in money by symbol, with cash of other currencies under its pair (EURUSD).

    `currencies` are those of the symbols that are not quoted in the portfolio's own, `unpriced` what is held without a price.
    `equity` is None when something has no price.
    """

    values: Mapping[str, float]
    currencies: Mapping[str, str]
    unpriced: tuple[str, ...]
    equity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StressReport:
    """Each scenario on the positions at one moment."""

    portfolio_id: int
    currency: str
    equity: float | None
    market_time: datetime
    computed_at: datetime
    outcomes: tuple[ScenarioOutcome, ...]


def stress_results(
    *, portfolio_id: int, now: datetime, names: Sequence[str] = (), trade: HypotheticalTrade | None = None
) -> tuple[ScenarioOutcome, ...]:
    """Today's positions, or what they would be with a trade, under each active scenario, or those named.

    Raises NotFound, and Unavailable when prices cannot be read.
    """
    return stress_report(portfolio_id=portfolio_id, now=now, names=names, trade=trade).outcomes


def stress_report(*, portfolio_id: int, now: datetime, names: Sequence[str] = (), trade: HypotheticalTrade | None = None) -> StressReport:
    """The same, with what it was computed of."""
    market = market_clock(now)
    held = holdings(portfolio_id)
    values = held_values(held, reference_prices(held.symbols, market_time=market.market_time) if held.symbols else {})
    if trade is not None and trade.symbol not in values.unpriced:
        values = _with(values, trade, base=held.currency)
    scenarios = scenarios_kept(symbols=[*values.values, *values.unpriced], now=now, currencies=values.currencies, names=names)
    return StressReport(
        portfolio_id=portfolio_id,
        currency=held.currency,
        equity=values.equity,
        market_time=market.market_time,
        computed_at=now,
        outcomes=stressed(values.values, scenarios, equity=values.equity, unpriced=values.unpriced),
    )


def _with(values: HeldValues, trade: HypotheticalTrade, *, base: str) -> HeldValues:
    traded = {symbol: value for symbol, value in trade.on(values.values).items() if value}
    currency = {} if trade.currency == base else {trade.symbol: trade.currency}
    return replace(values, values=traded, currencies={**values.currencies, **currency})


def held_values(held: Holdings, prices: Mapping[str, ReferencePrice]) -> HeldValues:
    """Holdings at prices, as scenarios take them."""
    valuation = value_holdings(holdings=held, prices=prices)
    values = {one.symbol: float(one.market_value) for one in valuation.positions if one.quantity and one.market_value is not None}
    currencies = {one.symbol: one.currency for one in held.positions if one.currency}
    for currency, amount in held.foreign_cash:
        name = pair(currency, held.currency)
        if name in prices:
            values[name] = values.get(name, 0.0) + float(amount * prices[name].price)
            currencies[name] = currency
    return HeldValues(
        values=values,
        currencies=currencies,
        unpriced=tuple(sorted(valuation.missing)),
        equity=None if valuation.total is None else float(valuation.total),
    )
