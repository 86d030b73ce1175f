"""The whole risk of a stored portfolio at the latest prices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from apps.marketdata.domain import calendars
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.selectors.bars import visible_end
from apps.marketdata.selectors.closes import closes_panel
from apps.marketdata.selectors.instruments import instruments_known, sectors_of
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quotes import reference_prices
from apps.marketdata.selectors.volumes import average_volumes
from apps.portfolios.domain.holdings import Holdings, pair
from apps.portfolios.domain.valuation import PositionValue, Valuation
from apps.portfolios.selectors.holdings import cash_at, holdings, shares_at
from apps.portfolios.selectors.portfolios import benchmark_symbol
from apps.portfolios.selectors.values import portfolio_values
from apps.risk.domain.portfolio_risk import PortfolioFacts, PortfolioRisk, Track, full_risk
from apps.risk.domain.returns import in_base_currency
from apps.risk.domain.risk_numbers import ReturnMatrix
from apps.risk.domain.summary import RiskView
from apps.risk.domain.what_if import HypotheticalTrade
from apps.risk.selectors.returns import WINDOW, return_matrix
from apps.risk.selectors.summary import risk_view_now

#: What beta is measured against where a portfolio names no benchmark.
MARKET = "SPY"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskInputs:
    """What `full_risk` takes: values in money by symbol (None without a price), returns in the portfolio's currency, and the facts."""

    values: Mapping[str, float | None]
    matrix: ReturnMatrix
    facts: PortfolioFacts
    as_of: datetime

    def full(self) -> PortfolioRisk:
        """The whole risk of them."""
        return full_risk(values=self.values, matrix=self.matrix, facts=self.facts, as_of=self.as_of)


def portfolio_risk_now(*, portfolio_id: int, now: datetime, days: int = WINDOW) -> PortfolioRisk:
    """Full risk over `days` sessions that have closed. Raises NotFound, and Unavailable when prices cannot be read; bad data is a state."""
    inputs = risk_inputs(risk_view_now(portfolio_id=portfolio_id, now=now), now=now, days=days)
    return inputs.full()


def risk_inputs(view: RiskView, *, now: datetime, days: int = WINDOW, trade: HypotheticalTrade | None = None) -> RiskInputs:
    """The inputs of a portfolio that has been valued, or as if a trade had been made too. Cash in another currency is a position in its pair."""
    valuation, market_time = view.valuation, view.summary.market_time
    held = holdings(valuation.portfolio_id)
    end = visible_end(now)
    assert not isinstance(end, datetime)  # noqa: S101 - of daily bars it is a day
    values = position_values(valuation) | foreign_cash_values(held, market_time)
    foreign = {position.symbol: position.currency for position in held.positions if position.currency}
    shares = {position.symbol: (position.instrument_id, float(position.quantity)) for position in valuation.positions if position.quantity}
    if trade is not None:
        values = trade.on(values)
        shares[trade.symbol] = (trade.instrument_id, shares.get(trade.symbol, (0, 0.0))[1] + float(trade.quantity))
        if not shares[trade.symbol][1]:  # it closes the position: prices of two moments must not leave a rest
            del shares[trade.symbol], values[trade.symbol]
        if trade.currency != held.currency:
            foreign[trade.symbol] = trade.currency
    return _inputs(
        portfolio_id=valuation.portfolio_id,
        base=held.currency,
        values=values,
        foreign=foreign,
        cash={pair(currency, held.currency): currency for currency, _ in held.foreign_cash},
        shares=shares,
        equity=None if valuation.total is None else float(valuation.total),
        stale=stale_symbols(valuation, market_time),
        end=end,
        as_of=market_time,
        days=days,
    )


def portfolio_risk_at(*, portfolio_id: int, session: date, days: int = WINDOW) -> PortfolioRisk:
    """Full risk at a session's close: what the ledger says was held then, at the session's closes, over the sessions up to it.

    Equity is the value that was recorded. Raises NotFound, and InvalidInput for a day without a session.
    """
    close = calendars.session_hours(HOME_CALENDAR, session)[1]
    base = holdings(portfolio_id).currency
    shares = shares_at(portfolio_id, close)
    cash = {pair(currency, base): float(amount) for currency, amount in cash_at(portfolio_id, close).items() if currency != base}
    foreign = {symbol: currency for symbol, (_, _, currency) in shares.items() if currency != base}
    prices = _closes([*shares, *cash, *(pair(currency, base) for currency in foreign.values())], session)

    def value(symbol: str, quantity: float) -> float | None:
        rate = prices.get(pair(foreign[symbol], base)) if symbol in foreign else 1.0
        return None if symbol not in prices or rate is None else quantity * prices[symbol] * rate

    recorded = portfolio_values(portfolio_id, start=close, end=close)
    quantities = {symbol: float(quantity) for symbol, (_, quantity, _) in shares.items()} | cash
    inputs = _inputs(
        portfolio_id=portfolio_id,
        base=base,
        values={symbol: value(symbol, quantity) for symbol, quantity in quantities.items()},
        foreign=foreign,
        cash={pair(currency, base): currency for currency in cash_at(portfolio_id, close) if currency != base},
        shares={symbol: (pk, float(quantity)) for symbol, (pk, quantity, _) in shares.items()},
        equity=float(recorded.total[0]) if len(recorded) else None,
        stale=frozenset(),
        end=session,
        as_of=close,
        days=days,
    )
    return inputs.full()


