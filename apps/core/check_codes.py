"""Every code that a pre-trade check can answer with, in the order in which the gate makes the checks (domain.md A5)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Stage(StrEnum):
    """The steps of the gate, in order."""

    KILL_SWITCH = "kill switch"
    MARKET = "market state"
    INSTRUMENT = "instrument"
    ACCOUNT = "account and user"
    DATA = "prices and limits"
    DUPLICATE = "duplicate"
    RATE = "rates"
    SIZE = "order size"
    COLLAR = "price collar"
    CAPITAL = "capital"
    EXPOSURE = "position and exposure"
    TAIL = "value at risk and stress"
    SHORT = "short sale"
    FAILURE = "failure"


class CheckCode(StrEnum):
    """A code with its stage, its authority and what a block by it means. Codes are stored for ever: none is renamed or used again."""

    stage: Stage
    authority: str
    meaning: str

    def __new__(cls, code: str, stage: Stage, authority: str, meaning: str) -> "CheckCode":
        """A string that carries more about itself."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.stage, member.authority, member.meaning = stage, authority, meaning
        return member

    TRADING_HALTED = "TRADING_HALTED", Stage.KILL_SWITCH, "risk", "Trading of the portfolio or of the desk is halted"
    REDUCING_ONLY = "REDUCING_ONLY", Stage.KILL_SWITCH, "risk", "Only reductions may trade, and the order is none"
    ACCOUNT_ON_HOLD = "ACCOUNT_ON_HOLD", Stage.KILL_SWITCH, "risk", "The broker has orders or executions that the desk does not know"
    RISK_NOT_COMPUTED = "RISK_NOT_COMPUTED", Stage.KILL_SWITCH, "risk", "The live risk monitor has not computed the portfolios for too long"
    MARKET_STATE_UNKNOWN = "MARKET_STATE_UNKNOWN", Stage.MARKET, "compliance", "Nothing is known of the instrument's market"
    MARKET_HALTED = "MARKET_HALTED", Stage.MARKET, "compliance", "The exchange has halted or paused the instrument"
    PRICE_BAND = "PRICE_BAND", Stage.MARKET, "compliance", "The limit price lies beyond the exchange's price band (limit up, limit down)"
    INSTRUMENT_NOT_TRADABLE = "INSTRUMENT_NOT_TRADABLE", Stage.INSTRUMENT, "compliance", "Not open for trading, or delisted"
    RESTRICTED_INSTRUMENT = "RESTRICTED_INSTRUMENT", Stage.INSTRUMENT, "compliance", "The instrument is on the restricted list"
    WATCHED_INSTRUMENT = "WATCHED_INSTRUMENT", Stage.INSTRUMENT, "compliance", "Warns: the instrument is on the watch list"
    USER_NOT_PERMITTED = "USER_NOT_PERMITTED", Stage.ACCOUNT, "compliance", "The user may not trade in the portfolio, or it is closed"
    DAY_TRADE_LIMIT = "DAY_TRADE_LIMIT", Stage.ACCOUNT, "compliance", "A fourth day trade in five business days with less than 25,000 of equity"
    DAY_TRADE_EQUITY = "DAY_TRADE_EQUITY", Stage.ACCOUNT, "compliance", "A pattern day trader with less than 25,000 of equity opens nothing"
    INTRADAY_MARGIN = "INTRADAY_MARGIN", Stage.ACCOUNT, "compliance", "The order would leave the account short of intraday margin"
    INTRADAY_FREEZE = "INTRADAY_FREEZE", Stage.ACCOUNT, "compliance", "The account is frozen: no short position and no debit is opened or increased"
    PRICE_MISSING = "PRICE_MISSING", Stage.DATA, "risk", "A price that the checks need is not known"
    PRICE_STALE = "PRICE_STALE", Stage.DATA, "risk", "The price is too old for an order without a limit price"
    FX_RATE_MISSING = "FX_RATE_MISSING", Stage.DATA, "risk", "The instrument has another currency than the portfolio, and no rate of it is known"
    FX_RATE_STALE = "FX_RATE_STALE", Stage.DATA, "risk", "The rate of the instrument's currency is too old"
    DATA_QUARANTINED = "DATA_QUARANTINED", Stage.DATA, "risk", "The instrument's data are in quarantine"
    LIMIT_MISSING = "LIMIT_MISSING", Stage.DATA, "risk", "A limit that the order needs is not set"
    DUPLICATE = "DUPLICATE", Stage.DUPLICATE, "risk", "The same order was sent under another id a moment ago"
    RATE_LIMIT_GLOBAL = "RATE_LIMIT_GLOBAL", Stage.RATE, "risk", "Too many orders and changes of the portfolio in a minute"
    RATE_LIMIT_DESK = "RATE_LIMIT_DESK", Stage.RATE, "risk", "Too many orders, changes and cancels of the whole desk in a minute"
    RATE_LIMIT_SYMBOL = "RATE_LIMIT_SYMBOL", Stage.RATE, "risk", "Too many orders and changes of the symbol in a minute"
    RATE_LIMIT_ALGO = "RATE_LIMIT_ALGO", Stage.RATE, "risk", "Too many orders and changes of the strategy in a minute"
    ORDER_SIZE_LIMIT = "ORDER_SIZE_LIMIT", Stage.SIZE, "risk", "The order has too many shares"
    ORDER_VALUE_LIMIT = "ORDER_VALUE_LIMIT", Stage.SIZE, "risk", "The order is worth too much"
    ADV_LIMIT = "ADV_LIMIT", Stage.SIZE, "risk", "The order is too large a share of the average daily volume, or too large while no volume is known"
    APPROVAL_REQUIRED = "APPROVAL_REQUIRED", Stage.SIZE, "risk", "Warns: the order waits until a second person approves it"
    PRICE_COLLAR = "PRICE_COLLAR", Stage.COLLAR, "risk", "The limit price lies too far from the middle of bid and ask"
    INSUFFICIENT_CAPITAL = "INSUFFICIENT_CAPITAL", Stage.CAPITAL, "risk", "The order may cost more than the cash that is free"
    POSITION_SIZE_LIMIT = "POSITION_SIZE_LIMIT", Stage.EXPOSURE, "risk", "The position would have too many shares"
    POSITION_VALUE_LIMIT = "POSITION_VALUE_LIMIT", Stage.EXPOSURE, "risk", "The position would be worth too much"
    TOTAL_EXPOSURE_LIMIT = "TOTAL_EXPOSURE_LIMIT", Stage.EXPOSURE, "risk", "The gross exposure would be too large"
    NET_EXPOSURE_LIMIT = "NET_EXPOSURE_LIMIT", Stage.EXPOSURE, "risk", "The net exposure would be too large"
    POSITION_SHARE_LIMIT = "POSITION_SHARE_LIMIT", Stage.EXPOSURE, "risk", "The position would be too large a share of the portfolio's value"
    CONCENTRATION_LIMIT = (
        "CONCENTRATION_LIMIT",
        Stage.EXPOSURE,
        "risk",
        "The five largest positions would be too large a share of the value",
    )
    SECTOR_LIMIT = "SECTOR_LIMIT", Stage.EXPOSURE, "risk", "The sector would be too large a share of the portfolio's value"
    LEVERAGE_LIMIT = "LEVERAGE_LIMIT", Stage.EXPOSURE, "risk", "The gross exposure would be too many times the portfolio's value"
    LIQUIDITY_LIMIT = "LIQUIDITY_LIMIT", Stage.EXPOSURE, "risk", "The position would take too many days to leave, or no volume is known"
    BOOK_POSITION_SIZE_LIMIT = "BOOK_POSITION_SIZE_LIMIT", Stage.EXPOSURE, "risk", "The book's position would have too many shares"
    BOOK_POSITION_VALUE_LIMIT = "BOOK_POSITION_VALUE_LIMIT", Stage.EXPOSURE, "risk", "The book's position would be worth too much"
    BOOK_EXPOSURE_LIMIT = "BOOK_EXPOSURE_LIMIT", Stage.EXPOSURE, "risk", "The book's gross exposure would be too large"
    BOOK_NET_EXPOSURE_LIMIT = "BOOK_NET_EXPOSURE_LIMIT", Stage.EXPOSURE, "risk", "The book's net exposure would be too large"
    DAILY_LOSS_LIMIT = "DAILY_LOSS_LIMIT", Stage.EXPOSURE, "risk", "The session's loss has reached its limit: nothing new is opened"
    DRAWDOWN_LIMIT = "DRAWDOWN_LIMIT", Stage.EXPOSURE, "risk", "The fall from the highest value has reached its limit: nothing new is opened"
    VAR_LIMIT = "VAR_LIMIT", Stage.TAIL, "risk", "The value at risk of a day would be too large, or is not known"
    ES_LIMIT = "ES_LIMIT", Stage.TAIL, "risk", "The expected shortfall of a day would be too large, or is not known"
    STRESS_LIMIT = "STRESS_LIMIT", Stage.TAIL, "risk", "The loss in the worst stress scenario would be too large, or is not known"
    SHORT_SALE = "SHORT_SALE", Stage.SHORT, "risk", "More is sold than is held, and no locate covers the rest"
    SHORT_SALE_PRICE = "SHORT_SALE_PRICE", Stage.SHORT, "compliance", "A short sale not above the best bid while Rule 201 restricts the instrument"
    CHECK_FAILED = "CHECK_FAILED", Stage.FAILURE, "risk and compliance", "A check could not be made: the gate stays shut"


