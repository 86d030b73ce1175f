"""The live engine: on each completed bar a strategy speaks, is recorded, sized, and its orders pass the gate like everybody's.

It keeps nothing in memory that matters: positions, working orders and what was said stand in the database. So a start is a recovery,
and a bar that is recorded is never acted upon again, by no process.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apps.alerts.services import alert_raise
from apps.core.errors import DeskError, InvalidInput, NotFound, NotPermitted, Unavailable
from apps.core.money import ZERO
from apps.core.trading import Side, TimeInForce, TradingMode
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.decisions import engine_order_id, ordered_quantity
from apps.execution.domain.states import OrderStatus
from apps.execution.models import Order
from apps.execution.selectors.working import working_orders
from apps.execution.services.accounts import account_of
from apps.execution.services.intents import intent_build
from apps.execution.services.orders import order_submit, order_withdraw
from apps.execution.services.routing import broker_build
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_panel, visible_end
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.valuation import value_holdings
from apps.portfolios.selectors.holdings import Holdings, holdings
from apps.portfolios.selectors.portfolios import portfolio_may_trade, portfolio_members
from apps.portfolios.services.portfolios import book_get_or_create
from apps.strategies.domain.registry import strategy_build
from apps.strategies.domain.sizing import lots, percent
from apps.strategies.domain.strategy import MarketSnapshot, Strategy, StrategySignal, snapshot_at
from apps.strategies.selectors.signals import signals_last
from apps.strategies.services.signals import signals_record

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.execution.models import BrokerageAccount
    from apps.marketdata.models import Instrument

logger = logging.getLogger(__name__)

#: Calendar days that hold a session, with room for holidays and for days on which a symbol did not trade.
DAYS_PER_BAR = 1.7
FEWEST_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """What runs where. `size_fraction` of the portfolio's value goes into each new position."""

    strategy: str
    symbols: tuple[str, ...]
    portfolio_id: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    size_fraction: float = 0.1
    max_volume_pct: float = 0.1

    def __post_init__(self) -> None:
        if not self.symbols or len(set(self.symbols)) != len(self.symbols):
            raise InvalidInput("symbols are named once each, and at least one", field="symbols")
        if not 0 < self.size_fraction <= 1:
            raise InvalidInput("the size is above 0 and at most 100 percent", field="size_percent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the engine did after one bar: what was said anew, and the orders that followed."""

    bar: datetime
    signals: tuple[StrategySignal, ...]
    orders: tuple[Order, ...]


@dataclass(slots=True, kw_only=True)
class LiveEngine:
    """One strategy in one portfolio, trading in its own book. `step` after each completed bar; made by `live_engine_build`."""

    config: LiveConfig
    user: "User"
    strategy: Strategy
    instruments: Mapping[str, "Instrument"]
    account: "BrokerageAccount"
    book_id: int

    def step(self, *, at: datetime) -> Step | None:
        """Act on the last bar that the market has completed; None when it is recorded already, or when there is no bar.

        Raises Unavailable before anything is recorded when a price that sizing needs cannot be had: the bar is tried again.
        """
        snapshot = self._snapshot(at)
        if snapshot is None:
            return None
        before = signals_last(strategy=self.strategy.name, book_id=self.book_id, before=snapshot.timestamp)
        said = self.strategy.generate_signals(snapshot)
        equity = self._equity(at)
        recorded = signals_record(
            strategy=self.strategy.name,
            parameters=dict(self.config.parameters),
            book_id=self.book_id,
            signals=said,
            market_time=market_clock(at).market_time,
            recorded_at=at,
        )
        if not recorded.new:
            return None
        fresh = {row.instrument.symbol for row in recorded.new}
        news = tuple(signal for signal in said if signal.symbol in fresh)
        # What it said last time is no news: the order that followed from it is there, or was refused.
        changed = [signal for signal in news if signal.action.sign and signal.action.value.lower() != before.get(signal.symbol)]
        orders = [order for signal in changed if (order := self._act(signal, equity, at)) is not None]
        return Step(bar=snapshot.timestamp, signals=news, orders=tuple(orders))

    def _snapshot(self, at: datetime) -> MarketSnapshot | None:
        """History up to the last session that the market has completed: never a bar that still runs, never one that is old.

        It is told in today's shares: a split in it is no signal.
        """
        calendar = next(iter(self.instruments.values())).calendar
        end = visible_end(at, calendar=calendar)
        days = max(FEWEST_DAYS, int(self.strategy.history_needed * DAYS_PER_BAR) + FEWEST_DAYS)
        start = end - timedelta(days=days)
        panel = bar_panel(symbols=list(self.config.symbols), timeframe=Timeframe.DAY, start=start, end=end, adjustment=Adjustment.SPLIT)
        snapshot = snapshot_at(panel, len(panel) - 1) if len(panel) else None
        return snapshot if snapshot is not None and snapshot.timestamp.date() == end else None

    def _equity(self, at: datetime) -> Decimal:
        held = holdings(self.config.portfolio_id)
        prices = reference_prices(held.symbols, market_time=market_clock(at).market_time)
        value = value_holdings(holdings=held, prices=prices)
        if value.total is None:
            raise Unavailable(f"no price of {', '.join(value.missing)}: positions cannot be sized")
        return value.total

    def _act(self, signal: StrategySignal, equity: Decimal, at: datetime) -> Order | None:
        """The order that follows from one signal. A failure is told to people and does not stop the other symbols."""
        try:
            return self._order(signal, equity, at)
        except DeskError as error:
            logger.warning("%s: no order of %s: %s", self.strategy.name, signal.symbol, error)
            self._alert(f"{self.strategy.name} could not trade {signal.symbol}", error.detail, at)
            return None

    def _order(self, signal: StrategySignal, equity: Decimal, at: datetime) -> Order | None:
        instrument = self.instruments[signal.symbol]
        held = holdings(self.config.portfolio_id)
        position = sum((p.quantity for p in held.positions if p.book_id == self.book_id and p.instrument_id == instrument.pk), ZERO)
        waiting = [w for w in working_orders(self.config.portfolio_id) if w.book_id == self.book_id and w.instrument_id == instrument.pk]
        leaves = sum((w.leaves * w.side.sign for w in waiting), ZERO)
        wanted = ordered_quantity(
            signal=signal.action.sign,
            held=float(position),
            leaves=float(leaves),
            affordable=self._affordable(signal.price, equity, held, instrument),
        )
        if wanted is None:
            return None
        if signal.action.sign < 0:
            for order in waiting:
                order_withdraw(portfolio_id=self.config.portfolio_id, order_id=order.order_id, reason=f"{self.strategy.name} says sell", at=at)
            quantity = position
        else:
            quantity = Decimal(repr(wanted)).quantize(instrument.lot_size)
        return self._submit(signal, quantity, at) if quantity > 0 else None

    def _affordable(self, price: float, equity: Decimal, held: Holdings, instrument: "Instrument") -> float:
        """Whole lots for a new position, never more than the cash pays for with twice the usual costs."""
        lot = float(instrument.lot_size)
        wanted = percent(float(equity), self.config.size_fraction, price, lot)
        worst = price * (1 + 2e-4 * float(self.account.slippage_bps))
        return min(wanted, lots((float(held.cash) - 2 * float(self.account.commission)) / worst, lot))

    def _submit(self, signal: StrategySignal, quantity: Decimal, at: datetime) -> Order:
        intent = intent_build(
            user=self.user,
            portfolio_id=self.config.portfolio_id,
            symbol=signal.symbol,
            side=Side.BUY if signal.action.sign > 0 else Side.SELL,
            quantity=quantity,
            time_in_force=TimeInForce.DAY,
            client_order_id=engine_order_id(
                strategy=self.strategy.name, book_id=self.book_id, symbol=signal.symbol, bar=signal.timestamp.isoformat()
            ),
            book=self.strategy.name,
            strategy=self.strategy.name,
        )
        order = order_submit(intent=intent, user=self.user, at=at, note=f"{signal.action} after the bar of {signal.timestamp:%Y-%m-%d}")
        if order.status == OrderStatus.DENIED:
            self._alert(f"An order of {self.strategy.name} was denied: {intent.side} {trimmed(quantity)} {signal.symbol}", order.reason, at)
        return order

    def _alert(self, title: str, detail: str, at: datetime) -> None:
        alert_raise(
            code="STRATEGY_NOT_TRADING",
            severity="warning",
            title=title,
            detail=detail,
            subject=f"portfolio:{self.config.portfolio_id}",
            data={"strategy": self.strategy.name, "symbols": list(self.config.symbols)},
            recipients=portfolio_members(self.config.portfolio_id),
            occurred_at=at,
            recorded_at=at,
        )


def live_engine_build(*, config: LiveConfig, user: "User", mode: TradingMode, at: datetime) -> LiveEngine:
    """An engine that is ready to step; makes its book when it is not there.

    Raises InvalidInput (strategy, parameters), NotFound (symbols, portfolio), NotPermitted (the user does not trade there),
    Conflict (no account) and ModeMismatch (the account's mode is another).
    """
    strategy = strategy_build(config.strategy, config.parameters)
    instruments = instruments_get(config.symbols)
    if not portfolio_may_trade(user=user, portfolio_id=config.portfolio_id):
        raise NotPermitted(f"{user.get_username()} may not place orders in portfolio {config.portfolio_id}", field="user")
    account = account_of(config.portfolio_id)
    broker_build(account, mode=mode)
    book = book_get_or_create(portfolio_id=config.portfolio_id, name=strategy.name, recorded_at=at)
    return LiveEngine(config=config, user=user, strategy=strategy, instruments=instruments, account=account, book_id=book.pk)


def engine_user(*, portfolio_id: int, username: str | None) -> "User":
    """Whose name an engine's orders carry: the named user, else the portfolio's first member who may trade in it.

    Raises NotFound (no such user), NotPermitted (nobody may trade there).
    """
    from apps.core.models import User

    if username is not None:
        named = User.objects.filter(username=username, is_active=True).first()
        if named is None:
            raise NotFound(f"there is no active user {username!r}", field="user")
        return named
    for user in User.objects.filter(pk__in=portfolio_members(portfolio_id), is_active=True).order_by("id"):
        if portfolio_may_trade(user=user, portfolio_id=portfolio_id):
            return user
    raise NotPermitted(f"no member of portfolio {portfolio_id} may place orders in it", field="user")


def step_as_dict(step: Step) -> dict[str, Any]:
    """JSON form of a step."""
    return {
        "bar": step.bar,
        "signals": [signal.as_dict() for signal in step.signals if signal.action.sign],
        "orders": [{"id": order.pk, "status": order.status, "reason": order.reason} for order in step.orders],
    }