def _inputs(
    *,
    portfolio_id: int,
    base: str,
    values: Mapping[str, float | None],
    foreign: Mapping[str, str],
    cash: Mapping[str, str],
    shares: Mapping[str, tuple[int, float]],
    equity: float | None,
    stale: frozenset[str],
    end: date,
    as_of: datetime,
    days: int,
) -> RiskInputs:
    """`foreign` are currencies by symbol, `cash` by pair, `shares` instrument id and quantity by symbol."""
    benchmark = benchmark_symbol(portfolio_id) or MARKET
    rates = {symbol: pair(currency, base) for symbol, currency in foreign.items()}
    matrix = in_base_currency(return_matrix(tuple(sorted({*values, *rates.values(), benchmark})), end=end, days=days), rates)
    sectors = sectors_of([pk for pk, _ in shares.values()])
    facts = PortfolioFacts(
        equity=equity,
        stale=stale,
        benchmark=matrix.returns[:, matrix.columns[benchmark]],
        sectors={symbol: sectors[pk] for symbol, (pk, _) in shares.items() if pk in sectors},
        currencies={symbol: foreign.get(symbol, base) for symbol in values} | dict(cash),
        traded=_traded(values, shares, end),
        track=_track(portfolio_id, as_of),
    )
    return RiskInputs(values=values, matrix=matrix, facts=facts, as_of=as_of)


def _closes(symbols: Sequence[str], session: date) -> dict[str, float]:
    """Closes of one session as traded; a symbol without one is left out."""
    known = sorted(instruments_known(symbols))
    if not known:
        return {}
    panel = closes_panel(symbols=known, adjustment=CloseKind.NONE, start=session, end=session)
    if not len(panel):
        return {}
    return {symbol: price for symbol, price in zip(panel.symbols, panel.close[-1].tolist(), strict=True) if price == price}  # not NaN


def position_values(valuation: Valuation) -> dict[str, float | None]:
    """Market value of each open position in the portfolio's currency; None without a price or a rate."""
    return {
        position.symbol: None if position.market_value is None else float(position.market_value)
        for position in valuation.positions
        if position.quantity
    }


def stale_symbols(valuation: Valuation, market_time: datetime) -> frozenset[str]:
    """Symbols whose price is from before the last session that has closed: a whole session passed them by."""
    due = calendars.last_completed_session(HOME_CALENDAR, market_time)
    return frozenset(position.symbol for position in valuation.positions if _session(position) < due)


def _session(position: PositionValue) -> date:
    return date.max if position.price_time is None else calendars.session_at(HOME_CALENDAR, position.price_time)


def foreign_cash_values(held: Holdings, market_time: datetime) -> dict[str, float | None]:
    """Cash in other currencies in the portfolio's own, by the symbol of its pair; None without a rate."""
    if not held.foreign_cash:
        return {}
    pairs = {pair(currency, held.currency): float(amount) for currency, amount in held.foreign_cash}
    rates = reference_prices(pairs, market_time=market_time)
    return {name: amount * float(rates[name].price) if name in rates else None for name, amount in pairs.items()}


def _traded(values: Mapping[str, float | None], shares: Mapping[str, tuple[int, float]], until: date) -> dict[str, float]:
    """Average money traded in a session, at the price and rate of the values."""
    volumes = average_volumes([pk for pk, _ in shares.values()], until=until)
    return {symbol: volumes[pk] * abs(value / quantity) for symbol, (pk, quantity) in shares.items() if pk in volumes and (value := values[symbol])}


def _track(portfolio_id: int, market_time: datetime) -> Track | None:
    series = portfolio_values(portfolio_id, end=market_time)
    if not np.isfinite(series.daily_return).any():
        return None
    return Track(dates=series.ts.astype("datetime64[D]"), returns=series.daily_return)
