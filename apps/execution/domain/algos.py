"""What an execution algorithm does next: a pure function of its terms, of how far it is, and of the market.

Five algorithms (domain.md D3). TWAP, VWAP and implementation shortfall follow a schedule of slices that is fixed when the parent is
made; POV follows the volume that others trade; an iceberg shows a part at a time. Common to all: never more than the parent, no price
beyond its limit, no more than its share of the volume where it has a cap, nothing after its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from random import Random
from uuid import UUID, uuid5

from apps.core.errors import InvalidInput
from apps.execution.domain.schedules import apportion, twap, vwap

ZERO = Decimal(0)
ONE = Decimal(1)
#: How many children in a row may be refused before the parent stops.
REFUSALS = 3
#: How long POV and an iceberg wait between two children, in algorithm time.
PAUSE = timedelta(seconds=30)
#: Names the children: the same slice of the same parent has the same client order id on every host, for ever.
CHILD_ORDERS = UUID("2f7c9a54-3f0e-5d83-9a0b-6f1d2f0f7c11")


class Algo(StrEnum):
    """How a parent order is worked. SMART sweeps venues at once and has no schedule."""

    TWAP = "twap"
    VWAP = "vwap"
    POV = "pov"
    ICEBERG = "iceberg"
    SHORTFALL = "is"
    SMART = "smart"

    @property
    def has_schedule(self) -> bool:
        return self in (Algo.TWAP, Algo.VWAP, Algo.SHORTFALL)


class AlgoStatus(StrEnum):
    """Where a parent stands. PENDING is judged but not yet working; PAUSED is by the desk's trading state."""

    PENDING = "pending"
    WORKING = "working"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    DENIED = "denied"

    @property
    def is_terminal(self) -> bool:
        return self in (AlgoStatus.DONE, AlgoStatus.CANCELLED, AlgoStatus.DENIED)


