"""Live channels of market data: "quotes" (latest prices by symbol), "market" (the market's clock), "bars:SYMBOL" (one-minute bars).

Every signed-in user may see them.
"""

from datetime import UTC
from typing import Any

from apps.core.clock import now
from apps.core.documents import plain
from apps.core.models import User
from apps.core.streams import register_stream
from apps.marketdata.domain.bars import FIELDS
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import latest_quotes, quote_row

#: What a subscriber to a symbol's bars gets at first.
BARS_SHOWN = 120


def register() -> None:
    """Declare the channels; called when Django is ready."""
    register_stream("quotes", snapshot=_quotes, allowed=_everybody)
    register_stream("market", snapshot=_market, allowed=_everybody)
    register_stream("bars", snapshot=_bars, allowed=_known_symbol)


def _quotes(_user: User, _key: str) -> dict[str, Any]:
    return {"quotes": plain({symbol: quote_row(quote) for symbol, quote in latest_quotes().items()})}


def _market(_user: User, _key: str) -> dict[str, Any]:
    return dict(plain(market_clock(now())))


def _bars(_user: User, key: str) -> dict[str, Any]:
    bars = bar_series(symbol=key, timeframe=Timeframe.MINUTE, last=BARS_SHOWN)
    rows = [{"ts": ts.item().replace(tzinfo=UTC), **{name: getattr(bars, name)[row] for name in FIELDS}} for row, ts in enumerate(bars.ts)]
    return dict(plain({"timeframe": Timeframe.MINUTE.code, "bars": rows}))


def _known_symbol(user: User, key: str) -> bool:
    return user.is_authenticated and bool(instruments_known([key]))


def _everybody(user: User, key: str) -> bool:
    return user.is_authenticated and not key
