"""Smart order routing: which venues take which part of a marketable order (domain.md D3).

With order protection (Regulation NMS rule 611) better displayed prices are taken first, and fees only order venues that display the
same price. Without it the effective price alone decides: the displayed price plus the fee for a buy, minus the fee for a sell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.core.errors import InvalidInput
from apps.core.measures import measure
from apps.core.money import finite
from apps.core.trading import Side
from apps.execution.domain.algos import ONE, in_lots


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueQuote:
    """What a venue displays on the side that the order would take: price, shares, and the fee per share (a rebate is negative)."""

    venue: str
    price: Decimal
    size: int
    fee: Decimal = Decimal(0)

    def effective(self, side: Side) -> Decimal:
        """What a share really costs a buyer, or brings a seller."""
        return self.price + side.sign * self.fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A part of the order for one venue."""

    venue: str
    quantity: Decimal
    price: Decimal


def route(
    *,
    side: Side,
    quantity: Decimal,
    limit: Decimal | None,
    quotes: Sequence[VenueQuote],
    order_protection: bool = True,
    lot: Decimal = ONE,
) -> tuple[Route, ...]:
    """The parts in routing order: best price first, then the larger size, then the order given. What no venue takes is not listed.

    Each part is in whole lots. A venue whose price is beyond the limit (None: any price) or which displays less than a lot takes no part.
    """
    eligible = [quote for quote in quotes if quote.size > 0 and (limit is None or side.sign * (limit - quote.price) >= 0)]

    def rank(quote: VenueQuote) -> tuple[Decimal, Decimal, int]:
        displayed = side.sign * quote.price if order_protection else Decimal(0)
        return displayed, side.sign * quote.effective(side), -quote.size

    left, routes = quantity, []
    for quote in sorted(eligible, key=rank):
        taken = in_lots(min(left, Decimal(quote.size)), lot)
        if taken:
            routes.append(Route(venue=quote.venue, quantity=taken, price=quote.price))
        left -= taken
    return tuple(routes)


@measure(
    "execution.routing.smart",
    units="shares by venue, in routing order",
    convention="with protection the better displayed price first, inside a price the better effective price; without, effective price only; "
    "then the larger size; fee per share, rebates negative; the remainder is not listed",
    source="Regulation NMS rule 611; domain.md D3",
)
def smart_route(
    side: str, quantity: int, limit: Decimal | None, quotes: Sequence[Mapping[str, Any]], order_protection: bool = True
) -> list[dict[str, Any]]:
    """Route an order for `quantity` shares over quotes [{venue, price, size, fee}]: [{venue, quantity}].

    Raises InvalidInput for an unknown side, a quantity that is not positive, and a quote without venue, price or size.
    """
    try:
        wanted = Side(str(side).lower())
    except ValueError as error:
        raise InvalidInput(f"{side!r} is neither BUY nor SELL", field="side") from error
    if int(quantity) != quantity or quantity <= 0:
        raise InvalidInput(f"{quantity} is no whole quantity above zero", field="quantity")
    parts = route(
        side=wanted,
        quantity=Decimal(int(quantity)),
        limit=None if limit is None else finite(limit, field="limit"),
        quotes=[_quote(item, at) for at, item in enumerate(quotes)],
        order_protection=order_protection,
    )
    return [{"venue": part.venue, "quantity": int(part.quantity)} for part in parts]


def _quote(item: Mapping[str, Any], at: int) -> VenueQuote:
    missing = [name for name in ("venue", "price", "size") if name not in item]
    if missing:
        raise InvalidInput(f"quote {at} has no {', '.join(missing)}", field=f"quotes/{at}/{missing[0]}")
    size = finite(item["size"], field=f"quotes/{at}/size")
    return VenueQuote(
        venue=str(item["venue"]),
        price=finite(item["price"], field=f"quotes/{at}/price"),
        size=int(size),
        fee=finite(item.get("fee", 0), field=f"quotes/{at}/fee"),
    )
