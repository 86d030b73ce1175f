"""Routing over venues. The published case is certified from fixtures/vectors/execution.json."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apps.core.trading import Side
from apps.execution.domain.routing import VenueQuote, route

QUOTES = st.lists(
    st.builds(
        VenueQuote,
        venue=st.text("ABCDEFGH", min_size=1, max_size=3),
        price=st.decimals("9.90", "10.10", places=2),
        size=st.integers(0, 500),
        fee=st.decimals("-0.003", "0.003", places=4),
    ),
    max_size=8,
)


@given(st.sampled_from(Side), st.integers(1, 2000), st.decimals("9.90", "10.10", places=2), QUOTES, st.booleans())
def test_no_route_breaks_the_limit_exceeds_a_venue_or_the_order(
    side: Side, quantity: int, limit: Decimal, quotes: list[VenueQuote], protected: bool
) -> None:
    routes = route(side=side, quantity=quantity, limit=limit, quotes=quotes, order_protection=protected)
    available = sum(quote.size for quote in quotes if side.sign * (limit - quote.price) >= 0)
    assert sum(part.quantity for part in routes) == min(quantity, available)
    assert all(side.sign * (limit - part.price) >= 0 for part in routes)
    if protected:  # no worse displayed price is taken before a better one
        prices = [side.sign * part.price for part in routes]
        assert prices == sorted(prices)


@given(st.sampled_from(Side), st.integers(1, 2000), QUOTES)
def test_without_protection_no_other_choice_of_venues_is_cheaper(side: Side, quantity: int, quotes: list[VenueQuote]) -> None:
    routes = route(side=side, quantity=quantity, limit=None, quotes=quotes, order_protection=False)
    costs = sorted(side.sign * quote.effective(side) for quote in quotes for _ in range(quote.size))[:quantity]
    by_venue = {id(quote): quote for quote in quotes}
    paid, left = Decimal(0), quantity
    for quote in sorted(by_venue.values(), key=lambda one: side.sign * one.effective(side)):
        taken = min(left, quote.size)
        paid += taken * side.sign * quote.effective(side)
        left -= taken
    assert paid == sum(costs, Decimal(0))
    assert sum(part.quantity for part in routes) == len(costs)
