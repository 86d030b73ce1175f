"""Live channels of market data: "quotes" (latest prices by symbol) and "market" (the market's clock). Every signed-in user may see them."""

from typing import Any

from apps.core.clock import now
from apps.core.documents import plain
from apps.core.models import User
from apps.core.streams import register_stream
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import latest_quotes, quote_row


def register() -> None:
    """Declare the channels; called when Django is ready."""
    register_stream("quotes", snapshot=_quotes, allowed=_everybody)
    register_stream("market", snapshot=_market, allowed=_everybody)


def _quotes(_user: User, _key: str) -> dict[str, Any]:
    return {"quotes": plain({symbol: quote_row(quote) for symbol, quote in latest_quotes().items()})}


def _market(_user: User, _key: str) -> dict[str, Any]:
    return dict(plain(market_clock(now())))


def _everybody(user: User, key: str) -> bool:
    return user.is_authenticated and not key
