"""Transaction costs: what an execution cost against a benchmark (domain.md C3). A cost is positive, whichever the side."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from apps.core.errors import InvalidInput
from apps.core.measures import measure
from apps.core.money import finite
from apps.core.trading import Side

BPS = 10_000


@measure(
    "analytics.tca.implementation_shortfall",
    units="money, total_bps in basis points of ordered x decision price; positive is a cost",
    convention="delay = s q (P0 - Pd), trading = s sum q_j (p_j - P0), opportunity = s (Q - q)(Pn - Pd), fees as given; s = +1 buy, -1 sell",
    source="Perold (1988), The implementation shortfall; expanded form, CFA Institute",
)
def implementation_shortfall(
    side: str,
    ordered: Decimal,
    decision_price: Decimal,
    arrival_price: Decimal,
    fills: Sequence[Mapping[str, Decimal]],
    end_price: Decimal,
    fees: Decimal = Decimal(0),
) -> dict[str, float]:
    """Paper return less actual return of an order, split: {delay, trading, opportunity, fees, total, total_bps}.

    `fills` are [{quantity, price}], `end_price` the price when the order ended. The parts sum to the total exactly (in Decimal).
    Raises InvalidInput for an unknown side, prices and an order that are not positive, and more filled than ordered.
    """
    sign = _sign(side)
    quantity, decision, arrival, end = (
        _positive(value, name)
        for value, name in ((ordered, "ordered"), (decision_price, "decision_price"), (arrival_price, "arrival_price"), (end_price, "end_price"))
    )
    done = _fills(fills)
    filled = sum((part for part, _ in done), Decimal(0))
    if filled > quantity:
        raise InvalidInput(f"{filled} are filled of {quantity} ordered", field="fills")
    parts = {
        "delay": sign * filled * (arrival - decision),
        "trading": sign * sum((part * (price - arrival) for part, price in done), Decimal(0)),
        "opportunity": sign * (quantity - filled) * (end - decision),
        "fees": finite(fees, field="fees"),
    }
    total = sum(parts.values(), Decimal(0))
    return {name: float(value) + 0.0 for name, value in parts.items()} | {
        "total": float(total),
        "total_bps": float(total / (quantity * decision) * BPS),
    }


@measure(
    "analytics.tca.slippage",
    units="basis points of the benchmark, positive is a cost",
    convention="s (average price - benchmark) / benchmark; the benchmark is a price, or the market's volume-weighted average (own volume included)",
    source="domain.md C3",
)
def slippage(
    side: str,
    fills: Sequence[Mapping[str, Decimal]],
    benchmark_price: Decimal | None = None,
    market: Sequence[Mapping[str, Decimal]] | None = None,
) -> float:
    """Cost of the fills [{quantity, price}] against `benchmark_price`, or against the average of the market's trades [{quantity, price}].

    Raises InvalidInput unless there is exactly one benchmark and at least one fill.
    """
    if (benchmark_price is None) == (market is None):
        raise InvalidInput("give a benchmark price or the market's trades, and not both", field="benchmark_price")
    benchmark = average_price(market, "market") if market is not None else _positive(benchmark_price, "benchmark_price")
    return float(_sign(side) * (average_price(fills, "fills") - benchmark) / benchmark * BPS)


def average_price(trades: Sequence[Mapping[str, Any]], field: str) -> Decimal:
    """Volume-weighted average price. Raises InvalidInput without a trade."""
    done = _fills(trades, field)
    if not done:
        raise InvalidInput("there is no trade to average", field=field)
    return sum((quantity * price for quantity, price in done), Decimal(0)) / sum((quantity for quantity, _ in done), Decimal(0))


def _fills(trades: Sequence[Mapping[str, Any]], field: str = "fills") -> list[tuple[Decimal, Decimal]]:
    found = []
    for at, trade in enumerate(trades):
        if missing := [name for name in ("quantity", "price") if name not in trade]:
            raise InvalidInput(f"{field} {at} has no {', '.join(missing)}", field=f"{field}/{at}/{missing[0]}")
        found.append((_positive(trade["quantity"], f"{field}/{at}/quantity"), _positive(trade["price"], f"{field}/{at}/price")))
    return found


def _sign(side: str) -> int:
    try:
        return Side(str(side).lower()).sign
    except ValueError as error:
        raise InvalidInput(f"{side!r} is neither BUY nor SELL", field="side") from error


def _positive(value: Any, field: str) -> Decimal:
    number = finite(value, field=field)
    if number <= 0:
        raise InvalidInput(f"{field} is {value}, it must be above zero", field=field)
    return number
