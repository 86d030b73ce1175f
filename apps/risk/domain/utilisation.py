"""How far each limit of a portfolio and of its parts is used now: the numbers of the gate's checks, without an order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from apps.portfolios.domain.valuation import PositionValue
from apps.risk.domain.limits import INSTRUMENT_KINDS, PARTICIPATION, Limit, LimitKind, LimitScope, LimitUse, ScopedLimit, limit_use
from apps.risk.domain.relative import UNKNOWN_SECTOR
from apps.risk.domain.summary import RiskView

ZERO: Final = Decimal(0)
PLACES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """What limits of parts are measured by: sectors and average daily volumes by instrument id, quantities by book and instrument id.

    `losses` are value at risk, shortfall and stress loss as fractions of the value, None where they cannot be computed now; `not_known` is what
    scenarios do not know of it.
    """

    sectors: Mapping[int, str] = field(default_factory=dict)
    volumes: Mapping[int, float] = field(default_factory=dict)
    books: Mapping[int, Mapping[int, Decimal]] = field(default_factory=dict)
    symbols: Mapping[int, str] = field(default_factory=dict)
    losses: Mapping[LimitKind, float | None] = field(default_factory=dict)
    not_known: str = ""


def limit_uses(view: RiskView, limits: Iterable[ScopedLimit], facts: PartFacts) -> tuple[LimitUse, ...]:
    """Each limit with what is used of it, the most used first, those of which nothing can be said before all others.

    `view` has been made with the limits of the whole portfolio; `limits` are all that are in force.
    """
    parts = [one for one in limits if one.limit.scope in _PARTS]
    uses = [_whole(use, view, facts, [one for one in parts if one.limit.kind is use.kind]) for use in view.summary.limits]
    uses += [_part(one, view, facts) for one in parts]
    return tuple(sorted(uses, key=_urgency))


def part_name(use: LimitUse) -> str:
    """The part of a portfolio that a limit holds for, as events name it ("book:Main", "instrument:IBM"); "" for the whole."""
    return f"{use.scope}:{use.subject}" if use.scope in _PARTS else ""


_PARTS = frozenset({LimitScope.BOOK, LimitScope.INSTRUMENT, LimitScope.SECTOR})


def _urgency(use: LimitUse) -> tuple[bool, bool, Decimal, str, str]:
    return use.state == "per_order", use.utilisation is not None, -(use.utilisation or ZERO), use.kind, use.subject


def _whole(use: LimitUse, view: RiskView, facts: PartFacts, parts: Sequence[ScopedLimit]) -> LimitUse:
    """What the summary cannot say because it knows neither parts nor volumes nor a history of returns.

    An instrument or a sector with a limit of its own (one of `parts`, of the same kind) is not held to the general one.
    """
    limit = Limit(kind=use.kind, hard=use.hard, soft=use.soft, scope=use.scope)
    if use.kind is LimitKind.SECTOR_SHARE:
        general = _sectors(view, facts) - {one.sector for one in parts}
        return _largest(limit, {sector: _sector_share(sector, view, facts) for sector in general})
    apart = {one.instrument_id for one in parts if one.instrument_id is not None}
    if use.kind is LimitKind.LIQUIDITY or (apart and use.kind in INSTRUMENT_KINDS and use.used is not None):
        held = [position for position in view.valuation.positions if position.quantity and position.instrument_id not in apart]
        return _largest(limit, {position.symbol: _of_position(use.kind, position, view, facts) for position in held})
    if use.kind in facts.losses:
        loss = facts.losses[use.kind]
        not_known = facts.not_known if use.kind is LimitKind.STRESS_LOSS else ""
        return limit_use(limit, None if loss is None else round(Decimal(repr(loss)), PLACES), not_known=not_known)
    return use


def _largest(limit: Limit, numbers: Mapping[str, Decimal | None]) -> LimitUse:
    """The largest number and whose it is. One that is unknown leaves the limit unknown: it may be the largest."""
    unknown = sorted(name for name, number in numbers.items() if number is None)
    if unknown:
        return limit_use(limit, None, subject=unknown[0])
    name = max(sorted(numbers), key=lambda one: numbers[one] or ZERO, default="")
    return limit_use(limit, numbers[name] if name else ZERO, subject=name)


def _part(one: ScopedLimit, view: RiskView, facts: PartFacts) -> LimitUse:
    limit = one.limit
    if one.book_id is not None:
        return limit_use(limit, _of_book(limit.kind, facts.books.get(one.book_id, {}), view), subject=limit.subject)
    if one.instrument_id is not None:
        subject = facts.symbols.get(one.instrument_id, "")
        held = next((position for position in view.valuation.positions if position.instrument_id == one.instrument_id and position.quantity), None)
        return limit_use(limit, ZERO if held is None else _of_position(limit.kind, held, view, facts), subject=subject)
    return limit_use(limit, _sector_share(one.sector, view, facts), subject=one.sector)


def _of_book(kind: LimitKind, held: Mapping[int, Decimal], view: RiskView) -> Decimal | None:
    prices = {p.instrument_id: p.market_value / p.quantity for p in view.valuation.positions if p.quantity and p.market_value is not None}
    if kind is LimitKind.POSITION_SIZE:
        return max(map(abs, held.values()), default=ZERO)
    if held.keys() - prices.keys():
        return None
    values = [quantity * prices[key] for key, quantity in held.items()]
    number = {
        LimitKind.POSITION_VALUE: max(map(abs, values), default=ZERO),
        LimitKind.TOTAL_EXPOSURE: sum(map(abs, values), ZERO),
        LimitKind.NET_EXPOSURE: abs(sum(values, ZERO)),
    }[kind]
    return round(number, PLACES)


def _of_position(kind: LimitKind, held: PositionValue, view: RiskView, facts: PartFacts) -> Decimal | None:
    """None for what only single orders are held to, and for what has no price."""
    if kind is LimitKind.POSITION_SIZE:
        return abs(held.quantity)
    if kind is LimitKind.LIQUIDITY:
        return _days(held, facts)
    value = None if held.market_value is None else abs(held.market_value)
    if kind is LimitKind.POSITION_VALUE:
        return value
    return _share(value, view) if kind is LimitKind.POSITION_SHARE else None


def _days(held: PositionValue, facts: PartFacts) -> Decimal | None:
    volume = facts.volumes.get(held.instrument_id)
    return round(abs(held.quantity) / (Decimal(repr(volume)) * PARTICIPATION), PLACES) if volume else None


def _sectors(view: RiskView, facts: PartFacts) -> set[str]:
    return {facts.sectors.get(position.instrument_id, UNKNOWN_SECTOR) for position in view.valuation.positions if position.quantity}


def _sector_share(sector: str, view: RiskView, facts: PartFacts) -> Decimal | None:
    held = [p for p in view.valuation.positions if p.quantity and facts.sectors.get(p.instrument_id, UNKNOWN_SECTOR) == sector]
    if any(position.market_value is None for position in held):
        return None
    return _share(sum((abs(position.market_value or ZERO) for position in held), ZERO), view)


def _share(value: Decimal | None, view: RiskView) -> Decimal | None:
    total = view.valuation.total
    return None if value is None or total is None or total <= 0 else round(value / total, PLACES)
