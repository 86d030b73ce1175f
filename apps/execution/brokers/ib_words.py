"""Interactive Brokers' words and numbers, and the desk's. Pure: floats, sentinels and vendor words end here."""

import math
import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum, StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apps.core.money import PRICE_PLACES
from apps.core.trading import OrderType, Side, TimeInForce, TradingMode

ORDER_TYPES = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
    OrderType.TRAILING_STOP: "TRAIL",
    OrderType.MARKET_ON_CLOSE: "MOC",
}
TIMES_IN_FORCE = {tif: tif.name for tif in TimeInForce}
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL, "SSHORT": Side.SELL, "BOT": Side.BUY, "SLD": Side.SELL}

#: TWS says "nothing" with the largest double and the largest 32-bit integer.
_SENTINELS = frozenset({1.7976931348623157e308, float(2**31 - 1)})
_STEP = Decimal(1).scaleb(-PRICE_PLACES)


class IbState(Enum):
    """What a status of TWS means to the desk."""

    UNANSWERED = "nobody has taken it yet"
    WORKING = "it may trade"
    HELD = "TWS does not work it now; refused if a reason came with it, else it may still trade"
    ENDED = "its rest is cancelled"
    FILLED = "all of it has traded"


#: Every status that TWS has. One that is not here counts as working: what may still trade is never taken for dead.
STATES = {
    "PendingSubmit": IbState.UNANSWERED,
    "ApiPending": IbState.UNANSWERED,
    "PreSubmitted": IbState.WORKING,
    "Submitted": IbState.WORKING,
    "PendingCancel": IbState.WORKING,
    "Inactive": IbState.HELD,
    "Cancelled": IbState.ENDED,
    "ApiCancelled": IbState.ENDED,
    "Filled": IbState.FILLED,
}


def ib_state(status: str) -> IbState:
    """The meaning of a status; none yet is no answer."""
    return STATES.get(status, IbState.WORKING) if status else IbState.UNANSWERED


class Meaning(StrEnum):
    """What an error code of TWS means to the desk."""

    REFUSED = "refused"
    CANCELLED = "cancelled"
    CHANGE_REFUSED = "change_refused"
    CANCEL_REFUSED = "cancel_refused"
    NOT_FOUND = "not_found"
    LINE_LOST = "line_lost"
    RESTORED = "restored"
    RESTORED_WITHOUT_DATA = "restored_without_data"
    RESET = "reset"
    CLIENT_ID_TAKEN = "client_id_taken"
    NOTE = "note"


#: https://interactivebrokers.github.io/tws-api/message_codes.html. Codes that are not here, all warnings (399, 2100 to 2169) among them,
#: are notes: they change nothing. A refusal in words we do not know shows as an order that TWS has never had when it is looked up.
MEANINGS = {
    103: Meaning.REFUSED,  # duplicate order id
    106: Meaning.REFUSED,  # cannot transmit the order
    107: Meaning.REFUSED,  # incomplete order
    109: Meaning.REFUSED,  # price out of range
    110: Meaning.REFUSED,  # price against the minimum step
    111: Meaning.REFUSED,  # time in force against the order type
    113: Meaning.REFUSED,  # a close order is for the day
    116: Meaning.REFUSED,  # dead exchange
    133: Meaning.REFUSED,  # submitting failed
    163: Meaning.REFUSED,  # price against the percentage constraint
    200: Meaning.REFUSED,  # no such security, or several
    201: Meaning.REFUSED,  # order rejected
    203: Meaning.REFUSED,  # security not allowed for this account
    321: Meaning.REFUSED,  # the request is not valid
    382: Meaning.REFUSED,  # size against the precautionary limit
    383: Meaning.REFUSED,  # size against the limit
    387: Meaning.REFUSED,  # order type not supported
    388: Meaning.REFUSED,  # size below the minimum
    391: Meaning.REFUSED,  # end of the time in force
    202: Meaning.CANCELLED,
    104: Meaning.CHANGE_REFUSED,  # cannot modify a filled order
    105: Meaning.CHANGE_REFUSED,  # the modified order does not match the original
    134: Meaning.CHANGE_REFUSED,  # modifying failed
    136: Meaning.CANCEL_REFUSED,  # this order cannot be cancelled
    161: Meaning.CANCEL_REFUSED,  # not in a state to be cancelled
    10148: Meaning.CANCEL_REFUSED,
    135: Meaning.NOT_FOUND,  # no order with this id
    10147: Meaning.NOT_FOUND,
    1100: Meaning.LINE_LOST,
    1101: Meaning.RESTORED_WITHOUT_DATA,
    1102: Meaning.RESTORED,
    1300: Meaning.RESET,
    326: Meaning.CLIENT_ID_TAKEN,
}


def meaning_of(code: int) -> Meaning:
    return MEANINGS.get(code, Meaning.NOTE)


def number(value: float | str | None) -> Decimal | None:
    """A Decimal with at most six places, half to even; None for TWS's sentinels, for infinities, NaN and empty text."""
    if value is None or value == "":
        return None
    as_float = float(value)
    if not math.isfinite(as_float) or as_float in _SENTINELS:
        return None
    exact = Decimal(value) if isinstance(value, str) else Decimal(repr(as_float))
    return exact.quantize(_STEP, ROUND_HALF_EVEN).normalize() + 0


def side_of(word: str) -> Side:
    """BUY, SELL and SSHORT of orders, BOT and SLD of executions. Raises ValueError for another word."""
    if word not in _SIDES:
        raise ValueError(f"{word!r} is no side of TWS")
    return _SIDES[word]


def symbol_to_ib(symbol: str) -> str:
    """A class of shares has a space at Interactive Brokers: BRK.B is "BRK B"."""
    return symbol.replace(".", " ")


def symbol_from_ib(symbol: str) -> str:
    return symbol.replace(" ", ".")


def good_till(expire_at: datetime) -> str:
    """The end of a GTD order in TWS's notation for UTC."""
    return expire_at.astimezone(UTC).strftime("%Y%m%d-%H:%M:%S")


def moment_from_ib(text: str) -> datetime | None:
    """A moment (UTC) as TWS tells it: in UTC with a dash, or with the name of a zone. None for "" and for what names no zone."""
    try:
        if "-" in text:
            return datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        day, clock, zone = text.split(" ", 2)
        return datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, ZoneInfoNotFoundError):
        return None


_PAPER_NUMBER = re.compile(r"D[UF]\w+")


def mode_of_number(number: str) -> TradingMode:
    """Whether an account's number is one of paper trading (DU..., an adviser's DF...). Every other number may cost money."""
    return TradingMode.PAPER if _PAPER_NUMBER.fullmatch(number) else TradingMode.LIVE


def execution_parts(execution_id: str) -> tuple[str, int]:
    """An execution id without its last part, and that part as a number: a correction has the same base and a higher number.

    An id whose last part is no number is its own base, revision 0.
    """
    base, _, revision = execution_id.rpartition(".")
    return (base, int(revision)) if base and revision.isdecimal() else (execution_id, 0)
