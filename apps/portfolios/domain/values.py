"""A portfolio's value at a moment of the market, from what its ledger says and from prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from apps.core.money import ZERO, money
from apps.portfolios.domain.holdings import pair

ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueState:
    """A portfolio as it was: cash by currency, shares by symbol, the last entry that was known, and the pair by which each symbol and currency is
    converted, for those that are not of the base currency."""

    cash: Mapping[str, Decimal]
    shares: Mapping[str, Decimal]
    pairs: Mapping[str, str]
    last_entry_id: int

    @classmethod
    def of(cls, base: str, *, cash: Mapping[str, Decimal], shares: Mapping[tuple[str, str], Decimal], last_entry_id: int) -> "ValueState":
        """From cash by currency, and quantities by symbol and currency of the instrument; what is zero is left out."""
        held = {symbol: (quantity, currency) for (symbol, currency), quantity in shares.items() if quantity}
        money_held = {currency: amount for currency, amount in cash.items() if amount}
        foreign = {symbol: currency for symbol, (_, currency) in held.items()} | {f"cash {currency}": currency for currency in money_held}
        return cls(
            cash=money_held,
            shares={symbol: quantity for symbol, (quantity, _) in held.items()},
            pairs={name: pair(currency, base) for name, currency in foreign.items() if currency != base},
            last_entry_id=last_entry_id,
        )

    @property
    def priced(self) -> tuple[str, ...]:
        """All that must have a price."""
        return tuple(dict.fromkeys([*self.shares, *self.pairs.values()]))

    def worth(self, prices: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
        """Cash and shares in the base currency, each part rounded half up to four places. Raises KeyError for a missing price."""

        def rate(name: str) -> Decimal:
            return prices[self.pairs[name]] if name in self.pairs else ONE

        cash = sum((money(amount * rate(f"cash {currency}")) for currency, amount in self.cash.items()), ZERO)
        invested = sum((money(quantity * prices[symbol] * rate(symbol)) for symbol, quantity in self.shares.items()), ZERO)
        return cash, invested


def daily_return(total: Decimal, flow: Decimal, before: Decimal | None) -> float | None:
    """(total - flow) / the total before - 1, a fraction; None for the first value and after one that was not positive."""
    return None if before is None or before <= 0 else float((total - flow) / before - 1)
