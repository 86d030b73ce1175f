"""Value of holdings at given prices. A missing price is None and listed in `missing`: it never counts as zero."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext

from apps.core.money import ZERO, money
from apps.core.trading import ReferencePrice
from apps.portfolios.domain.holdings import Holding, Holdings
from apps.portfolios.domain.holdings import pair as pair_of
from apps.portfolios.domain.lots import PRECISION

ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionValue:
    """An instrument's position over all books. None means unknown: no price, no previous close, or nothing to divide by.

    `quantity`, `market_value` and `weight` are signed; `average_cost` is the cost per share, fees included;
    `weight` is a fraction of the portfolio's total; `day_pnl` counts from the previous close.
    """

    symbol: str
    instrument_id: int
    quantity: Decimal
    cost: Decimal
    average_cost: Decimal | None
    price: Decimal | None
    price_time: datetime | None
    price_source: str
    market_value: Decimal | None
    unrealised: Decimal | None
    realised: Decimal
    weight: Decimal | None
    day_pnl: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """Value of a portfolio. `missing` lists the symbols and currency pairs without a price. `cash` is that of all currencies, converted.

    Quantities and prices are the instrument's own, everything else is in the portfolio's currency.
    With something missing, `total` and `unrealised` are None, and `invested`, `gross`, `net`, `long`, `short` cover only what has a price.
    `gross` = long - short, `net` = `invested` = long + short (short <= 0). `day_pnl` is None when a previous close or a price is missing.
    """

    portfolio_id: int
    currency: str
    cash: Decimal
    invested: Decimal
    total: Decimal | None
    gross: Decimal
    net: Decimal
    long: Decimal
    short: Decimal
    unrealised: Decimal | None
    realised: Decimal
    day_pnl: Decimal | None
    positions: tuple[PositionValue, ...]
    missing: tuple[str, ...]

    @property
    def day_return(self) -> Decimal | None:
        """Day P&L on the equity that the day began with, a fraction; None when it is unknown or the day began with nothing."""
        if self.day_pnl is None or self.total is None or self.total == self.day_pnl:
            return None
        return self.day_pnl / (self.total - self.day_pnl)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """What was traded of an instrument since the session began: net signed quantity, and the change of cash, fees included, in the
    portfolio's currency. `currency` is the instrument's, "" where it is the same."""

    symbol: str
    quantity: Decimal
    amount: Decimal
    currency: str = ""


def value_holdings(
    *,
    holdings: Holdings,
    prices: Mapping[str, ReferencePrice],
    previous_closes: Mapping[str, Decimal] | None = None,
    traded: Mapping[int, Traded] | None = None,
) -> Valuation:
    """Value the holdings in the portfolio's currency, both maps keyed by symbol; `prices` holds the pairs of foreign currencies too.

    A pair without a price makes what needs it unknown, and is among `missing`. Both ends of the day's P&L are converted at the pair's
    price now: what the rate itself did since the previous close is not in it.
    `traded` (by instrument) makes the day's P&L exact when something was traded today: value now - value at the previous close
    + cash from the day's trades. Without it, the position is taken to be as old as the previous close.
    """
    with localcontext(prec=PRECISION):
        closes, trades = previous_closes or {}, traded or {}
        merged = holdings.by_instrument
        rates = {pair: prices[pair].price if pair in prices else None for pair in holdings.pairs}

        def rate(currency: str) -> Decimal | None:
            return rates.get(pair_of(currency, holdings.currency)) if currency and currency != holdings.currency else ONE

        values = {key: _market_value(held, prices, rate(held.currency)) for key, (held, _) in merged.items()}
        known = [value for value in values.values() if value is not None]
        unpriced = [held.symbol for held, _ in merged.values() if held.quantity and held.symbol not in prices]
        missing = (*unpriced, *(pair for pair, price in rates.items() if price is None))
        invested = sum(known, ZERO)
        cash = holdings.cash + sum((money(amount * price) for currency, amount in holdings.foreign_cash if (price := rate(currency))), ZERO)
        total = None if missing else cash + invested
        positions = tuple(
            _position_value(
                held,
                average_cost,
                prices.get(held.symbol),
                values[key],
                total,
                _day_pnl(held, values[key], closes, trades.get(key), rate(held.currency)),
            )
            for key, (held, average_cost) in merged.items()
        )
        long = sum((value for value in known if value > 0), ZERO)
        return Valuation(
            portfolio_id=holdings.portfolio_id,
            currency=holdings.currency,
            cash=cash,
            invested=invested,
            total=total,
            gross=2 * long - invested,
            net=invested,
            long=long,
            short=invested - long,
            unrealised=_sum([position.unrealised for position in positions]),
            realised=holdings.realised,
            day_pnl=_sum(
                [p.day_pnl for p in positions] + [_closed_today(t, closes, rate(t.currency)) for key, t in trades.items() if key not in merged]
            ),
            positions=positions,
            missing=missing,
        )


def _market_value(held: Holding, prices: Mapping[str, ReferencePrice], rate: Decimal | None) -> Decimal | None:
    if not held.quantity:
        return ZERO
    reference = prices.get(held.symbol)
    return None if reference is None or rate is None else money(held.quantity * reference.price * rate)


def _day_pnl(held: Holding, value: Decimal | None, closes: Mapping[str, Decimal], traded: Traded | None, rate: Decimal | None) -> Decimal | None:
    if value is None or rate is None:
        return None
    before = held.quantity - (ZERO if traded is None else traded.quantity)
    close = closes.get(held.symbol)
    if before and close is None:
        return None
    start_value = money(before * close * rate) if close is not None else ZERO
    return value - start_value + (ZERO if traded is None else traded.amount)


def _closed_today(traded: Traded, closes: Mapping[str, Decimal], rate: Decimal | None) -> Decimal | None:
    """Day P&L of an instrument that is flat by now."""
    close = closes.get(traded.symbol)
    if traded.quantity and (close is None or rate is None):
        return None
    return traded.amount + (money(traded.quantity * close * rate) if close is not None and rate is not None else ZERO)


def _position_value(
    held: Holding,
    average_cost: Decimal | None,
    reference: ReferencePrice | None,
    value: Decimal | None,
    total: Decimal | None,
    day_pnl: Decimal | None,
) -> PositionValue:
    return PositionValue(
        symbol=held.symbol,
        instrument_id=held.instrument_id,
        quantity=held.quantity,
        cost=held.cost,
        average_cost=average_cost,
        price=None if reference is None else reference.price,
        price_time=None if reference is None else reference.market_time,
        price_source="" if reference is None else reference.source,
        market_value=value,
        unrealised=None if value is None else value - held.cost,
        realised=held.realised,
        weight=round(value / total, 8) if value is not None and total else None,
        day_pnl=day_pnl,
    )


def _sum(numbers: list[Decimal | None]) -> Decimal | None:
    """The sum, or None when one of the numbers is unknown."""
    known = [number for number in numbers if number is not None]
    return sum(known, ZERO) if len(known) == len(numbers) else None
