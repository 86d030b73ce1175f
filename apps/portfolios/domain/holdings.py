"""What a portfolio holds, as risk, compliance and the screens read it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An open position of one book. `quantity` and `cost` are signed (negative for a short), `realised` is what it earned so far."""

    book_id: int
    book: str
    instrument_id: int
    symbol: str
    quantity: Decimal
    cost: Decimal
    realised: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Cash and open positions of a portfolio, in its base currency. `realised` also counts positions that are flat by now."""

    portfolio_id: int
    currency: str
    cash: Decimal
    positions: tuple[Holding, ...]
    realised: Decimal

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(position.symbol for position in self.positions))

    def quantity(self, instrument_id: int) -> Decimal:
        """Net quantity of an instrument over all books."""
        return sum((p.quantity for p in self.positions if p.instrument_id == instrument_id), Decimal(0))

    def in_books(self, book_ids: Iterable[int]) -> "Holdings":
        """The same cash, with the positions of some books only."""
        kept = set(book_ids)
        positions = tuple(position for position in self.positions if position.book_id in kept)
        return replace(self, positions=positions, realised=sum((p.realised for p in positions), Decimal(0)))
