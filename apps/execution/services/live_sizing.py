"""How a live engine sizes what its strategy says, and what its own limits are held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from apps.core.trading import Side
from apps.execution.domain.cycles import Purpose, Room, Wanted, bar_words, own_limits
from apps.execution.domain.decisions import ordered_quantity
from apps.execution.models import TradingEngine
from apps.execution.services.engine_records import decided_lately
from apps.execution.services.engine_view import EngineView
from apps.execution.services.live_config import LiveConfig
from apps.marketdata.domain.bars import BarPanel
from apps.strategies.domain.sizers import SizingPortfolio, bars_wanted, measured
from apps.strategies.domain.strategy import StrategySignal

if TYPE_CHECKING:
    from apps.execution.models import BrokerageAccount
    from apps.marketdata.models import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """One look of an engine, with the bars up to what its strategy said."""

    config: LiveConfig
    account: "BrokerageAccount"
    engine: TradingEngine
    view: EngineView
    history: BarPanel

    def wanted(self, signal: StrategySignal, instrument: "Instrument") -> Wanted | None:
        """The order that follows from a signal, None for none. Of quantity 0 where there is nothing to trade, but perhaps to withdraw."""
        position, leaves = self.view.position(instrument, self.engine.book_id), self.view.leaves(instrument)
        affordable = self._affordable(signal, instrument)
        quantity = ordered_quantity(signal=signal.action.sign, held=float(position), leaves=float(leaves), affordable=affordable)
        if quantity is None:
            return None
        buys = signal.action.sign > 0
        return Wanted(
            symbol=signal.symbol,
            purpose=Purpose.SIGNAL,
            side=Side.BUY if buys else Side.SELL,
            quantity=Decimal(repr(quantity)).quantize(instrument.lot_size) if buys else position,
            reason=f"{signal.action} after {bar_words(signal.timestamp)}",
            bar_ts=signal.timestamp,
        )

    def broken(
        self, wanted: Wanted, signal: StrategySignal, instrument: "Instrument", others: Sequence[Wanted], at: datetime
    ) -> tuple[tuple[str, str], ...]:
        """Which of the engine's own limits an order would break, beside the others that this look wants."""
        known = self.view.prices.get(signal.symbol)
        price = known.price if known else Decimal(repr(signal.price))
        room = self._room(wanted, instrument, others, at)
        return own_limits(self.config.risk, side=wanted.side, quantity=wanted.quantity, price=price, room=room)

    def _affordable(self, signal: StrategySignal, instrument: "Instrument") -> float:
        """Whole lots for a new position, never more than the cash pays for with twice the usual costs."""
        price, symbol = signal.price, signal.symbol
        worst = price * (1 + 2e-4 * float(self.account.slippage_bps))
        money = SizingPortfolio(
            equity=float(self.view.valuation.total or 0),
            lots={symbol: float(instrument.lot_size)},
            affordable={symbol: (float(self.view.held.cash) - 2 * float(self.account.commission)) / worst},
            **self._measured(symbol),
        )
        return self.config.sized_by.calculate_qty(signal, money, price)

    def _measured(self, symbol: str) -> dict[str, dict[str, float]]:
        sizer, panel = self.config.sized_by, self.history
        if not bars_wanted(sizer):
            return {}
        column = panel.symbols.index(symbol)
        has = panel.close[:, column] == panel.close[:, column]
        high, low, close = (values[has, column] for values in (panel.high, panel.low, panel.close))
        return measured(sizer, symbol, high=high, low=low, close=close)

    def _room(self, wanted: Wanted, instrument: "Instrument", others: Sequence[Wanted], at: datetime) -> Room:
        """What the engine holds, what its orders may still buy, and how often it has ordered. What this look wants counts too."""
        view = self.view
        buys = [w for w in others if w.side is Side.BUY]
        exposure = sum((p.quantity * (p.current_price or p.average_cost) for p in view.look.positions), Decimal(0))
        for symbol, quantity in [(w.symbol, w.leaves) for w in view.working if w.side is Side.BUY] + [(w.symbol, w.quantity) for w in buys]:
            exposure += quantity * (view.prices[symbol].price if symbol in view.prices else Decimal(0))
        lately = [*decided_lately(self.engine, at), *(w.symbol for w in others)]
        return Room(
            held=view.position(instrument, self.engine.book_id) + view.leaves(instrument, Side.BUY),
            exposure=exposure,
            orders_last_minute=len(lately),
            symbol_orders_last_minute=lately.count(wanted.symbol),
        )
