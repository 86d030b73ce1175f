"""A trade that nobody has made, to see what it would do to a portfolio's risk."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class HypotheticalTrade:
    """Signed shares of an instrument, paid at `price` per share in its own `currency`; `rate` is one of that in the portfolio's currency."""

    symbol: str
    instrument_id: int
    quantity: Decimal
    price: Decimal
    currency: str
    rate: Decimal = Decimal(1)

    @property
    def value(self) -> float:
        """Signed money in the portfolio's currency."""
        return float(self.quantity * self.price * self.rate)

    def on(self, values: Mapping[str, float | None]) -> dict[str, float | None]:
        """Values of positions by symbol with the trade in them. What is held without a price stays unknown."""
        held = values.get(self.symbol, 0.0)
        return {**values, self.symbol: None if held is None else held + self.value}
