"""The tree of the positions that a user sees."""

from typing import TYPE_CHECKING

from apps.marketdata.selectors.market import MarketClock
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.tree import Node, desk_tree
from apps.portfolios.selectors.holdings import holdings_many
from apps.portfolios.selectors.portfolios import portfolios_visible

if TYPE_CHECKING:
    from apps.core.models import User


def position_tree(user: "User", *, market: MarketClock) -> Node:
    """Desk, portfolios by name, books and positions at the latest prices: a fixed number of queries, however many there are."""
    names = dict(portfolios_visible(user).distinct().values_list("id", "name"))
    held = holdings_many(names)
    symbols = sorted({symbol for one in held.values() for symbol in one.symbols})
    prices = reference_prices(symbols, market_time=market.market_time) if symbols else {}
    return desk_tree(holdings=[(name, held[portfolio_id]) for portfolio_id, name in names.items()], prices=prices)