_PLACES = {str(code): place for place, code in enumerate(CheckCode)}


def check_place(code: str) -> int:
    """Where a check of this code stands in the gate; a code that the desk no longer makes stands last."""
    return _PLACES.get(code, len(_PLACES))


_C = CheckCode
#: What each authority answers about every order that it allows, whatever the order and its limits are. The database takes no decision that allows
#: without all of them.
ALWAYS_MADE: Final[Mapping[str, tuple[CheckCode, ...]]] = {
    "risk": (
        _C.TRADING_HALTED,
        _C.REDUCING_ONLY,
        _C.ACCOUNT_ON_HOLD,
        _C.RISK_NOT_COMPUTED,
        _C.PRICE_MISSING,
        _C.PRICE_STALE,
        _C.DATA_QUARANTINED,
        _C.LIMIT_MISSING,
        _C.DUPLICATE,
        _C.RATE_LIMIT_GLOBAL,
        _C.RATE_LIMIT_SYMBOL,
        _C.PRICE_COLLAR,
        _C.INSUFFICIENT_CAPITAL,
        _C.SHORT_SALE,
    ),
    "compliance": (
        _C.MARKET_HALTED,
        _C.PRICE_BAND,
        _C.INSTRUMENT_NOT_TRADABLE,
        _C.RESTRICTED_INSTRUMENT,
        _C.WATCHED_INSTRUMENT,
        _C.USER_NOT_PERMITTED,
        _C.SHORT_SALE_PRICE,
    ),
}

_LIMIT = "Risk managers set the limit, two people together."
#: Who can change what a check of this step blocks by; a step that is not here is answered by changing the order.
REMEDIES = {
    Stage.KILL_SWITCH: "Two people who may release trading end a halt.",
    Stage.INSTRUMENT: "Compliance keeps the lists of what may be traded.",
    Stage.ACCOUNT: "An administrator gives roles, a portfolio's manager its members.",
    Stage.DATA: "Operations sees to prices; risk managers to limits that are not set.",
    Stage.RATE: "Risk managers set the rates, two people together.",
    Stage.SIZE: _LIMIT,
    Stage.COLLAR: "Risk managers set the collar, two people together.",
    Stage.CAPITAL: "Cash is freed by sales and by cancelling purchases that work.",
    Stage.EXPOSURE: _LIMIT,
    Stage.TAIL: _LIMIT,
    Stage.SHORT: "Compliance keeps locates and the list of what is easy to borrow.",
}


def remedy(code: str) -> str:
    """Who can change what blocks by this code; "" for nobody, and for a code that is none."""
    known = CheckCode._value2member_map_.get(code)
    return REMEDIES.get(known.stage, "") if isinstance(known, CheckCode) else ""
