"""How many shares a sizer would order now, explained number by number: what the ticket shows before it takes the quantity over."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from apps.core.errors import InvalidInput
from apps.core.money import QUANTITY_DIGITS, QUANTITY_PLACES, ZERO, money
from apps.core.trading import ReferencePrice, Side, WorkingOrder
from apps.execution.domain.amounts import BASIS_POINT
from apps.execution.selectors.working import working_orders
from apps.execution.services.intents import Number, portfolio_check, price_check
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_series, visible_end
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.holdings import Holdings
from apps.portfolios.domain.holdings import pair as pair_of
from apps.portfolios.domain.valuation import Valuation, value_holdings
from apps.portfolios.selectors.holdings import holdings
from apps.risk.domain.case import Settings
from apps.strategies.domain.sizers import PositionSizer, Sized, SizingPortfolio, bars_wanted, measured, sizer_build

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.marketdata.models import Instrument

ONE = Decimal(1)
#: What the gate assumes of costs, so that a quantity which the cash caps passes its check of the cash.
MARGINS = Settings()
MOST_SHARES = 10.0 ** (QUANTITY_DIGITS - QUANTITY_PLACES)


class SizeState(StrEnum):
    """Whether a quantity could be said. Everything but OK has none."""

    OK = "ok"
    PRICE_MISSING = "price_missing"
    RATE_MISSING = "rate_missing"
    EQUITY_UNKNOWN = "equity_unknown"
    HISTORY_MISSING = "history_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeTerm:
    """A number of the formula. Money and prices are in the portfolio's currency."""

    name: str
    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSize:
    """`quantity` (whole lots, 0 when not even one is due) is None unless `state` is OK; `message` says why, or how it came to be.

    `wanted` is what the formula gives, before `caps` and whole lots. `value` = quantity x price, `equity_share` that of the equity,
    `loss_at_stop` what is lost when a stop that was given is met, without slippage.
    """

    state: SizeState
    message: str
    quantity: Decimal | None = None
    wanted: Decimal | None = None
    lot_size: Decimal
    price: Decimal | None = None
    price_source: str = ""
    currency: str
    formula: str = ""
    terms: tuple[SizeTerm, ...] = ()
    caps: tuple[str, ...] = ()
    value: Decimal | None = None
    equity_share: Decimal | None = None
    loss_at_stop: Decimal | None = None


