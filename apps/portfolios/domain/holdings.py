"""What a portfolio holds, as risk, compliance and the screens read it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from functools import cached_property
from types import MappingProxyType

from apps.portfolios.domain.lots import PRECISION


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An open position of one book. `quantity` and `cost` are signed (negative for a short), `realised` is what it earned so far.

    Cost and gain are in the portfolio's currency; `currency` is the instrument's, "" where it is the same.
    """

    book_id: int
    book: str
    instrument_id: int
    symbol: str
    quantity: Decimal
    cost: Decimal
    realised: Decimal
    currency: str = ""


def pair(currency: str, base: str) -> str:
    """Symbol under which the price of a currency in another is found: EURUSD is dollars for one euro."""
    return f"{currency}{base}"


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """Cash and open positions of a portfolio. `cash` is that of its base currency, `foreign_cash` (currency, amount) of the others.

    `realised` also counts positions that are flat by now. What follows from the positions alone is worked out once, for every tick that values them.
    """

    portfolio_id: int
    currency: str
    cash: Decimal
    positions: tuple[Holding, ...]
    realised: Decimal
    foreign_cash: tuple[tuple[str, Decimal], ...] = ()

    @cached_property
    def by_instrument(self) -> Mapping[int, tuple[Holding, Decimal | None]]:
        """One holding per instrument with its average cost, the books added up, in order of symbol."""
        merged: dict[int, Holding] = {}
        with localcontext(prec=PRECISION):
            for held in sorted(self.positions, key=lambda position: position.symbol):
                before = merged.get(held.instrument_id)
                merged[held.instrument_id] = held if before is None else _added(before, held)
            return {key: (held, round(held.cost / held.quantity, 6) if held.quantity else None) for key, held in merged.items()}

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """All whose prices the value needs: what is held, and the pairs that convert it."""
        return tuple(dict.fromkeys([*(position.symbol for position in self.positions), *self.pairs]))

    @cached_property
    def pairs(self) -> tuple[str, ...]:
        """Currency pairs that the value needs."""
        foreign = [*(position.currency for position in self.positions), *(currency for currency, _ in self.foreign_cash)]
        return tuple(dict.fromkeys(pair(currency, self.currency) for currency in foreign if currency and currency != self.currency))

    def in_base(self, prices: Mapping[str, Decimal], others: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, Decimal]:
        """The prices of what is held in the base currency; those without a rate are left out. `others`: currencies of what is not held."""
        currencies = {**others, **{p.symbol: p.currency for p in self.positions if p.currency}}
        rates = {symbol: pair(currency, self.currency) for symbol, currency in currencies.items() if currency and currency != self.currency}
        if not rates:
            return prices
        ones = {symbol: price for symbol, price in prices.items() if symbol not in rates}
        return ones | {symbol: prices[symbol] * prices[rate] for symbol, rate in rates.items() if symbol in prices and rate in prices}

    def quantity(self, instrument_id: int) -> Decimal:
        """Net quantity of an instrument over all books."""
        return sum((p.quantity for p in self.positions if p.instrument_id == instrument_id), Decimal(0))

    def in_books(self, book_ids: Iterable[int]) -> "Holdings":
        """The same cash, with the positions of some books only."""
        kept = set(book_ids)
        positions = tuple(position for position in self.positions if position.book_id in kept)
        return replace(self, positions=positions, realised=sum((p.realised for p in positions), Decimal(0)))


def _added(a: Holding, b: Holding) -> Holding:
    return replace(a, quantity=a.quantity + b.quantity, cost=a.cost + b.cost, realised=a.realised + b.realised)
