"""Day trades (FINRA Rule 4210(f)(8)(B)): what one is, how they are counted, and who is a pattern day trader. Pure."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import zip_longest
from typing import Any, Final

from apps.core.errors import InvalidInput
from apps.core.measures import measure
from apps.core.trading import Side
from apps.marketdata.domain import calendars
from apps.marketdata.domain.sessions import extended_hours

EXCHANGE: Final = "XNYS"
ZERO: Final = Decimal(0)
#: So many day trades in the window make a pattern day trader, where they are more than this share of all trades.
PATTERN_COUNT: Final = 4
PATTERN_SHARE: Final = Decimal("0.06")
#: Business days of the window, the day itself included.
WINDOW_DAYS: Final = 5


class Counting(StrEnum):
    """How day trades are counted: by changes of direction (FINRA Regulatory Notice 21-13), or by opening orders (the older interpretation)."""

    DIRECTION_CHANGE = "DIRECTION_CHANGE"
    OPENING_TRANSACTIONS = "OPENING_TRANSACTIONS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution on an exchange day. `security` is a symbol or an id, `quantity` signed (+ bought, - sold), `order` names its order."""

    security: str | int
    quantity: Decimal
    day: date
    order: str | int


@measure(
    "compliance.day_trades.count",
    units="day trades",
    convention="per security and New York day; the close of what was held overnight counts only after a new opening; partial fills never add",
    source="domain.md A1; FINRA Rule 4210(f)(8)(B), Regulatory Notice 21-13",
)
def day_trades_count(
    fills: list[dict[str, Any]], overnight: dict[str, Any] | None = None, method: str = Counting.DIRECTION_CHANGE.value
) -> dict[str, Any]:
    """Day trades in fills {symbol, side, quantity, time, order_id}: all, and by each symbol that has one. `overnight` is the signed quantity by
    symbol before the first fill. Raises InvalidInput (a method, a side, a quantity or a time that is none)."""
    try:
        counting = Counting(method)
        moments = [(_moment(fill["time"]), fill) for fill in fills]
        ordered = [_fill(moment, fill) for moment, fill in sorted(moments, key=lambda pair: pair[0])]
        held: dict[str | int, Decimal] = {symbol: Decimal(str(quantity)) for symbol, quantity in (overnight or {}).items()}
    except (ValueError, KeyError, InvalidOperation) as error:
        raise InvalidInput(f"these are no fills: {error}", field="fills") from error
    by_day = day_trades(ordered, held, counting)
    by_symbol: dict[str | int, int] = defaultdict(int)
    for (security, _), count in by_day.items():
        by_symbol[security] += count
    return {"count": sum(by_symbol.values()), "by_symbol": {symbol: count for symbol, count in sorted(by_symbol.items()) if count}}


@measure(
    "compliance.day_trades.designated",
    units="boolean",
    convention="four day trades or more in the window, and more than 6 % of its trades",
    source="domain.md A1; FINRA Rule 4210(f)(8)(B)(ii)",
)
def designated(day_trades: int, total_trades: int) -> bool:
    """Whether so many day trades among all trades of the window make a pattern day trader."""
    return day_trades >= PATTERN_COUNT and day_trades > PATTERN_SHARE * total_trades


def day_trades(
    fills: Iterable[Fill], overnight: Mapping[str | int, Decimal], method: Counting = Counting.DIRECTION_CHANGE
) -> dict[tuple[str | int, date], int]:
    """Day trades by security and day. `fills` stand in order of time, `overnight` is what was held (signed) before the first one."""
    by_day: dict[tuple[str | int, date], list[Fill]] = defaultdict(list)
    for fill in fills:
        by_day[fill.security, fill.day].append(fill)
    held = defaultdict(Decimal, overnight)
    count = _direction_changes if method is Counting.DIRECTION_CHANGE else _opening_orders
    found = {}
    for (security, day), of_day in sorted(by_day.items(), key=lambda item: item[0][1]):
        found[security, day] = count(of_day, held[security])
        held[security] += sum((fill.quantity for fill in of_day), ZERO)
    return found