#: Which way a parent may go; the database refuses the rest.
ALGO_MOVES: tuple[tuple[AlgoStatus, AlgoStatus], ...] = (
    (AlgoStatus.PENDING, AlgoStatus.WORKING),
    (AlgoStatus.PENDING, AlgoStatus.DENIED),
    (AlgoStatus.WORKING, AlgoStatus.PAUSED),
    (AlgoStatus.WORKING, AlgoStatus.DONE),
    (AlgoStatus.WORKING, AlgoStatus.CANCELLED),
    (AlgoStatus.PAUSED, AlgoStatus.WORKING),
    (AlgoStatus.PAUSED, AlgoStatus.DONE),
    (AlgoStatus.PAUSED, AlgoStatus.CANCELLED),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of a schedule: from when (algorithm time since the start), and how many shares."""

    start: timedelta
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was ordered. `lot` divides `quantity`; `rate` (POV), `display` (iceberg, shares) and `cap` (share of the volume) where they apply.

    `horizon` is the algorithm time from start to end.
    """

    algo: Algo
    quantity: Decimal
    lot: Decimal
    horizon: timedelta
    slices: tuple[Slice, ...] = ()
    rate: Decimal | None = None
    display: Decimal | None = None
    cap: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a parent is. `elapsed` is algorithm time: market time since the start without pauses, negative before it.

    `working` is what children that have not ended may still fill. `next_slice` is one past the highest slice that has a child,
    `last_sent` the algorithm time of the newest child, `refused` how many children in a row, to the newest, were denied or rejected.
    """

    elapsed: timedelta
    filled: Decimal
    working: Decimal
    next_slice: int
    last_sent: timedelta | None = None
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """`others` is what others have traded since the start (shares; None: nobody knows)."""

    is_open: bool
    active: bool
    others: Decimal | None


class Deed(StrEnum):
    """What there is to do."""

    SEND = "send"
    WITHDRAW = "withdraw"
    FINISH = "finish"
    STOP = "stop"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next step and why. `slice` and `quantity` name the child to send."""

    deed: Deed
    reason: str
    slice: int = 0
    quantity: Decimal = ZERO


def child_order_id(*, parent: UUID, portfolio_id: int, number: int) -> UUID:
    """The client order id of a slice."""
    return uuid5(CHILD_ORDERS, f"{portfolio_id}|{parent}|{number}")


def decide(terms: Terms, standing: Standing, market: Market) -> Decision:
    """The one next step. Called again after it was taken, until it says WAIT or the parent has ended."""
    left = terms.quantity - standing.filled
    if left <= ZERO:
        return _said(Deed.FINISH, "all of it has traded")
    if standing.elapsed >= terms.horizon:
        if standing.working > ZERO:
            return _said(Deed.WITHDRAW, "the end has come")
        return _said(Deed.FINISH, f"the end has come with {left.normalize():f} left")
    if not market.active:
        return _said(Deed.WAIT, "trading is not active")
    if standing.elapsed < timedelta(0) or not market.is_open:
        return _said(Deed.WAIT, "the market is closed" if not market.is_open else "its start has not come")
    if standing.refused >= REFUSALS:
        return _said(Deed.WITHDRAW if standing.working > ZERO else Deed.STOP, f"{standing.refused} children in a row were refused")
    number, wanted, why = _wanted(terms, standing, market)
    quantity = min(wanted, left - standing.working)
    if terms.cap is not None:
        if market.others is None:
            return _said(Deed.WAIT, "nobody knows the volume that the participation cap is of")
        quantity = min(quantity, participation(terms.cap, market.others) - standing.filled - standing.working)
    quantity = in_lots(quantity, terms.lot)
    if quantity <= ZERO:
        return _said(Deed.WAIT, why)
    return Decision(deed=Deed.SEND, reason=why, slice=number, quantity=quantity)


def participation(rate: Decimal, others: Decimal) -> Decimal:
    """Own shares at which own volume is `rate` of the total, others having traded `others`: rate / (1 - rate) x others, exact."""
    return rate * others / (ONE - rate)


def in_lots(quantity: Decimal, lot: Decimal) -> Decimal:
    """Whole lots, rounded towards zero."""
    return (quantity / lot).quantize(ONE, ROUND_DOWN) * lot


def _said(deed: Deed, reason: str) -> Decision:
    return Decision(deed=deed, reason=reason)


def _wanted(terms: Terms, standing: Standing, market: Market) -> tuple[int, Decimal, str]:
    """Slice number, shares (before what all algorithms have in common) and the reason, of a child that is due now."""
    if terms.algo.has_schedule:
        return _scheduled(terms, standing)
    number = standing.next_slice
    if standing.working > ZERO:
        return number, ZERO, "its child works"
    if terms.algo is Algo.ICEBERG:
        if standing.refused and _lately(standing):
            return number, ZERO, "a child was refused a moment ago"
        return number, terms.display or ZERO, "shows the next part"
    if _lately(standing):
        return number, ZERO, "a child was sent a moment ago"
    if market.others is None:
        return number, ZERO, "nobody knows the volume that it follows"
    return number, participation(terms.rate or ZERO, market.others) - standing.filled, "follows the volume"


def _lately(standing: Standing) -> bool:
    return standing.last_sent is not None and standing.elapsed - standing.last_sent < PAUSE


def _scheduled(terms: Terms, standing: Standing) -> tuple[int, Decimal, str]:
    """What the schedule wants by now and is not there yet: at most two slices of it, one child to a slice."""
    number = sum(1 for item in terms.slices if item.start <= standing.elapsed) - 1
    if number < standing.next_slice:
        return number, ZERO, "this slice has its child"
    due = sum((item.quantity for item in terms.slices[: number + 1]), ZERO)
    behind = due - standing.filled - standing.working
    most = sum((item.quantity for item in terms.slices[max(0, number - 1) : number + 1]), ZERO)
    return number, min(behind, most), "catches up" if behind > terms.slices[number].quantity else "its slice is due"


def twap_slices(*, quantity: Decimal, lot: Decimal, horizon: timedelta, count: int, jitter: Decimal = ZERO, seed: UUID) -> tuple[Slice, ...]:
    """Equal slices, or with a jitter (0 to 0.5) slices up to that much larger or smaller: whichever, they sum to the quantity.

    The same seed gives the same slices.
    """
    lots = _lots(quantity, lot)
    if not jitter:
        return _slices(twap(lots, count), lot, horizon)
    random = Random(seed.int)  # noqa: S311 - it hides no secret, it repeats
    weights = [1 + Fraction(jitter) * Fraction(random.randint(-1000, 1000), 1000) for _ in range(count)]
    return _slices(apportion(lots, weights), lot, horizon)


def vwap_slices(*, quantity: Decimal, lot: Decimal, horizon: timedelta, curve: Sequence[Decimal]) -> tuple[Slice, ...]:
    """Slices in proportion to a volume curve over equal stretches of the horizon."""
    return _slices(vwap(_lots(quantity, lot), curve), lot, horizon)


def holdings_slices(*, quantity: Decimal, lot: Decimal, horizon: timedelta, holdings: Sequence[float]) -> tuple[Slice, ...]:
    """Slices which follow what an optimal schedule still holds (from all to nothing) over equal stretches of the horizon."""
    trades = [max(Fraction(0), Fraction(before) - Fraction(after)) for before, after in pairwise(holdings)]
    return _slices(apportion(_lots(quantity, lot), trades), lot, horizon)


def _lots(quantity: Decimal, lot: Decimal) -> int:
    lots = quantity / lot
    if lots != lots.to_integral_value():
        raise InvalidInput(f"{quantity} is not in lots of {lot}", field="quantity")
    return int(lots)


def _slices(parts: Sequence[int], lot: Decimal, horizon: timedelta) -> tuple[Slice, ...]:
    return tuple(Slice(start=horizon * at / len(parts), quantity=part * lot) for at, part in enumerate(parts))
