"""The book as a measure: a handful of events in the words of a test vector, through the readable engine."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from apps.core.errors import InvalidInput
from apps.core.measures import measure
from apps.marketdata.domain.book.events import ASK, BID, TICKS_PER_UNIT, book_state
from apps.marketdata.domain.book.reference import ReferenceBook

SIDES: Final = {"B": BID, "S": ASK, "BUY": BID, "SELL": ASK}
#: What each letter must say beside its type.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "A": ("ref", "side", "shares", "price"),
    "F": ("ref", "side", "shares", "price"),
    "E": ("ref", "shares"),
    "X": ("ref", "shares"),
    "C": ("ref", "shares", "price"),
    "D": ("ref",),
    "U": ("ref", "new_ref", "shares", "price"),
    "P": (),
    "Q": (),
    "B": (),
}
LETTER_KEYS: Final = ("type", "letter", "event", "message")


@measure(
    "marketdata.book.replay",
    units="shares by price",
    convention="partial executions and cancels keep priority, a replacement loses it; an unknown order is counted and makes the book DIRTY; "
    "CROSSED when best bid >= best ask",
    source="Nasdaq TotalView-ITCH 5.0, sections 4.3-4.6",
)
def replay(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The book after the events: {bids, asks, state, unknown, faults, volume}.

    Each event is an object with its letter as `type`: A and F {ref, side "B" or "S", shares, price}, E and X {ref, shares}, C {ref, shares,
    price, printable}, D {ref}, U {ref, new_ref, shares, price}, P, Q and B {shares}. `bids` and `asks` map prices, as they were first written,
    to shares, the best first. Raises InvalidInput which names the event and its fault.
    """
    book, written, numbers = ReferenceBook(), dict[int, str](), _Numbers()
    for position, event in enumerate(events):
        letter = _letter(event, position)
        missing = [name for name in FIELDS[letter] if name not in event]
        if missing:
            raise InvalidInput(f"event {position} ({letter}) has no {', '.join(missing)}", field=missing[0])
        price = _price(event["price"], position) if event.get("price") is not None else 0
        if price:
            written.setdefault(price, str(event["price"]))
        book.event(
            letter,
            numbers.of(event.get("ref")),
            numbers.of(event.get("new_ref")),
            _side(event["side"], position) if letter in "AF" else 0,
            price,
            _shares(event.get("shares"), position) if "shares" in FIELDS[letter] or letter in "PQ" else 0,
            _printable(event.get("printable", True), position),
        )
    bids, asks = ({written[level.price]: level.shares for level in book.levels(side)} for side in (BID, ASK))
    faults = book.faults
    return {"bids": bids, "asks": asks, "state": book_state(book), "unknown": faults.unknown, "faults": faults.total, "volume": book.volume}


class _Numbers:
    """Orders may be named by numbers or texts: each name gets a number."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, name: object) -> int:
        return self._known.setdefault(str(name), len(self._known))


def _letter(event: Mapping[str, Any], position: int) -> str:
    letter = next((str(event[key]) for key in LETTER_KEYS if key in event), "") if isinstance(event, Mapping) else ""
    if letter not in FIELDS:
        raise InvalidInput(f"event {position} has the type {letter!r}, none of {', '.join(FIELDS)}", field="type")
    return letter


def _side(value: object, position: int) -> int:
    if value not in SIDES:
        raise InvalidInput(f"event {position} has the side {value!r}, neither 'B' nor 'S'", field="side")
    return SIDES[str(value)]


def _price(value: object, position: int) -> int:
    try:
        ticks = Decimal(str(value)) * TICKS_PER_UNIT
    except InvalidOperation:
        ticks = Decimal("NaN")
    if not ticks.is_finite() or ticks <= 0 or ticks != ticks.to_integral_value():
        raise InvalidInput(f"event {position} has the price {value!r}: above 0, with at most 4 places", field="price")
    return int(ticks)


def _shares(value: object, position: int) -> int:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or number <= 0 or number != number.to_integral_value():
        raise InvalidInput(f"event {position} has {value!r} shares: a whole number above 0", field="shares")
    return int(number)


def _printable(value: object, position: int) -> bool:
    if value in (True, "Y"):
        return True
    if value in (False, "N"):
        return False
    raise InvalidInput(f"event {position} has printable {value!r}: true or false ('Y' or 'N')", field="printable")
