"""Intraday margin (FINRA Rule 4210(a)(17)-(19), (d)(2), in force from 2026-06-04): the level, its deficit, and what follows from one. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import groupby
from typing import Any, Final

from apps.compliance.domain.day_trades import EXCHANGE
from apps.core.errors import InvalidInput
from apps.core.measures import measure
from apps.marketdata.domain import calendars

ZERO: Final = Decimal(0)
#: Maintenance of Rule 4210(c): of a long position, and of a short one from 5 a share on and below, with the least amount per share.
LONG_SHARE: Final = Decimal("0.25")
SHORT_SHARE, SHORT_AMOUNT, LOW_PRICE = Decimal("0.30"), Decimal(5), Decimal(5)
LOW_SHARE, LOW_AMOUNT = Decimal(1), Decimal("2.50")
#: A deficit up to the lesser of both makes no practice.
MINOR_SHARE, MINOR_AMOUNT = Decimal("0.05"), Decimal(1000)
#: Business days until a call is due, until a freeze may begin, and until a deficit is outstanding no more; calendar days of a freeze.
CALL_DAYS, PRACTICE_DAYS, EXPIRY_DAYS, FREEZE_DAYS = 2, 5, 15, 90
SOURCE: Final = "domain.md A1; FINRA Rule 4210(a)(17)-(19), (d)(2)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in an account: `quantity` (signed) of a security at `price`, or cash paid in or out (`amount`, signed), or, with
    neither, a new price of the security."""

    time: datetime
    symbol: str = ""
    quantity: Decimal = ZERO
    price: Decimal | None = None
    amount: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Cash [money], signed quantities and prices [money per share] by symbol."""

    cash: Decimal
    quantities: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]

    @property
    def level(self) -> Decimal:
        """Intraday margin level [money]: what may be withdrawn; negative: what must be paid in."""
        held = [(quantity, self.prices[symbol]) for symbol, quantity in self.quantities.items()]
        return self.cash + sum((quantity * price - maintenance(quantity, price) for quantity, price in held), ZERO)

    def after(self, event: Event) -> "Account":
        """The account when the event has happened."""
        quantities, prices = defaultdict(Decimal, self.quantities), dict(self.prices)
        if event.symbol and event.price is not None:
            prices[event.symbol] = event.price
            quantities[event.symbol] += event.quantity
        cash = self.cash + event.amount - event.quantity * (event.price or ZERO)
        return Account(cash=cash, quantities=quantities, prices=prices)

    def lowered_by(self, event: Event) -> bool:
        """Whether the event itself lowers the level, at prices that are the event's own before it too: a price alone never does."""
        marked = self.after(Event(time=event.time, symbol=event.symbol, price=event.price))
        return marked.after(event).level < marked.level


def maintenance(quantity: Decimal, price: Decimal) -> Decimal:
    """What must be left of a position (signed shares) as equity [money, >= 0]."""
    if quantity >= 0:
        return quantity * price * LONG_SHARE
    share, amount = (SHORT_SHARE, SHORT_AMOUNT) if price >= LOW_PRICE else (LOW_SHARE, LOW_AMOUNT)
    return -quantity * max(share * price, amount)


