"""The eleven steps of a live engine's cycle (seed 003), and what an engine decides in it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID, uuid5

from apps.core.check_codes import CheckCode
from apps.core.money import ZERO
from apps.core.trading import Side
from apps.execution.domain.decisions import ENGINE_ORDERS
from apps.execution.domain.engine_config import RiskConfig


class CycleStep(IntEnum):
    """In the order of the seed."""

    RECEIVE = 1
    UPDATE = 2
    CHECK_STOPS = 3
    CIRCUIT_BREAKER = 4
    SNAPSHOT = 5
    SIGNALS = 6
    DEDUPLICATE = 7
    VALIDATE = 8
    EXECUTE = 9
    LOG = 10
    HEALTH = 11

    @property
    def label(self) -> str:
        """As people read it."""
        return _LABELS[self]


_LABELS: Mapping[int, str] = {
    1: "Receive market data",
    2: "Update prices and P&L",
    3: "Check stops",
    4: "Circuit breaker",
    5: "Build the snapshot",
    6: "Generate signals",
    7: "Drop what was said before",
    8: "Validate",
    9: "Execute",
    10: "Log",
    11: "Write the health file",
}
#: The steps that are done before anything is ordered: they are committed with what was decided.
BEFORE_ORDERS = tuple(step for step in CycleStep if step < CycleStep.EXECUTE)


class Trigger(StrEnum):
    """What made the engine look."""

    BAR = "bar"
    PRICE = "price"


class Purpose(StrEnum):
    """Why an order is sent: for a signal, or by a stop."""

    SIGNAL = "signal"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    PORTFOLIO_STOP = "portfolio_stop"
    MAX_DRAWDOWN = "max_drawdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step of a cycle: what came of it, and with which inputs."""

    step: CycleStep
    outcome: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An order that the engine has decided on. `bar_ts` is the bar that a signal was said after, None for a stop."""

    symbol: str
    purpose: Purpose
    side: Side
    quantity: Decimal
    reason: str
    bar_ts: datetime | None = None
    attempt: int = 1


#: Refusals that pass by themselves. What people have decided, a limit, a halt, a list, is an answer.
PASSING = frozenset(
    {
        CheckCode.RATE_LIMIT_GLOBAL,
        CheckCode.RATE_LIMIT_DESK,
        CheckCode.RATE_LIMIT_SYMBOL,
        CheckCode.RATE_LIMIT_ALGO,
        CheckCode.PRICE_MISSING,
        CheckCode.PRICE_STALE,
        CheckCode.FX_RATE_MISSING,
        CheckCode.FX_RATE_STALE,
        CheckCode.MARKET_STATE_UNKNOWN,
        CheckCode.MARKET_HALTED,
        CheckCode.RISK_NOT_COMPUTED,
        CheckCode.CHECK_FAILED,
    }
)
#: How long a signal waits after its first refusal; each further one doubles it, up to the longest.
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=30)


def passes(codes: Iterable[str]) -> bool:
    """Whether a refusal by these codes passes by itself."""
    return PASSING.issuperset(codes)


def tried_again_after(attempts: int) -> timedelta:
    """How long a signal waits after so many refusals (>= 1)."""
    return min(FIRST_WAIT * (1 << min(attempts - 1, 10)), LONGEST_WAIT)


def bar_words(bar: datetime) -> str:
    """A bar by its start, as people read it: a day by its date."""
    return f"the bar of {bar:%Y-%m-%d}" if bar.time() == time() else f"the bar of {bar:%Y-%m-%d %H:%M}"


def stop_order_id(*, strategy: str, book_id: int, symbol: str, cycle: int) -> UUID:
    """The client order id of a stop's exit: one per symbol and cycle, on every host, for ever."""
    return uuid5(ENGINE_ORDERS, f"{strategy}|{book_id}|{symbol}|stop|{cycle}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the engine's own limits are held against, the new order not counted. Money in the portfolio's currency."""

    held: Decimal
    exposure: Decimal
    orders_last_minute: int
    symbol_orders_last_minute: int


def own_limits(config: RiskConfig, *, side: Side, quantity: Decimal, price: Decimal, room: Room) -> tuple[tuple[str, str], ...]:
    """Which of the engine's own limits an order would break, by the codes of seed 003. A sale only reduces: it breaks none."""
    if side is Side.SELL:
        return ()
    held = room.held + quantity
    numbers: tuple[tuple[str, str, Decimal, Decimal | int | None], ...] = (
        ("RATE_LIMIT_GLOBAL", "orders of the engine in a minute", Decimal(room.orders_last_minute + 1), config.max_orders_per_minute),
        (
            "RATE_LIMIT_SYMBOL",
            "orders of the symbol in a minute",
            Decimal(room.symbol_orders_last_minute + 1),
            config.max_orders_per_symbol_per_minute,
        ),
        ("POSITION_SIZE_LIMIT", "shares", held, config.max_position_size),
        ("POSITION_VALUE_LIMIT", "position value", held * price, config.max_position_value),
        ("TOTAL_EXPOSURE_LIMIT", "exposure of the engine", room.exposure + quantity * price, config.max_total_exposure),
    )
    return tuple((code, f"{what}: {_n(after)} is above {_n(limit)}") for code, what, after, limit in numbers if limit is not None and after > limit)


def exit_quantity(*, held: Decimal, leaves: Decimal) -> Decimal:
    """Shares that a stop still has to sell: what is held less what sells already. `leaves` is signed, of the sells that work (<= 0)."""
    return max(ZERO, held + leaves)


def _n(value: Decimal | int) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")