def order_size(
    *,
    user: "User",
    portfolio_id: int,
    symbol: str,
    side: str,
    sizer: Mapping[str, object],
    at: datetime,
    limit_price: Number | None = None,
    stop_price: Number | None = None,
) -> OrderSize:
    """Size a new position at the limit price, else at the price that the gate would judge by. Writes nothing.

    `sizer` has a `type` and its numbers, as `position_sizer` of an engine's configuration has. Raises as `intent_build` does, and
    InvalidInput naming `sizer/...` or the side of the price on which the stop lies.
    """
    portfolio_check(user=user, portfolio_id=portfolio_id)
    instrument = instrument_get(symbol)
    asked = _Asked(
        instrument=instrument,
        side=_side(side),
        sizer=_built(sizer),
        limit=None if limit_price is None else price_check(limit_price, instrument, field="limit_price"),
        stop=None if stop_price is None else price_check(stop_price, instrument, field="stop_price"),
    )
    held, working = holdings(portfolio_id), working_orders(portfolio_id)
    pair = pair_of(instrument.currency, held.currency) if instrument.currency != held.currency else ""
    prices = reference_prices([instrument.symbol, *([pair] if pair else []), *held.symbols, *(order.symbol for order in working)])
    valued = value_holdings(holdings=held, prices=prices)
    price = asked.limit or (prices[instrument.symbol].price if instrument.symbol in prices else None)
    if price is None or valued.total is None or (pair and pair not in prices):
        state, message = _lacking(instrument, price, pair, prices, valued)
        return OrderSize(state=state, message=message, lot_size=instrument.lot_size, currency=held.currency, price=price)
    source = "limit price" if asked.limit else prices[instrument.symbol].source
    rate = prices[pair].price if pair else ONE
    free = _free(held, working, prices)
    return _said(asked, at=at, price=price, source=source, rate=rate, equity=valued.total, free=free, currency=held.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is to be sized, and how."""

    instrument: "Instrument"
    side: Side
    sizer: PositionSizer
    limit: Decimal | None
    stop: Decimal | None


def _said(asked: _Asked, *, at: datetime, price: Decimal, source: str, rate: Decimal, equity: Decimal, free: Decimal, currency: str) -> OrderSize:
    """The answer, once price, rate and equity are known. `free` is the cash that a buy may cost."""
    instrument, stop, sells = asked.instrument, asked.stop, asked.side is Side.SELL
    if stop is not None and (stop <= price if sells else stop >= price):
        raise InvalidInput(f"the stop of a {asked.side} lies {'above' if sells else 'below'} its price of {price.normalize():f}", field="stop_price")
    name = instrument.symbol
    known = SizingPortfolio(
        equity=float(equity),
        lots={name: float(instrument.lot_size)},
        stops={} if stop is None else {name: float(stop * rate)},
        affordable={} if sells else {name: float(free / (price * rate * (ONE + MARGINS.slippage_bps * BASIS_POINT)))},
        **_history(asked.sizer, instrument, float(rate), at),
    )
    sized = asked.sizer.sized(name, known, float(price * rate))
    if sized.lacking:
        return OrderSize(state=SizeState.HISTORY_MISSING, message=sized.lacking, lot_size=instrument.lot_size, currency=currency, price=price)
    if not sized.wanted < MOST_SHARES:
        raise InvalidInput("these numbers ask for more shares than an order can have", field="sizer")
    quantity = _number(sized.quantity).quantize(instrument.lot_size)
    value = money(quantity * price * rate)
    return OrderSize(
        state=SizeState.OK,
        message=_message(sized, quantity, instrument),
        quantity=quantity,
        wanted=_number(sized.wanted),
        lot_size=instrument.lot_size,
        price=price,
        price_source=source,
        currency=currency,
        formula=sized.formula,
        terms=tuple(SizeTerm(name=term.name, value=_number(term.value), unit=term.unit) for term in sized.terms),
        caps=sized.caps,
        value=value,
        equity_share=round(value / equity, 6) if equity > 0 else None,
        loss_at_stop=None if stop is None else money(quantity * abs(price - stop) * rate),
    )


def _lacking(
    instrument: "Instrument", price: Decimal | None, pair: str, prices: Mapping[str, ReferencePrice], valued: Valuation
) -> tuple[SizeState, str]:
    """Which number a size would need that is not known."""
    if price is None:
        return SizeState.PRICE_MISSING, f"{instrument.symbol} has no price: say a limit, or wait for a quote"
    if pair and pair not in prices:
        return SizeState.RATE_MISSING, f"no rate of {pair}: {instrument.symbol} cannot be valued in {valued.currency}"
    return SizeState.EQUITY_UNKNOWN, f"the portfolio's equity is not known: no price of {', '.join(valued.missing)}"


def _side(side: str) -> Side:
    try:
        return Side(side)
    except ValueError as error:
        raise InvalidInput(f"{side!r} is not one of {', '.join(Side)}", field="side") from error


def _built(sizer: Mapping[str, object]) -> PositionSizer:
    try:
        return sizer_build(str(sizer.get("type", "")), {name: value for name, value in sizer.items() if name != "type"})
    except InvalidInput as error:
        raise InvalidInput(error.detail, field=error.field.replace("position_sizer.", "sizer/")) from error


def _free(held: Holdings, working: tuple[WorkingOrder, ...], prices: Mapping[str, ReferencePrice]) -> Decimal:
    """Cash that no working buy may still spend, less what the next order costs. What has neither a price nor a limit the gate stops."""
    currencies = {order.symbol: order.currency for order in working if order.currency}
    raw = {symbol: known.price for symbol, known in prices.items()}
    in_base = held.in_base(raw, currencies)
    owed = ZERO
    for order in working:
        if order.side is Side.BUY and order.symbol in in_base:
            price = order.limit_price or max(order.stop_price or ZERO, raw[order.symbol] * (ONE + MARGINS.slippage_bps * BASIS_POINT))
            owed += order.leaves * price * in_base[order.symbol] / raw[order.symbol] + MARGINS.commission
    return held.cash - owed - MARGINS.commission


def _history(sizer: PositionSizer, instrument: "Instrument", rate: float, at: datetime) -> dict[str, dict[str, float]]:
    """What the sizer needs of daily bars that the market has completed, told in today's shares and in the portfolio's currency."""
    if not (count := bars_wanted(sizer)):
        return {}
    end = visible_end(at, calendar=instrument.calendar)
    bars = bar_series(symbol=instrument.symbol, timeframe=Timeframe.DAY, end=end, last=count, adjustment=Adjustment.SPLIT)
    high, low, close = ((values * rate).tolist() for values in (bars.high, bars.low, bars.close))
    return measured(sizer, instrument.symbol, high=high, low=low, close=close)


def _number(value: float) -> Decimal:
    """As many digits as people read: sizing is no bookkeeping."""
    return Decimal(f"{value:.12g}")


def _message(sized: Sized, quantity: Decimal, instrument: "Instrument") -> str:
    lot = instrument.lot_size.normalize()
    lots = "shares" if lot == 1 else f"lots of {lot:f}"
    said = [f"The formula gives {sized.wanted:,.6g} shares", *sized.caps, f"rounded down to whole {lots}: {quantity.normalize():,f}"]
    return "; ".join(said)
