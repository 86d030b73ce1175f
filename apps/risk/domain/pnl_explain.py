"""Why a portfolio earned what it earned from one recorded value to the next, part by part.

price      what was held at the opening, at the closing price less the opening one
trading    what was traded between, at the closing price less its own
fees       commissions, fees, and what borrowing shares cost
income     dividends (those paid on shorts too) and interest
fx         what was worth money in other currencies at the opening, at the closing rate less the opening one; conversions and payments in
           other currencies, at the closing rate less their own
residual   what of the recorded result is none of these: a price that was revised later, or rounding

All in the portfolio's currency. The parts and the residual sum to the result exactly: closing value - opening value - what was paid in.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from apps.core.money import ZERO
from apps.portfolios.domain.day import PortfolioDay
from apps.portfolios.domain.holdings import pair

ONE = Decimal(1)
CENT = Decimal("0.01")
#: Values are rounded to four places, so each position may be off by half of one at either end.
ROUNDED = Decimal("0.0001")

FEES = ("fee", "borrow_fee")
INCOME = ("dividend", "dividend_paid", "interest")
FLOWS = ("deposit", "withdrawal")
TRADED = ("trade", "cash_in_lieu")


class ExplainState(StrEnum):
    """What an explanation is worth."""

    OK = "ok"
    RESIDUAL = "residual"
    PRICE_MISSING = "price_missing"
    NOT_RECORDED = "not_recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolPart:
    """What one instrument earned by its price, by trading in it, by what it paid, and what its commissions cost."""

    price: Decimal
    trading: Decimal
    income: Decimal
    fees: Decimal

    @property
    def total(self) -> Decimal:
        """Its part of the result, without what currencies did."""
        return self.price + self.trading + self.income + self.fees


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlExplain:
    """A day's result and its parts. `state` is RESIDUAL when the residual is beyond `bound`: a cent, and a hundredth of one for each position."""

    state: ExplainState
    result: Decimal
    price: Decimal
    trading: Decimal
    fees: Decimal
    income: Decimal
    fx: Decimal
    residual: Decimal
    bound: Decimal
    by_symbol: Mapping[str, SymbolPart]

    @property
    def explained(self) -> Decimal:
        """The sum of the parts, without the residual."""
        return self.price + self.trading + self.fees + self.income + self.fx


def symbols_priced(day: PortfolioDay) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What needs a price at the opening and at the closing: instruments, and the pairs of currencies."""
    moved = {entry.symbol for entry in day.entries if entry.quantity}
    pairs = [{pair(currency, day.currency) for currency in found if currency != day.currency} for found in _currencies(day)]
    return tuple(sorted({*day.shares, *pairs[0]})), tuple(sorted({*day.shares, *moved, *pairs[1]}))


def _currencies(day: PortfolioDay) -> tuple[set[str], set[str]]:
    opening = {*day.cash, *(day.currencies[symbol] for symbol in day.shares)}
    between = {entry.currency for entry in day.entries} | {day.currencies[entry.symbol] for entry in day.entries if entry.symbol}
    return opening, opening | between


def pnl_explained(day: PortfolioDay, opening: Mapping[str, Decimal], closing: Mapping[str, Decimal]) -> PnlExplain:
    """Explain a day with prices by symbol at both its ends, in each instrument's currency, and of pairs. Raises KeyError for a missing one."""

    def rate(prices: Mapping[str, Decimal], currency: str) -> Decimal:
        return ONE if currency == day.currency else prices[pair(currency, day.currency)]

    parts: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    worth: dict[str, Decimal] = defaultdict(Decimal, day.cash)
    for symbol, quantity in day.shares.items():
        currency = day.currencies[symbol]
        worth[currency] += quantity * opening[symbol]
        parts[symbol]["price"] += quantity * (closing[symbol] - opening[symbol]) * rate(closing, currency)
    fx = ZERO
    for currency, value in worth.items():
        if currency != day.currency:
            fx += value * (rate(closing, currency) - rate(opening, currency))
    for entry in day.entries:
        now = rate(closing, entry.currency)
        own = parts[entry.symbol]
        if entry.quantity:
            shares = entry.quantity * closing[entry.symbol] * rate(closing, day.currencies[entry.symbol])
            if entry.kind in TRADED:
                own["trading"] += shares + (entry.amount + entry.fee) * now
            else:  # a split has no value of its own; what was moved came, or went, at its price then
                own["price"] += shares - entry.market_value
        if entry.kind in FLOWS:
            fx += entry.amount * now - entry.base_amount
        elif entry.kind == "fx":
            fx += entry.amount * now
        else:
            own["fees"] -= entry.fee * now
            if entry.kind in FEES or entry.kind in INCOME:
                own["fees" if entry.kind in FEES else "income"] += entry.amount * now
    return _put_together(day, parts, fx)


def _put_together(day: PortfolioDay, parts: Mapping[str, Mapping[str, Decimal]], fx: Decimal) -> PnlExplain:
    sums = {name: sum((own[name] for own in parts.values()), ZERO) for name in ("price", "trading", "fees", "income")}
    result = day.closed.total - day.opened.total - day.closed.flow
    residual = result - sum(sums.values(), fx)
    bound = CENT + ROUNDED * len({*day.shares, *(entry.symbol for entry in day.entries if entry.quantity)})
    return PnlExplain(
        state=ExplainState.OK if abs(residual) <= bound else ExplainState.RESIDUAL,
        result=result,
        fx=fx,
        residual=residual,
        bound=bound,
        by_symbol={symbol: SymbolPart(**{name: own[name] for name in sums}) for symbol, own in sorted(parts.items()) if symbol},
        **sums,
    )
