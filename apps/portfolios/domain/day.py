"""What a portfolio was at two recorded values, and what was booked between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.core.money import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEnd:
    """A recorded value [portfolio's currency] at a market time. `flow` is what was paid in since the one before."""

    ts: datetime
    total: Decimal
    flow: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEntry:
    """A ledger entry as it changes a value: `kind` is the ledger's; `symbol` "" for pure cash; `quantity` signed; `amount` the signed change of
    cash in `currency` after `fee`, `base_amount` the same in the portfolio's currency when it was booked, `market_value` what moved shares were
    worth then."""

    kind: str
    symbol: str
    quantity: Decimal
    amount: Decimal
    fee: Decimal
    currency: str
    base_amount: Decimal
    market_value: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioDay:
    """From `opened` to `closed`: `shares` by symbol and `cash` by currency at the opening, and the entries that `closed` knows of and
    `opened` did not (effective later, or booked later). `currencies` has those of all symbols."""

    currency: str
    opened: DayEnd
    closed: DayEnd
    shares: Mapping[str, Decimal]
    cash: Mapping[str, Decimal]
    entries: tuple[DayEntry, ...]
    currencies: Mapping[str, str]
