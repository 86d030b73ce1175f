"""From targets to trades: what to sell and to buy, so that nothing is oversold, nothing goes short and the cash pays for all of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, localcontext
from enum import StrEnum

from apps.core.money import MONEY_PLACES, ZERO, money
from apps.core.trading import Side
from apps.portfolios.domain.drift import ONE
from apps.portfolios.domain.lots import PRECISION

BASIS_POINT = Decimal("0.0001")
#: Each amount is rounded to this: a budget keeps one of it free for each purchase.
SMALLEST = Decimal(1).scaleb(-MONEY_PLACES)


class RebalanceReason(StrEnum):
    """Why a proposal was made."""

    DRIFT = "drift_threshold"
    STOP_LOSS = "stop_loss"
    SCHEDULED = "scheduled"
    FORCED = "forced"


class TradeReason(StrEnum):
    """Why one trade is in a proposal."""

    DRIFT = "drift"
    NO_TARGET = "no_target"
    STOP_LOSS = "stop_loss"


class StopAction(StrEnum):
    """What a breach of the stop does: nothing, a proposal and an alert, or an exit on paper at once."""

    OFF = "off"
    PROPOSE = "propose"
    EXIT = "exit"


class RebalanceStatus(StrEnum):
    """Where a proposal stands. EXECUTING is taken once: whoever takes it executes, and nobody else begins."""

    PENDING = "pending"
    EXECUTING = "executing"
    EXECUTED = "executed"
    PARTIAL = "partial"
    FAILED = "failed"


#: Statuses after which nothing more happens.
ENDED = [RebalanceStatus.EXECUTED.value, RebalanceStatus.PARTIAL.value, RebalanceStatus.FAILED.value]


class Every(StrEnum):
    """How often something is due."""

    NEVER = "never"
    DAY = "daily"
    WEEK = "weekly"
    MONTH = "monthly"
    QUARTER = "quarterly"


def period(every: Every, day: date) -> tuple[int, int]:
    """Which period a day belongs to: two days of one period have the same number, a later period the greater one."""
    if every is Every.QUARTER:
        return day.year, (day.month - 1) // 3
    if every is Every.MONTH:
        return day.year, day.month
    if every is Every.WEEK:
        return day.isocalendar()[:2]
    return day.year, day.toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a trade costs: `commission` once per order, and `slippage_bps` (1 bp = 1e-4) by which it trades worse than the price."""

    commission: Decimal
    slippage_bps: Decimal

    @property
    def slippage(self) -> Decimal:
        """The same as a fraction of the value."""
        return self.slippage_bps * BASIS_POINT


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An instrument as it is: signed `quantity` held, `price` per share (> 0) in the portfolio's currency, target (0 to 1).

    `exit` is a position that a stop-loss ends; whatever its target is, nothing of it shall be left.
    """

    symbol: str
    quantity: Decimal
    price: Decimal
    lot_size: Decimal
    target_weight: Decimal
    exit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One trade of a proposal. `value` = quantity x price; `slippage` and `commission` are its expected cost; weights are of the equity."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    value: Decimal
    commission: Decimal
    slippage: Decimal
    weight_before: Decimal
    target_weight: Decimal
    weight_after: Decimal
    reason: TradeReason

    @property
    def cash_change(self) -> Decimal:
        """What the trade does to the cash, its cost included."""
        return -self.side.sign * self.value - self.slippage - self.commission


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A drift that is left as it is, and why."""

    symbol: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebalance:
    """Sales first, then purchases, each by symbol. `estimated_cost` is slippage and commission of all trades."""

    trades: tuple[Trade, ...]
    skipped: tuple[Skipped, ...]
    cash_after: Decimal
    estimated_cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What would be traded of a line if the cash were no question."""

    line: Line
    side: Side
    quantity: Decimal


def rebalance(
    *,
    equity: Decimal,
    cash: Decimal,
    lines: Sequence[Line],
    costs: Costs,
    band: Decimal,
    exits_only: bool = False,
    margins: Costs | None = None,
) -> Rebalance:
    """The trades that bring `lines` to their targets, as far as whole lots and the cash allow.

    A target is rounded down to whole lots, so a sale never turns a position around. A drift of at most `band` is left alone, except where
    nothing is wanted (no target, a stop). Purchases are paid from `cash` and the sales' proceeds, costs included; where that is not enough,
    all of them shrink in proportion; `margins` are the costs that the cash must reach for there, where a gate asks for more than `costs`.
    With `exits_only` only positions that a stop ends are traded.
    """
    with localcontext(prec=PRECISION):
        skipped: list[Skipped] = []
        wanted = [found for line in sorted(lines, key=lambda one: one.symbol) if (found := _wanted(line, equity, band, exits_only, skipped))]
        sales = [one for one in (_trade(w, equity, costs) for w in wanted if w.side is Side.SELL) if _pays(one, skipped)]
        budget = cash + sum((trade.cash_change for trade in sales), ZERO)
        buys = affordable([w for w in wanted if w.side is Side.BUY], budget, margins or costs, skipped)
        trades = (*sales, *(_trade(one, equity, costs) for one in buys))
        return Rebalance(
            trades=trades,
            skipped=tuple(skipped),
            cash_after=cash + sum((trade.cash_change for trade in trades), ZERO),
            estimated_cost=sum((trade.commission + trade.slippage for trade in trades), ZERO),
        )


def lots_down(quantity: Decimal, lot_size: Decimal) -> Decimal:
    """The most whole lots in a quantity (>= 0)."""
    return quantity // lot_size * lot_size


def affordable(wanted: Sequence[Wanted], budget: Decimal, costs: Costs, skipped: list[Skipped]) -> list[Wanted]:
    """The purchases that the budget pays, costs included: all as they are, or all smaller by the same factor. Notes what falls away."""
    if not wanted or sum((_cost(one, costs) for one in wanted), ZERO) <= budget:
        return list(wanted)
    value = sum((one.quantity * one.line.price * (ONE + costs.slippage) for one in wanted), ZERO)
    room = budget - len(wanted) * (costs.commission + 2 * SMALLEST)
    factor = max(ZERO, room) / value
    cut = [replace(one, quantity=lots_down(one.quantity * factor, one.line.lot_size)) for one in wanted]
    skipped += [Skipped(symbol=one.line.symbol, why="the cash does not reach for it") for one in cut if not one.quantity]
    return [one for one in cut if one.quantity]


def _cost(wanted: Wanted, costs: Costs) -> Decimal:
    """Cash that a purchase takes."""
    value = wanted.quantity * wanted.line.price
    return money(value) + money(value * costs.slippage) + costs.commission


def _wanted(line: Line, equity: Decimal, band: Decimal, exits_only: bool, skipped: list[Skipped]) -> Wanted | None:
    if exits_only and not line.exit:
        return None
    target = ZERO if line.exit else lots_down(max(ZERO, equity) * line.target_weight / line.price, line.lot_size)
    change = target - line.quantity
    if not change:
        return None
    off = abs(line.quantity * line.price / equity - line.target_weight) if equity else ONE
    if line.target_weight and not line.exit and off <= band:
        skipped.append(Skipped(symbol=line.symbol, why="its drift is within the band"))
        return None
    quantity = lots_down(abs(change), line.lot_size)
    if not quantity:
        skipped.append(Skipped(symbol=line.symbol, why="the difference is less than a lot"))
        return None
    return Wanted(line=line, side=Side.BUY if change > 0 else Side.SELL, quantity=quantity)


def _pays(trade: Trade, skipped: list[Skipped]) -> bool:
    """A sale that costs more than it brings would take cash instead of giving it."""
    if trade.cash_change > 0:
        return True
    skipped.append(Skipped(symbol=trade.symbol, why="its sale would cost more than it brings"))
    return False


def _trade(wanted: Wanted, equity: Decimal, costs: Costs) -> Trade:
    line = wanted.line
    after = line.quantity + wanted.side.sign * wanted.quantity
    reason = TradeReason.STOP_LOSS if line.exit else TradeReason.DRIFT if line.target_weight else TradeReason.NO_TARGET
    return Trade(
        symbol=line.symbol,
        side=wanted.side,
        quantity=wanted.quantity,
        price=line.price,
        value=money(wanted.quantity * line.price),
        commission=costs.commission,
        slippage=money(wanted.quantity * line.price * costs.slippage),
        weight_before=_weight(line.quantity * line.price, equity),
        target_weight=line.target_weight,
        weight_after=_weight(after * line.price, equity),
        reason=reason,
    )


def _weight(value: Decimal, equity: Decimal) -> Decimal:
    return round(value / equity, 8) if equity else ZERO
