"""What a limit would have done to orders that are already judged: their stored numbers are held to it.

No order is judged again: the gate has kept for each one what it found before and after it, and the limit is compared with that. An order
of which the gate has kept no such number (nobody had set a limit of the kind) is counted as unknown, never as passed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from apps.core.trading import Check, Outcome
from apps.risk.domain.case import WAIVED
from apps.risk.domain.limits import LimitKind, ScopedLimit
from apps.risk.domain.tail_limits import TAIL_KINDS

#: By kind the check in which the gate keeps its number; kinds that are not here are not held to a number of the order.
CODES = {
    LimitKind.POSITION_SIZE: "POSITION_SIZE_LIMIT",
    LimitKind.POSITION_VALUE: "POSITION_VALUE_LIMIT",
    LimitKind.TOTAL_EXPOSURE: "TOTAL_EXPOSURE_LIMIT",
    LimitKind.NET_EXPOSURE: "NET_EXPOSURE_LIMIT",
    LimitKind.ORDER_RATE: "RATE_LIMIT_GLOBAL",
    LimitKind.SYMBOL_ORDER_RATE: "RATE_LIMIT_SYMBOL",
    LimitKind.STRATEGY_ORDER_RATE: "RATE_LIMIT_ALGO",
    LimitKind.ORDER_SIZE: "ORDER_SIZE_LIMIT",
    LimitKind.ORDER_VALUE: "ORDER_VALUE_LIMIT",
    LimitKind.ADV_SHARE: "ADV_LIMIT",
    LimitKind.UNKNOWN_ADV_VALUE: "ADV_LIMIT",
    LimitKind.POSITION_SHARE: "POSITION_SHARE_LIMIT",
    LimitKind.CONCENTRATION: "CONCENTRATION_LIMIT",
    LimitKind.SECTOR_SHARE: "SECTOR_LIMIT",
    LimitKind.LEVERAGE: "LEVERAGE_LIMIT",
    LimitKind.LIQUIDITY: "LIQUIDITY_LIMIT",
    LimitKind.VAR: "VAR_LIMIT",
    LimitKind.EXPECTED_SHORTFALL: "ES_LIMIT",
    LimitKind.STRESS_LOSS: "STRESS_LIMIT",
}
BOOK_CODES = {
    LimitKind.POSITION_SIZE: "BOOK_POSITION_SIZE_LIMIT",
    LimitKind.POSITION_VALUE: "BOOK_POSITION_VALUE_LIMIT",
    LimitKind.TOTAL_EXPOSURE: "BOOK_EXPOSURE_LIMIT",
    LimitKind.NET_EXPOSURE: "BOOK_NET_EXPOSURE_LIMIT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedOrder:
    """One decision of risk about one order: `check` is the stored one that the limit is about, None where none was made."""

    order_id: int
    portfolio_id: int
    book_id: int
    instrument_id: int
    symbol: str
    sector: str
    strategy: str
    decided_at: datetime
    check: Check | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingLimit:
    """A limit that is in force beside the proposed one; `portfolio_id` None is one of the desk."""

    kind: LimitKind
    portfolio_id: int | None
    book_id: int | None
    instrument_id: int | None
    sector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One judged order and what the proposed limit says of it; `outcome` is None where nothing is known."""

    order: JudgedOrder
    outcome: Outcome | None

    @property
    def newly(self) -> bool:
        """The proposed limit blocks what this check let pass."""
        return self.outcome is Outcome.BLOCK and self.order.check is not None and self.order.check.outcome is not Outcome.BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """All orders that the proposed limit concerns, newest first, and how they divide."""

    orders: tuple[Replayed, ...]

    def count(self, outcome: Outcome | None) -> int:
        """Orders with this outcome; None for those of which nothing is known."""
        return sum(one.outcome is outcome for one in self.orders)

    @property
    def blocked(self) -> tuple[Replayed, ...]:
        return tuple(one for one in self.orders if one.outcome is Outcome.BLOCK)

    @property
    def newly_blocked(self) -> int:
        return sum(one.newly for one in self.orders)


def code_of(kind: LimitKind, *, of_book: bool) -> str | None:
    """Code of the check that keeps the number of the kind; None where no order is held to a number of it."""
    return (BOOK_CODES if of_book else CODES).get(kind)


def replay(
    proposed: ScopedLimit, *, portfolio_id: int | None, standing: Iterable[StandingLimit], orders: Iterable[JudgedOrder], ends: bool = False
) -> Replay:
    """Hold each order that the proposed limit concerns to it. With `ends` there is no limit any more, and everything known passes.

    `standing` are the limits of the same kind that stay in force: where a more specific one stands for an order, it does not concern it.
    """
    own = portfolio_id is not None
    mine = _rank(proposed.book_id, proposed.instrument_id, proposed.sector, own)
    others = [one for one in standing if one.kind is proposed.limit.kind and one.book_id is None and proposed.book_id is None]
    found = []
    for order in orders:
        if not _concerns(order, portfolio_id, proposed.book_id, proposed.instrument_id, proposed.sector):
            continue
        if any(_rank(None, one.instrument_id, one.sector, one.portfolio_id is not None) > mine and _holds(one, order) for one in others):
            continue
        if proposed.limit.kind is LimitKind.STRATEGY_ORDER_RATE and not order.strategy:
            continue
        if order.check is not None and order.check.unit != proposed.limit.kind.unit:
            continue  # two kinds share a check, and this order was held to the other
        found.append(Replayed(order=order, outcome=_outcome(proposed, order.check, ends)))
    return Replay(orders=tuple(sorted(found, key=lambda one: (one.order.decided_at, one.order.order_id), reverse=True)))


def _outcome(proposed: ScopedLimit, check: Check | None, ends: bool) -> Outcome | None:
    if check is None:
        return None
    if check.message.startswith(WAIVED) or ends:
        return Outcome.PASS
    if check.after is None:
        return Outcome.BLOCK if check.outcome is Outcome.BLOCK else None  # the number could not be computed, which denies
    limit = proposed.limit
    if check.after > limit.hard:
        lowers = limit.kind in TAIL_KINDS and check.before is not None and check.after < check.before
        return Outcome.WARN if lowers else Outcome.BLOCK
    return Outcome.WARN if limit.soft is not None and check.after > limit.soft else Outcome.PASS


def _rank(book_id: int | None, instrument_id: int | None, sector: str, own: bool) -> int:
    """The higher stands in the place of the lower; a book's is beside all of them."""
    return 2 * (instrument_id is not None or sector != "") + own if book_id is None else 4


def _holds(one: StandingLimit, order: JudgedOrder) -> bool:
    return _concerns(order, one.portfolio_id, one.book_id, one.instrument_id, one.sector)


def _concerns(order: JudgedOrder, portfolio_id: int | None, book_id: int | None, instrument_id: int | None, sector: str) -> bool:
    return (
        portfolio_id in (None, order.portfolio_id)
        and book_id in (None, order.book_id)
        and instrument_id in (None, order.instrument_id)
        and sector in ("", order.sector)
    )
