"""Checks of an order against what the portfolio is worth, what its market can take, what its book may hold, and what has been lost.

Each is made where its limit is set. A reduction is waived through: the desk must be able to leave.
"""

from collections.abc import Mapping
from decimal import ROUND_UP, Decimal
from heapq import nlargest
from typing import Final

from apps.core.trading import Check, Outcome
from apps.risk.domain.case import ZERO, Case, against, number
from apps.risk.domain.exposure import Exposure, exposure, largest_size, working_quantities
from apps.risk.domain.limits import LARGEST_COUNTED, PARTICIPATION, Limit, LimitKind

PLACES: Final = Decimal("0.000001")
#: The sector of what nobody has given one: a sector of its own.
UNKNOWN_SECTOR: Final = "unknown"


def shares(case: Case) -> list[Check]:
    """Position, five largest, sector and gross exposure as fractions (or times) of the portfolio's value."""
    if case.unpriced:
        return []
    intent, price = case.intent, case.prices[case.intent.instrument_id]
    added = (case.size_after - case.size_before) * price
    checks = []
    if limit := case.limits.get(LimitKind.POSITION_SHARE):
        checks.append(_share(case, limit, "POSITION_SHARE_LIMIT", case.size_before * price, case.size_after * price, f"share of {intent.symbol}"))
    if limit := case.limits.get(LimitKind.CONCENTRATION):
        sizes = _sizes(case)
        before = _largest(sizes)
        sizes[intent.instrument_id] = case.size_after * price
        checks.append(_share(case, limit, "CONCENTRATION_LIMIT", before, _largest(sizes), f"share of the {LARGEST_COUNTED} largest positions"))
    if limit := case.limits.get(LimitKind.SECTOR_SHARE):
        sector = case.sectors.get(intent.instrument_id, UNKNOWN_SECTOR)
        before = sum((value for key, value in _sizes(case).items() if case.sectors.get(key, UNKNOWN_SECTOR) == sector), ZERO)
        checks.append(_share(case, limit, "SECTOR_LIMIT", before, before + added, f"share of the sector {sector.replace('_', ' ')}"))
    if limit := case.limits.get(LimitKind.LEVERAGE):
        before = case.exposure.gross
        checks.append(_share(case, limit, "LEVERAGE_LIMIT", before, before + added, "gross exposure in times of the value"))
    return checks


def liquidity(case: Case) -> list[Check]:
    """Days in which the position could be left again at a fifth of the average daily volume. Without a volume nobody knows: it denies."""
    limit = case.limits.get(LimitKind.LIQUIDITY)
    if limit is None:
        return []
    what = f"days to leave {case.intent.symbol}"
    if not case.average_volume and not case.reduces:
        text = f"No daily volume of {case.intent.symbol} is stored: how long it takes to leave it is not known"
        return [Check(code="LIQUIDITY_LIMIT", outcome=Outcome.BLOCK, message=text, unit=limit.kind.unit, limit=limit.hard)]
    a_day = (case.average_volume or ZERO) * PARTICIPATION
    before, after = ((_up(size / a_day) if a_day else ZERO) for size in (case.size_before, case.size_after))
    return [against(limit, code="LIQUIDITY_LIMIT", before=before, after=after, what=what, waived=case.reduces)]


def book(case: Case) -> list[Check]:
    """What the order's own book may hold, beside what the portfolio may. The amounts are the book's alone."""
    if not case.book_limits or case.unpriced:
        return []
    intent, price = case.intent, case.prices[case.intent.instrument_id]
    orders = [order for order in case.working_orders if order.book_id in (None, intent.book_id)]
    working, key = working_quantities(orders), intent.instrument_id
    size = largest_size(case.book_held, key, working)
    grown = largest_size(case.book_held, key, working.with_order(key, intent.side, intent.quantity))
    now = exposure(case.book_quantities, working, case.prices)
    gross, net = now.gross, (_net(now, added=ZERO), _net(now, added=intent.signed_quantity * price))
    numbers = {
        LimitKind.POSITION_SIZE: ("BOOK_POSITION_SIZE_LIMIT", size, grown, f"shares of {intent.symbol}"),
        LimitKind.POSITION_VALUE: ("BOOK_POSITION_VALUE_LIMIT", size * price, grown * price, f"value of {intent.symbol}"),
        LimitKind.TOTAL_EXPOSURE: ("BOOK_EXPOSURE_LIMIT", gross, gross + (grown - size) * price, "gross exposure"),
        LimitKind.NET_EXPOSURE: ("BOOK_NET_EXPOSURE_LIMIT", *net, "net exposure"),
    }
    return [
        against(limit, code=code, before=before, after=after, what=f"{what} in book {limit.subject}", waived=case.reduces)
        for kind, (code, before, after, what) in numbers.items()
        if (limit := case.book_limits.get(kind))
    ]


def losses(case: Case) -> list[Check]:
    """Nothing new is opened while the monitor has seen the day's loss or the drawdown at its limit and not well above it again."""
    checks = []
    for code, kind, what in (
        ("DAILY_LOSS_LIMIT", LimitKind.DAILY_LOSS, "loss of the session"),
        ("DRAWDOWN_LIMIT", LimitKind.DRAWDOWN, "fall from the highest value"),
    ):
        limit, lost = case.limits.get(kind), case.broken.get(kind)
        if limit is None:
            continue
        blocked = lost is not None and not case.reduces
        if lost is None:
            message = f"The {what} has not reached the limit {number(limit.hard)}"
        elif blocked:
            message = f"The {what} was {number(lost)} when it reached its limit, and has not left it: nothing new is opened"
        else:
            message = f"Reduces the position, which passes although the {what} has reached its limit"
        outcome = Outcome.BLOCK if blocked else Outcome.PASS
        checks.append(Check(code=code, outcome=outcome, message=message, unit=kind.unit, limit=limit.hard, before=lost, after=lost))
    return checks


def _share(case: Case, limit: Limit, code: str, before: Decimal, after: Decimal, what: str) -> Check:
    """Against the portfolio's value; of one that is worth nothing everything is too much."""
    if case.equity <= 0:
        if case.reduces:
            return against(limit, code=code, before=ZERO, after=ZERO, what=what, waived=True)
        text = f"The portfolio is worth {number(case.equity)}: no {what} can be taken of it"
        return Check(code=code, outcome=Outcome.BLOCK, message=text, unit=limit.kind.unit, limit=limit.hard)
    return against(limit, code=code, before=_up(before / case.equity), after=_up(after / case.equity), what=what, waived=case.reduces)


def _up(value: Decimal) -> Decimal:
    """Six places, upwards: what is above a limit by less than that is still above it."""
    return value.quantize(PLACES, rounding=ROUND_UP)


def _sizes(case: Case) -> dict[int, Decimal]:
    """Largest value [money] that each instrument can reach without this order."""
    sizes = {key: abs(quantity) * case.prices[key] for key, quantity in case.held.items() if quantity}
    for key in case.working.buys.keys() | case.working.sells.keys():
        sizes[key] = largest_size(case.held.get(key, ZERO), key, case.working) * case.prices[key]
    return sizes


def _largest(sizes: Mapping[int, Decimal]) -> Decimal:
    return sum(nlargest(LARGEST_COUNTED, sizes.values()), ZERO)


def _net(now: Exposure, *, added: Decimal) -> Decimal:
    """Largest net exposure [money], long or short, with an order of the signed value `added`."""
    return max(now.highest + max(added, ZERO), -now.lowest - min(added, ZERO))