@measure(
    "compliance.intraday_margin.deficit",
    units="money",
    convention="largest shortfall of a day after an activity that lowers the level; same-time activities in the order that makes it largest",
    source=SOURCE,
)
def day_deficit(cash: Decimal, positions: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """The deficit of one day, and the level after each event. `positions` {symbol: {quantity, price}} are those at the day's start, `events`
    [{time, symbol, quantity (signed), price} or {time, amount}]. Raises InvalidInput."""
    try:
        held = {symbol: (Decimal(str(one["quantity"])), Decimal(str(one["price"]))) for symbol, one in positions.items()}
        happened = [_event(event) for event in events]
    except (ValueError, KeyError, InvalidOperation) as error:
        raise InvalidInput(f"this is no account with its events: {error}", field="events") from error
    account = Account(cash=cash, quantities={s: q for s, (q, _) in held.items()}, prices={s: p for s, (_, p) in held.items()})
    levels, deficit = [], ZERO
    for _, same in groupby(sorted(happened, key=lambda event: event.time), key=lambda event: event.time):
        left = list(same)
        while left:
            event = min(left, key=lambda one: account.after(one).level)
            left.remove(event)
            lowered, account = account.lowered_by(event), account.after(event)
            levels.append(account.level)
            deficit = max(deficit, -account.level) if lowered else deficit
    return {"deficit": deficit, "levels": levels}


@measure(
    "compliance.intraday_margin.minor", units="boolean", convention="at most the lesser of 5 % of equity and 1,000; equality is minor", source=SOURCE
)
def minor(equity: Decimal, deficit: Decimal) -> bool:
    """Whether a deficit [money] is too small to count towards a practice of not meeting them."""
    return deficit <= min(MINOR_SHARE * equity, MINOR_AMOUNT)


@measure(
    "compliance.intraday_margin.deadlines",
    units="dates",
    convention="business days of the exchange after the deficit's; a freeze lasts 90 calendar days from the fifth",
    source=SOURCE,
)
def deadlines(deficit_date: date, call_due_days: int = CALL_DAYS) -> dict[str, date]:
    """When a call is due (the broker's number of days), the fifth and the fifteenth business day, and how long a freeze from the fifth lasts."""
    fifth = _business_day(deficit_date, PRACTICE_DAYS)
    return {
        "due_day": _business_day(deficit_date, call_due_days),
        "fifth_day": fifth,
        "fifteenth_day": _business_day(deficit_date, EXPIRY_DAYS),
        "freeze_until": fifth + timedelta(days=FREEZE_DAYS),
    }


@measure(
    "compliance.intraday_margin.satisfied",
    units="date",
    convention="the first day by whose end deposits and other increases of the level since the deficit's day make it up; null: none yet",
    source=SOURCE,
)
def satisfied_on(deficit: Decimal, increases: list[dict[str, Any]]) -> date | None:
    """When a deficit was met by `increases` [{date, amount (signed, money)}] after its day."""
    made_up = ZERO
    for day, same in groupby(sorted(increases, key=lambda one: str(one["date"])), key=lambda one: str(one["date"])):
        made_up += sum((Decimal(str(one["amount"])) for one in same), ZERO)
        if made_up >= deficit:
            return date.fromisoformat(day)
    return None


@measure(
    "compliance.intraday_margin.frozen",
    units="boolean",
    convention="after a practice, from the close of the fifth business day until met or for 90 calendar days",
    source=SOURCE,
)
def frozen(deficit_date: date, day: date, practice: bool, met_on: date | None = None) -> bool:
    """Whether on a day no short position and no debit may be opened or increased for a deficit that is not minor."""
    ends = deadlines(deficit_date)
    met = met_on is not None and (met_on <= ends["fifth_day"] or met_on <= day)
    return practice and not met and ends["fifth_day"] < day <= ends["freeze_until"]


def worst_level(*, cash: Decimal, held: Mapping[int, Decimal], prices: Mapping[int, Decimal], may: Iterable[tuple[int, Decimal]]) -> Decimal:
    """Intraday margin level [money] when of the orders that `may` trade (instrument, signed quantity) those have that lower it most, at `prices`.
    Raises KeyError for a price that is missing."""
    bought, sold = defaultdict[int, Decimal](Decimal), defaultdict[int, Decimal](Decimal)
    for instrument, quantity in may:
        (bought if quantity > 0 else sold)[instrument] += quantity
    level = cash
    for instrument in {*held, *bought, *sold}:
        quantity, price = held.get(instrument, ZERO), prices[instrument]
        ends: Sequence[Decimal] = (quantity, quantity + bought[instrument], quantity + sold[instrument])
        level += quantity * price - max(maintenance(end, price) for end in ends)
    return level


def _business_day(day: date, number: int) -> date:
    for _ in range(number):
        day = calendars.next_session(EXCHANGE, day)
    return day


def _event(event: Mapping[str, Any]) -> Event:
    price = event.get("price")
    return Event(
        time=datetime.fromisoformat(str(event["time"])),
        symbol=event.get("symbol", ""),
        quantity=Decimal(str(event.get("quantity", 0))),
        price=None if price is None else Decimal(str(price)),
        amount=Decimal(str(event.get("amount", 0))),
    )
