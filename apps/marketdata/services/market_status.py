"""Keeping what an exchange says of an instrument: halted, paused, trading again, and its price bands."""

from datetime import datetime
from decimal import Decimal

from apps.core.errors import InvalidInput
from apps.core.money import PRICE_PLACES, exact
from apps.marketdata.models import MarketStatus
from apps.marketdata.selectors.instruments import instrument_get


def market_status_record(
    *,
    symbol: str,
    status: str,
    reason: str = "",
    band: tuple[Decimal | str, Decimal | str] | None = None,
    source: str,
    effective_at: datetime,
    recorded_at: datetime,
) -> MarketStatus:
    """Store the word of the exchange, in force from `effective_at` (market time) until the next one.

    `band` are the lowest and the highest price at which it may trade. Raises NotFound (symbol) and InvalidInput: an unknown status, a halt
    without a reason, a band that is none.
    """
    if status not in MarketStatus.Status.values:
        raise InvalidInput(f"{status!r} is none of {', '.join(MarketStatus.Status.values)}", field="status")
    text = reason.strip()[:200]
    if status != MarketStatus.Status.TRADING and not text:
        raise InvalidInput("say why it does not trade: the exchange's code or words", field="reason")
    low, high = (exact(level, places=PRICE_PLACES, field="band") for level in band) if band else (None, None)
    if low is not None and high is not None and not 0 <= low < high:
        raise InvalidInput(f"{low} to {high} is no price band", field="band")
    return MarketStatus.objects.create(
        instrument=instrument_get(symbol),
        status=status,
        low=low,
        high=high,
        reason=text,
        source=source,
        effective_at=effective_at,
        recorded_at=recorded_at,
    )
