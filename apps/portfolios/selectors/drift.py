"""Drift of a portfolio from the targets that hold now, at the latest prices.

Targets steer the book "main": what strategies hold in books of their own is theirs, it is neither counted nor traded here.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from apps.core.money import ZERO
from apps.core.trading import ReferencePrice
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.market import MarketClock
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.drift import Drift, drift
from apps.portfolios.domain.holdings import Holding, Holdings, pair
from apps.portfolios.domain.stops import change_from_cost
from apps.portfolios.domain.valuation import Valuation, value_holdings
from apps.portfolios.models import MAIN_BOOK, Portfolio, TargetPlan
from apps.portfolios.selectors.holdings import holdings_many
from apps.portfolios.selectors.targets import plans_weights, stopped_of, target_plans_on

if TYPE_CHECKING:
    from apps.marketdata.models import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPosition:
    """An instrument that is held in the book "main" or has a target. `price` is in the instrument's currency, `base_price` in the portfolio's.

    `target_weight` is 0 while `stopped`: a stop has sold it since the targets were set; `planned_weight` is what the plan says.
    None means unknown: no price, or no equity.
    """

    instrument: "Instrument"
    quantity: Decimal
    cost: Decimal
    reference: ReferencePrice | None
    base_price: Decimal | None
    market_value: Decimal | None
    planned_weight: Decimal
    target_weight: Decimal
    current_weight: Decimal | None
    stopped: bool

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    @property
    def drift(self) -> Decimal | None:
        """Current less target weight."""
        return None if self.current_weight is None else self.current_weight - self.target_weight

    @property
    def drawdown(self) -> Decimal | None:
        """Fall of a long position from its average cost (<= 0); None for others and without a price."""
        change = change_from_cost(quantity=self.quantity, cost=self.cost, market_value=self.market_value)
        return None if change is None else min(ZERO, change)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioDrift:
    """Where a portfolio stands to its targets. `drift` is None while a price or the targets are missing; `positions` are by symbol."""

    portfolio: Portfolio
    plan: TargetPlan | None
    drift: Drift | None
    equity: Decimal | None
    held: Holdings
    valuation: Valuation
    positions: tuple[TargetPosition, ...]
    missing: tuple[str, ...]
    market: MarketClock

    @property
    def market_time(self) -> datetime:
        return self.market.market_time

    @property
    def exceeded(self) -> bool:
        """The largest drift is above the plan's threshold."""
        return self.plan is not None and self.drift is not None and self.drift.max_drift > self.plan.drift_threshold

    @property
    def by_size(self) -> tuple[TargetPosition, ...]:
        """The positions, the largest drift first, those without one last."""
        return tuple(sorted(self.positions, key=lambda one: (-abs(one.drift) if one.drift is not None else ZERO + 1, one.symbol)))


def portfolio_drift(portfolio: Portfolio, *, market: MarketClock) -> PortfolioDrift:
    """The drift now. A fixed number of queries and one call for prices."""
    plans = target_plans_on([portfolio.pk], market.session)
    return _drifts([portfolio], plans, market)[portfolio.pk]


def portfolio_drifts(portfolios: Collection[Portfolio], *, market: MarketClock) -> dict[int, PortfolioDrift]:
    """The same for those of several portfolios that have targets, by portfolio: a fixed number of queries, however many they are."""
    plans = target_plans_on([portfolio.pk for portfolio in portfolios], market.session)
    return _drifts([portfolio for portfolio in portfolios if portfolio.pk in plans], plans, market)


def _drifts(portfolios: Collection[Portfolio], plans: Mapping[int, TargetPlan], market: MarketClock) -> dict[int, PortfolioDrift]:
    if not portfolios:
        return {}
    weights, stopped = plans_weights(plans.values()), stopped_of(plans.values())
    held = holdings_many([portfolio.pk for portfolio in portfolios])
    steered = {position.symbol for one in held.values() for position in one.positions if position.book == MAIN_BOOK}
    instruments = instruments_get(sorted(steered.union(*weights.values())))
    currencies = {(instrument.currency, one.currency) for instrument in instruments.values() for one in held.values()}
    pairs = {pair(currency, base) for currency, base in currencies if currency != base}
    symbols = pairs.union(instruments, *(one.symbols for one in held.values()))
    prices = reference_prices(sorted(symbols), market_time=market.market_time)
    found = {}
    for portfolio in portfolios:
        plan = plans.get(portfolio.pk)
        planned, gone = ({}, frozenset[str]()) if plan is None else (weights[plan.pk], stopped[plan.pk])
        found[portfolio.pk] = _portfolio_drift(portfolio, plan, planned, gone, held[portfolio.pk], instruments, prices, market)
    return found


def _portfolio_drift(
    portfolio: Portfolio,
    plan: TargetPlan | None,
    weights: Mapping[str, Decimal],
    stopped: frozenset[str],
    held: Holdings,
    instruments: Mapping[str, "Instrument"],
    prices: Mapping[str, ReferencePrice],
    market: MarketClock,
) -> PortfolioDrift:
    main = {position.symbol: position for position in held.positions if position.book == MAIN_BOOK}
    valuation = value_holdings(holdings=held, prices=prices)
    positions = [
        _target_position(instruments[symbol], main.get(symbol), weights.get(symbol, ZERO), symbol in stopped, held.currency, valuation.total, prices)
        for symbol in sorted({*weights, *main})
    ]
    unpriced = (one.symbol for one in positions if one.base_price is None)
    return PortfolioDrift(
        portfolio=portfolio,
        plan=plan,
        drift=_drift(plan, positions),
        equity=valuation.total,
        held=held,
        valuation=valuation,
        positions=tuple(positions),
        missing=tuple(dict.fromkeys([*valuation.missing, *unpriced])),
        market=market,
    )


def _target_position(
    instrument: "Instrument",
    position: Holding | None,
    planned: Decimal,
    stopped: bool,
    base: str,
    equity: Decimal | None,
    prices: Mapping[str, ReferencePrice],
) -> TargetPosition:
    base_price = _base_price(instrument, base, prices)
    quantity = position.quantity if position else ZERO
    value = None if base_price is None else quantity * base_price
    return TargetPosition(
        instrument=instrument,
        quantity=quantity,
        cost=position.cost if position else ZERO,
        reference=prices.get(instrument.symbol),
        base_price=base_price,
        market_value=value,
        planned_weight=planned,
        target_weight=ZERO if stopped else planned,
        current_weight=None if value is None or not equity else round(value / equity, 8),
        stopped=stopped,
    )


def _base_price(instrument: "Instrument", base: str, prices: Mapping[str, ReferencePrice]) -> Decimal | None:
    price = prices.get(instrument.symbol)
    if price is None or instrument.currency == base:
        return None if price is None else price.price
    rate = prices.get(pair(instrument.currency, base))
    return None if rate is None else price.price * rate.price


def _drift(plan: TargetPlan | None, positions: list[TargetPosition]) -> Drift | None:
    weights = {one.symbol: one.current_weight for one in positions if one.current_weight is not None}
    if plan is None or len(weights) < len(positions):
        return None
    return drift(weights=weights, targets={one.symbol: one.target_weight for one in positions})
