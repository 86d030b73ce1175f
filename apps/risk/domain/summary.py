"""The risk of one portfolio at one moment: its value, result, drawdown and how far each limit is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from heapq import nlargest

from apps.core.trading import ReferencePrice
from apps.portfolios.domain.holdings import Holdings
from apps.portfolios.domain.valuation import Traded, Valuation, value_holdings
from apps.risk.domain.limits import LARGEST_COUNTED, Limit, LimitKind, LimitUse, limit_use
from apps.risk.domain.live_numbers import LiveNumbers
from apps.risk.domain.performance import Standing, TrackRecord, standing
from apps.risk.domain.state import StateView

ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class RiskFacts:
    """All about a portfolio that changes more slowly than prices do.

    `record` is what the session closes before `session` say, `flow` the net deposits since the last of them.
    """

    portfolio_id: int
    session: date
    holdings: Holdings
    limits: Mapping[LimitKind, Limit]
    state: StateView
    record: TrackRecord | None
    flow: Decimal
    previous_closes: Mapping[str, Decimal]
    traded: Mapping[int, Traded]

    @cached_property
    def symbols(self) -> frozenset[str]:
        """Symbols whose prices matter."""
        return frozenset(self.holdings.symbols) | {trade.symbol for trade in self.traded.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskSummary:
    """Numbers of the risk strip. Money in `currency`; `daily_return` and `drawdown` (<= 0) are fractions.

    None means unknown: `missing` names the symbols without a price. `live` is what the live monitor computed last of value at risk and
    stress; None: not computed. `wealth` is the value compounded from 1 without flows, `peak` its
    highest over the stored session closes and this session so far.
    """

    portfolio_id: int
    currency: str
    equity: Decimal | None
    gross: Decimal
    net: Decimal
    long: Decimal
    short: Decimal
    cash: Decimal
    daily_pnl: Decimal | None
    daily_return: Decimal | None
    drawdown: Decimal | None
    wealth: Decimal | None
    peak: Decimal | None
    limits: tuple[LimitUse, ...]
    trading: StateView
    missing: tuple[str, ...]
    session: date
    market_time: datetime
    computed_at: datetime
    live: LiveNumbers | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskView:
    """A valuation and the risk that follows from it, of the same prices."""

    valuation: Valuation
    summary: RiskSummary


def risk_view(
    facts: RiskFacts,
    prices: Mapping[str, ReferencePrice],
    *,
    peak: Decimal,
    market_time: datetime,
    computed_at: datetime,
    live: LiveNumbers | None = None,
) -> RiskView:
    """Value the portfolio and hold it to its limits. `peak` is the highest wealth seen in this session before (1 for none)."""
    valuation = value_holdings(holdings=facts.holdings, prices=prices, previous_closes=facts.previous_closes, traded=facts.traded)
    stand = None
    if valuation.total is not None and facts.record is not None:
        stand = standing(facts.record, total=valuation.total, flow=facts.flow, peak=peak)
    summary = RiskSummary(
        portfolio_id=facts.portfolio_id,
        currency=valuation.currency,
        equity=valuation.total,
        gross=valuation.gross,
        net=valuation.net,
        long=valuation.long,
        short=valuation.short,
        cash=valuation.cash,
        daily_pnl=stand.daily_pnl if stand else None,
        daily_return=_fraction(stand.daily_return) if stand else None,
        drawdown=_fraction(stand.drawdown) if stand else None,
        wealth=_fraction(stand.wealth) if stand else None,
        peak=_fraction(stand.peak) if stand else None,
        limits=_uses(facts.limits, _used(valuation, stand) | _used_by_tail(live, computed_at), live.not_known if live else ""),
        trading=facts.state,
        missing=valuation.missing,
        session=facts.session,
        market_time=market_time,
        computed_at=computed_at,
        live=live,
    )
    return RiskView(valuation=valuation, summary=summary)


def _uses(limits: Mapping[LimitKind, Limit], used: Mapping[LimitKind, tuple[Decimal | None, str]], not_known: str) -> tuple[LimitUse, ...]:
    result = []
    for kind in LimitKind:
        if kind in limits:
            number, subject = used.get(kind, (None, ""))
            result.append(limit_use(limits[kind], number, subject=subject, not_known=not_known if kind is LimitKind.STRESS_LOSS else ""))
    return tuple(result)


def _used(valuation: Valuation, stand: Standing | None) -> dict[LimitKind, tuple[Decimal | None, str]]:
    """What each limit is held against now, and what is biggest in it. With a price missing, money is unknown and never too small."""
    largest = max(valuation.positions, key=lambda p: abs(p.quantity), default=None)
    dearest = max(valuation.positions, key=lambda p: abs(p.market_value or ZERO), default=None)
    known = not valuation.missing
    values = [abs(position.market_value or ZERO) for position in valuation.positions]
    return {
        LimitKind.POSITION_SIZE: (abs(largest.quantity), largest.symbol) if largest else (ZERO, ""),
        LimitKind.POSITION_VALUE: ((abs(dearest.market_value or ZERO), dearest.symbol) if dearest else (ZERO, "")) if known else (None, ""),
        LimitKind.TOTAL_EXPOSURE: (valuation.gross if known else None, ""),
        LimitKind.NET_EXPOSURE: (abs(valuation.net) if known else None, ""),
        LimitKind.POSITION_SHARE: (_share(abs(dearest.market_value or ZERO) if dearest else ZERO, valuation), dearest.symbol if dearest else ""),
        LimitKind.CONCENTRATION: (_share(sum(nlargest(LARGEST_COUNTED, values), ZERO), valuation), ""),
        LimitKind.LEVERAGE: (_share(valuation.gross, valuation), ""),
        LimitKind.DAILY_LOSS: (_fraction(max(ZERO, -stand.daily_return)) if stand else None, ""),
        LimitKind.DRAWDOWN: (_fraction(-stand.drawdown) if stand else None, ""),
    }


def _used_by_tail(live: LiveNumbers | None, at: datetime) -> dict[LimitKind, tuple[Decimal | None, str]]:
    """The same of what the live monitor has computed a moment ago; nothing without it."""
    if live is None:
        return {}
    return {
        LimitKind.VAR: (live.fraction(live.var, at), ""),
        LimitKind.EXPECTED_SHORTFALL: (live.fraction(live.es, at), ""),
        LimitKind.STRESS_LOSS: (live.fraction(live.stress_loss, at), live.worst),
    }


def _share(value: Decimal, valuation: Valuation) -> Decimal | None:
    """Of the portfolio's value; None when that is not known or nothing."""
    return _fraction(value / valuation.total) if valuation.total is not None and valuation.total > 0 else None


def _fraction(value: Decimal) -> Decimal:
    """Twelve places: enough for any limit, short enough to read. Minus zero becomes zero."""
    return round(value, 12) + ZERO
