"""How large a portfolio can become when its working orders fill: the arithmetic under the pre-trade checks.

A working order may fill or not, and each side by itself. So the size of an instrument is the larger of the two extremes:
all buys fill and no sell, or all sells and no buy. No hedge is counted that may never trade.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import compress
from operator import mul

from apps.core.trading import Side, WorkingOrder

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingQuantities:
    """What may still be bought and sold by instrument id (both >= 0)."""

    buys: Mapping[int, Decimal] = field(default_factory=dict)
    sells: Mapping[int, Decimal] = field(default_factory=dict)

    def with_order(self, instrument_id: int, side: Side, quantity: Decimal) -> "WorkingQuantities":
        """The same with one more working order."""
        buys, sells = dict(self.buys), dict(self.sells)
        book = buys if side is Side.BUY else sells
        book[instrument_id] = book.get(instrument_id, ZERO) + quantity
        return WorkingQuantities(buys=buys, sells=sells)


def working_quantities(orders: Iterable[WorkingOrder]) -> WorkingQuantities:
    """Sums of what the orders may still trade."""
    buys: dict[int, Decimal] = {}
    sells: dict[int, Decimal] = {}
    for order in orders:
        book = buys if order.side is Side.BUY else sells
        book[order.instrument_id] = book.get(order.instrument_id, ZERO) + order.leaves
    return WorkingQuantities(buys=buys, sells=sells)


def largest_size(held: Decimal, instrument_id: int, working: WorkingQuantities) -> Decimal:
    """Largest absolute quantity [shares] that the instrument can reach from the signed quantity `held`."""
    bought = held + working.buys.get(instrument_id, ZERO)
    sold = held - working.sells.get(instrument_id, ZERO)
    return max(abs(bought), abs(sold))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is held and what it can become [money, in the currency of the prices].

    `net` is the signed value of what is held, `gross` the largest gross exposure (sum of largest size x price), `lowest` and `highest` the net
    exposure that can be reached.
    """

    net: Decimal
    gross: Decimal
    lowest: Decimal
    highest: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldValue:
    """What is held is worth now [money]: `net` signed, `gross` in absolute amounts."""

    net: Decimal
    gross: Decimal

    def moved(self, quantity: Decimal, *, price: Decimal | None, to: Decimal) -> "HeldValue":
        """The same with another price of one instrument, or with the first one that it has."""
        by = to - (ZERO if price is None else price)
        return HeldValue(net=self.net + quantity * by, gross=self.gross + abs(quantity) * by)


def held_value(held: Mapping[int, Decimal], prices: Mapping[int, Decimal]) -> HeldValue:
    """Value of the signed quantities `held`. Raises KeyError when an instrument has no price; what is not held any more needs none."""
    # Without Python's own loop over what nothing is ordered in: a thousand positions are the rule, a hundred orders are not.
    try:
        values = list(map(mul, held.values(), map(prices.__getitem__, held)))
    except KeyError:
        values = [quantity * prices[key] for key, quantity in held.items() if quantity]
    net = sum(values, ZERO)
    return HeldValue(net=net, gross=net - 2 * sum(compress(values, map(Decimal.is_signed, values)), ZERO))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingValue:
    """What working orders can do to what is held [money, all >= 0]: `more` gross at most, `bought` and `sold` when only one side fills."""

    more: Decimal
    bought: Decimal
    sold: Decimal

    def moved(self, instrument_id: int, held: Decimal, working: WorkingQuantities, *, price: Decimal | None, to: Decimal) -> "WorkingValue":
        """The same with another price of one instrument, of which `held` is held, or with the first one that it has."""
        by = to - (ZERO if price is None else price)
        return WorkingValue(
            more=self.more + (largest_size(held, instrument_id, working) - abs(held)) * by,
            bought=self.bought + working.buys.get(instrument_id, ZERO) * by,
            sold=self.sold + working.sells.get(instrument_id, ZERO) * by,
        )


def working_value(held: Mapping[int, Decimal], working: WorkingQuantities, prices: Mapping[int, Decimal]) -> WorkingValue:
    """Value of what may be bought and sold beside the signed quantities `held`. Raises KeyError when an instrument has no price."""
    more = ZERO
    for instrument_id in working.buys.keys() | working.sells.keys():
        now = held.get(instrument_id, ZERO)
        if larger := largest_size(now, instrument_id, working) - abs(now):
            more += larger * prices[instrument_id]
    return WorkingValue(
        more=more,
        bought=sum((quantity * prices[key] for key, quantity in working.buys.items()), ZERO),
        sold=sum((quantity * prices[key] for key, quantity in working.sells.items()), ZERO),
    )


def exposure(
    held: Mapping[int, Decimal],
    working: WorkingQuantities,
    prices: Mapping[int, Decimal],
    value: HeldValue | None = None,
    beside: WorkingValue | None = None,
) -> Exposure:
    """Exposure of the signed quantities `held`; their `value` at these prices, and that of the working orders `beside` them, may be known.

    Raises KeyError when an instrument has no price.
    """
    now = held_value(held, prices) if value is None else value
    may = working_value(held, working, prices) if beside is None else beside
    return Exposure(net=now.net, gross=now.gross + may.more, lowest=now.net - may.sold, highest=now.net + may.bought)
