"""What a live engine sees: prices, its positions, the portfolio's value, and the last completed bar."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apps.core.money import ZERO
from apps.core.trading import ReferencePrice, Side, WorkingOrder
from apps.execution.domain.protection import LivePosition, Look, StopLossConfig
from apps.execution.selectors.working import working_orders
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR, MarketClock, market_clock
from apps.marketdata.selectors.quotes import previous_closes, reference_prices
from apps.portfolios.domain.valuation import Valuation, value_holdings
from apps.portfolios.selectors.cash import net_deposits
from apps.portfolios.selectors.holdings import Holdings, holdings, traded_since

if TYPE_CHECKING:
    from apps.marketdata.models import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineView:
    """One moment. `prices` by symbol are those of the engine's symbols and of all that the portfolio holds."""

    market: MarketClock
    held: Holdings
    prices: Mapping[str, ReferencePrice]
    valuation: Valuation
    look: Look
    working: tuple[WorkingOrder, ...]

    def position(self, instrument: "Instrument", book_id: int) -> Decimal:
        """Signed shares of an instrument in a book."""
        return sum((p.quantity for p in self.held.positions if p.book_id == book_id and p.instrument_id == instrument.pk), ZERO)

    def waiting(self, instrument: "Instrument") -> list[WorkingOrder]:
        """Orders of the book in an instrument that still work."""
        return [order for order in self.working if order.instrument_id == instrument.pk]

    def leaves(self, instrument: "Instrument", side: Side | None = None) -> Decimal:
        """Signed shares that those orders may still trade, of one side or of both."""
        return sum((w.leaves * w.side.sign for w in self.waiting(instrument) if side is None or w.side is side), ZERO)

    def as_dict(self) -> dict[str, Any]:
        """What is kept of it with a cycle, Decimals as they are."""
        return {
            "positions": [position_row(position) for position in self.look.positions],
            "equity": self.look.equity,
            "day_return": self.look.day_return,
            "flows": self.look.flows,
            "cash": self.held.cash,
            "missing": self.valuation.missing,
        }


def engine_view(*, portfolio_id: int, book_id: int, symbols: tuple[str, ...], stops: StopLossConfig, at: datetime) -> EngineView:
    """What is to be seen at a moment. The day's result is looked up only where a portfolio stop needs it; Redis away raises Unavailable."""
    market = market_clock(at)
    held = holdings(portfolio_id)
    wanted = tuple(dict.fromkeys([*symbols, *held.symbols]))
    day = stops.portfolio_stop_pct is not None
    traded = traded_since(portfolio_id, calendars.session_hours(HOME_CALENDAR, market.session)[0]) if day else {}
    wanted = tuple(dict.fromkeys([*wanted, *(trade.symbol for trade in traded.values())]))
    prices = reference_prices(wanted, market_time=market.market_time)
    closes = previous_closes(wanted, market.market_time) if day else {}
    valuation = value_holdings(holdings=held, prices=prices, previous_closes=closes, traded=traded)
    look = Look(
        positions=_positions(held, book_id, {symbol: price.price for symbol, price in prices.items()}),
        equity=valuation.total,
        day_return=valuation.day_return if day else None,
        flows=net_deposits(portfolio_id),
    )
    working = tuple(order for order in working_orders(portfolio_id) if order.book_id == book_id)
    return EngineView(market=market, held=held, prices=prices, valuation=valuation, look=look, working=working)


def position_row(position: LivePosition) -> dict[str, Any]:
    """A position with the keys of seed 003."""
    return {
        "symbol": position.symbol,
        "quantity": position.quantity,
        "average_cost": position.average_cost,
        "current_price": position.current_price,
        "unrealized_pnl": position.unrealized_pnl,
        "realized_pnl": position.realized_pnl,
    }


def _positions(held: Holdings, book_id: int, prices: Mapping[str, Decimal]) -> tuple[LivePosition, ...]:
    """Long positions of the book; prices in the portfolio's currency, as costs are."""
    in_base = held.in_base(prices)
    return tuple(
        LivePosition(
            symbol=position.symbol,
            quantity=position.quantity,
            average_cost=round(position.cost / position.quantity, 6),
            current_price=in_base.get(position.symbol),
            realized_pnl=position.realised,
        )
        for position in held.positions
        if position.book_id == book_id and position.quantity > 0
    )