def held_before(fills: Iterable[Fill], held: Mapping[int, Decimal]) -> dict[str | int, Decimal]:
    """What was held (signed, by security) before these fills, when `held` is what is held after the last of them."""
    found = defaultdict[str | int, Decimal](Decimal)
    for security, quantity in held.items():
        found[security] = quantity
    for fill in fills:
        found[fill.security] -= fill.quantity
    return found


def is_pattern(fills: Sequence[Fill], day_trades_made: int) -> bool:
    """Whether the fills of a window, of which so many day trades were made, are a pattern day trader's. A trade is an order on a day."""
    return designated(day_trades_made, len({(fill.day, fill.order) for fill in fills}))


def _direction_changes(fills: Sequence[Fill], overnight: Decimal) -> int:
    """Pairs of an opening run and one the other way. What closes the overnight position before anything new is opened is no run; at zero a run
    ends: what follows opens, whether it is the rest of one fill or the next one."""
    runs: list[int] = []
    position, opened, at_zero = overnight, False, True
    for fill in fills:
        sign = 1 if fill.quantity > 0 else -1
        left = abs(fill.quantity)
        while left:
            closing = position * sign < 0
            part = min(left, abs(position)) if closing else left
            if opened or not closing:
                opened = True
                if at_zero or not runs or runs[-1] != sign:
                    runs.append(sign)
                at_zero = False
            position, left = position + sign * part, left - part
            at_zero = at_zero or not position
    return _pairs(runs)


def _pairs(runs: Sequence[int]) -> int:
    count = place = 0
    while place + 1 < len(runs):
        paired = runs[place] != runs[place + 1]
        count, place = count + paired, place + 1 + paired
    return count


def _opening_orders(fills: Sequence[Fill], overnight: Decimal) -> int:
    """Distinct opening orders of which something was closed the same day, the oldest first."""
    lots: deque[tuple[str | int, Decimal]] = deque()
    closed, position = set(), overnight
    for fill in fills:
        left = fill.quantity
        while left and lots and lots[0][1] * left < 0:
            order, opened = lots.popleft()
            closed.add(order)
            rest = opened + left
            if rest * opened > 0:
                lots.appendleft((order, rest))
            left = rest if rest * left > 0 else ZERO
        if left * position < 0:
            taken = min(abs(left), abs(position)).copy_sign(left)
            position, left = position + taken, left - taken
        if left:
            lots.append((fill.order, left))
    return len(closed)


def trading_day(moment: datetime) -> date:
    """The exchange day on which an order trades that is sent at a moment: from the end of the extended hours on the next session's."""
    day = calendars.local_date(EXCHANGE, moment)
    last = calendars.sessions(EXCHANGE, day, day)
    return day if last and moment < extended_hours(EXCHANGE, day)[1] else calendars.next_session(EXCHANGE, day)


def window_begins(day: date) -> date:
    """The first of the five business days of the exchange that end with `day`, itself one."""
    for _ in range(WINDOW_DAYS - 1):
        day = calendars.previous_session(EXCHANGE, day)
    return day


def most_day_trades(fills: Sequence[Fill], pending: Sequence[Fill], overnight: Decimal) -> int:
    """Day trades of one security and day, at most, when the orders `pending` trade after the `fills`: each as one fill, the sides in turns."""
    buys, sells = ([order for order in pending if (order.quantity > 0) is bought] for bought in (True, False))
    return max(_direction_changes([*fills, *_turns(first, second)], overnight) for first, second in ((buys, sells), (sells, buys)))


def _turns(first: Sequence[Fill], second: Sequence[Fill]) -> list[Fill]:
    return [order for pair in zip_longest(first, second) for order in pair if order is not None]


def _fill(moment: datetime, fill: Mapping[str, Any]) -> Fill:
    quantity = Decimal(str(fill["quantity"]))
    if not quantity.is_finite() or quantity <= 0:
        raise InvalidInput(f"{quantity} is no quantity: the side says whether it was bought", field="fills")
    sign = Side(str(fill["side"]).lower()).sign
    return Fill(security=fill["symbol"], quantity=sign * quantity, day=calendars.local_date(EXCHANGE, moment), order=fill.get("order_id", ""))


def _moment(text: str | datetime) -> datetime:
    moment = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise InvalidInput(f"{text} has no offset: on which exchange day it was is not known", field="fills")
    return moment
