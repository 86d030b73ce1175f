"""What a vendor of market data says, in the desk's words: frozen records, times in UTC, prices as float64, money amounts as Decimal.

Adapters (`apps.marketdata.providers`) make these out of a vendor's own format; services store them. Nothing here is judged yet.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.timeframes import Timeframe


class ActionKind(StrEnum):
    """Corporate actions that move a price without moving a holder's wealth."""

    SPLIT = "split"
    DIVIDEND = "dividend"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """A corporate action, first effective on `ex_date`.

    `value`: for a split new shares per old share (2 for two-for-one, 0.1 for one-for-ten), for a dividend cash per share as it was
    paid, in `currency`, unadjusted for later splits.
    """

    symbol: str
    kind: ActionKind
    ex_date: date
    value: Decimal
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class FundamentalRecord:
    """One reported figure, known to the public from `published_at` on: never to be used before.

    `metric` is one of the desk's names (eps, book_value_per_share, revenue, net_income, total_equity, total_assets, total_debt,
    shares_outstanding, dividend_yield, market_cap, ebitda, gross_profit, operating_cash_flow); `period` is "instant", "quarter", "year" or "ttm".
    """

    symbol: str
    metric: str
    period: str
    period_end: date
    value: float
    published_at: datetime
    unit: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDay:
    """One session of an exchange as the vendor has it, times in UTC."""

    day: date
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteTick:
    """Best bid and offer. `ts` is the vendor's (exchange's) time, `size` in shares or coins."""

    symbol: str
    ts: datetime
    bid: float
    bid_size: float
    ask: float
    ask_size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeTick:
    """One trade. `trade_id` is the vendor's, "" when it gives none: with it, a repeated tick is known as a repetition."""

    symbol: str
    ts: datetime
    price: float
    size: float
    trade_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarTick:
    """A finished bar as a vendor's stream sends it; `ts` is its start."""

    symbol: str
    timeframe: Timeframe
    ts: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


Tick = QuoteTick | TradeTick


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsPage:
    """Some bars of one answer in time order, raw prices, and what the desk may fetch from next when the rest fails.

    `complete_to` (exclusive): everything before it has been given, by this page and those before it.
    """

    series: BarSeries
    timeframe: Timeframe
    complete_to: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a provider can do. `keys` are the environment variables that it needs, empty for one without an account."""

    timeframes: frozenset[Timeframe]
    keys: tuple[str, ...] = ()
    streams_quotes: bool = False
    streams_bars: bool = False
    corporate_actions: bool = False
    fundamentals: bool = False
    calendar: bool = False
